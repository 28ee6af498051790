"""Organizations: the tenants. The only table whose rows are keyed by `id` alone, which is everybody's organization_id."""

from sqlalchemy import CheckConstraint, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, length, one_of
from db.types import OrganizationKind, RowId, Stamp


class Organization(Base):
    __tablename__ = "organizations"

    id: Mapped[RowId]
    slug: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    timezone: Mapped[str]
    embedding_model: Mapped[str] = mapped_column(server_default=text("'all-MiniLM-L6-v2'"))
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        UniqueConstraint("slug"),
        one_of("kind", OrganizationKind),
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug"),
        length("name", 255, 1),
        length("timezone", 64, 1),
        length("embedding_model", 200, 1),
    )
