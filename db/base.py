"""The declarative base: schema, names of constraints and indexes, and the constraints that many tables share.

A name is its prefix, the table and the columns without organization_id, since that one stands first in all of them.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, cast

from sqlalchemy import CheckConstraint, Constraint, ForeignKeyConstraint, Index, MetaData, Table
from sqlalchemy.orm import DeclarativeBase

from db.types import TYPE_OF

SCHEMA: Final = "app"
ORGANIZATION: Final = "organization_id"


def own_columns(item: Constraint | Index, _table: Table) -> str:
    """The columns that tell one key of a table from another, joined by underscores."""
    if isinstance(item, ForeignKeyConstraint):
        names = [element.parent.name for element in item.elements]
    else:
        names = [column.name for column in getattr(item, "columns", ())]
    return "_".join([name for name in names if name != ORGANIZATION] or names)


NAMES: Final[dict[str, str | Callable[[Any, Table], str]]] = {
    "own_columns": own_columns,
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(own_columns)s",
    "fk": "fk_%(table_name)s_%(own_columns)s",
    "ix": "ix_%(table_name)s_%(own_columns)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


class Base(DeclarativeBase):
    """A table of schema app; organization_id stands first."""

    metadata = MetaData(schema=SCHEMA, naming_convention=NAMES)
    type_annotation_map = TYPE_OF

    @classmethod
    def __table_cls__(cls, *args: Any, **options: Any) -> Table:
        # An INSERT returns what its statement names: many roles may not read what they write.
        return Table(*args, implicit_returning=False, **options)


def table(model: type[Base]) -> Table:
    """The table of a model."""
    return cast("Table", model.__table__)


def key_to(
    target: str, *columns: str, to: tuple[str, ...] = ("id",), is_cascading: bool = False
) -> ForeignKeyConstraint:
    """A composite foreign key (organization_id, *columns) → target(organization_id, *to). NO ACTION unless cascading."""
    return ForeignKeyConstraint(
        [ORGANIZATION, *columns],
        [f"{SCHEMA}.{target}.{name}" for name in (ORGANIZATION, *to)],
        ondelete="CASCADE" if is_cascading else None,
    )


def of_organization() -> ForeignKeyConstraint:
    """organization_id → organizations. Rows with a parent of their own have it from there, and hot logs go without."""
    return ForeignKeyConstraint([ORGANIZATION], [f"{SCHEMA}.organizations.id"])


def one_of(column: str, vocabulary: type[StrEnum]) -> CheckConstraint:
    """CHECK (column IN (the vocabulary)); null passes."""
    names = ", ".join(f"'{member.value}'" for member in vocabulary)
    return CheckConstraint(f"{column} IN ({names})", name=column, info={"column": column, "vocabulary": vocabulary})


def length(column: str, most: int, least: int = 0) -> CheckConstraint:
    """CHECK on the number of characters."""
    test = f"<= {most}" if least == 0 else f"BETWEEN {least} AND {most}"
    return CheckConstraint(f"char_length({column}) {test}", name=f"{column}_length")


def not_negative(*columns: str) -> CheckConstraint:
    """CHECK that none of the numbers is below zero."""
    return CheckConstraint(" AND ".join(f"{column} >= 0" for column in columns), name="not_negative")


def sha256(*columns: str) -> CheckConstraint:
    """CHECK that each of the columns, unless null, is 32 bytes."""
    return CheckConstraint(" AND ".join(f"octet_length({column}) = 32" for column in columns), name="digests")


def erasable() -> CheckConstraint:
    """CHECK that salt and payload go together, and leave redacted_at behind: what is missing was redacted."""
    return CheckConstraint(
        "(payload IS NULL) = (redacted_at IS NOT NULL) AND (salt IS NULL) = (redacted_at IS NOT NULL)", name="erasable"
    )


def made_then() -> CheckConstraint:
    """CHECK that ties a version-7 id to its partition: a look-up by id adds bounds of ± 24 h taken from the id."""
    return CheckConstraint(
        "app.uuid_time(id) IS NULL OR created_at BETWEEN app.uuid_time(id) - interval '24 hours'"
        " AND app.uuid_time(id) + interval '24 hours'",
        name="id_time",
    )


MONTHLY: Final = {"postgresql_partition_by": "RANGE (created_at)"}
