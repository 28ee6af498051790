"""Projects: what conversations, insights and documents are about."""

from sqlalchemy import Index
from sqlalchemy.orm import Mapped

from db.base import Base, length, of_organization
from db.types import KeyUid, RowId, Stamp


class Project(Base):
    __tablename__ = "projects"

    organization_id: Mapped[KeyUid]
    id: Mapped[RowId]
    name: Mapped[str]
    created_at: Mapped[Stamp]
    updated_at: Mapped[Stamp]

    __table_args__ = (of_organization(), length("name", 255, 1))


Index(None, Project.organization_id, Project.created_at.desc(), Project.id.desc())
