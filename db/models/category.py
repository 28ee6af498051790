"""Budget categories: what patterns of cost are learned about."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from db.base import Base, length, of_organization
from db.types import KeyUid, RowId, Stamp


class Category(Base):
    __tablename__ = "budget_categories"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    name: Mapped[str]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (of_organization(), length("name", 255, 1))


Index(None, Category.organization_id, Category.created_at.desc(), Category.id.desc())
