"""A person's tier, preferred provider and own provider keys. What it used stands in the budgets, not here.

A key is kept sealed: ciphertext under a data key of its own, which is wrapped by the keyring.
"""

from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, key_to, length, one_of
from db.types import Int, KeyUid, No, Provider, RowId, Stamp, Tier, Uid


class AiSettings(Base):
    __tablename__ = "user_ai_settings"

    organization_id: Mapped[KeyUid]
    user_id: Mapped[KeyUid]
    tier: Mapped[str] = mapped_column(server_default=text("'FREE'"))
    preferred_provider: Mapped[str] = mapped_column(server_default=text("'OPENAI'"))
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (
        key_to("users", "user_id"),
        one_of("tier", Tier),
        one_of("preferred_provider", Provider),
    )


class ProviderKey(Base):
    __tablename__ = "user_provider_keys"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    user_id: Mapped[Uid]
    provider: Mapped[str]
    ciphertext: Mapped[bytes | None]
    wrapped_key: Mapped[bytes | None]
    key_id: Mapped[str | None]
    key_version: Mapped[Int] = mapped_column(server_default=text("1"))
    hint: Mapped[str]
    fingerprint: Mapped[bytes | None]
    needs_reentry: Mapped[No]
    set_at: Mapped[Stamp]
    created_at: Mapped[Stamp]

    __table_args__ = (
        UniqueConstraint("organization_id", "user_id", "provider"),
        key_to("users", "user_id"),
        one_of("provider", Provider),
        length("hint", 4),
        CheckConstraint("key_version >= 1", name="key_version"),
        CheckConstraint(
            "(ciphertext IS NULL) = (wrapped_key IS NULL) AND (ciphertext IS NULL) = (key_id IS NULL)", name="sealed"
        ),
    )


Index(None, AiSettings.organization_id, AiSettings.tier, AiSettings.user_id)
