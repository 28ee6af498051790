"""People of an organization, and the identities (issuer, subject) by which a token finds them.

A person in two organizations has two users. A user is never deleted, only erased.
"""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from db.base import Base, key_to, length, not_negative, of_organization, one_of
from db.types import Count, KeyUid, RowId, Stamp, Uid, UserRole


class User(Base):
    __tablename__ = "users"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    display_name: Mapped[str | None]
    role: Mapped[str]
    epoch: Mapped[Count]
    erased_at: Mapped[datetime | None]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        of_organization(),
        one_of("role", UserRole),
        length("display_name", 255),
        not_negative("epoch"),
    )


class Identity(Base):
    __tablename__ = "identities"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    issuer: Mapped[str]
    subject: Mapped[str]
    user_id: Mapped[Uid]
    created_at: Mapped[Stamp]

    __table_args__ = (
        UniqueConstraint("organization_id", "issuer", "subject"),
        key_to("users", "user_id"),
        length("issuer", 512, 1),
        length("subject", 255, 1),
    )


Index(None, User.organization_id, User.created_at.desc(), User.id.desc())
# Authentication does not know the organization yet.
Index(None, Identity.issuer, Identity.subject)
Index(None, Identity.organization_id, Identity.user_id)
