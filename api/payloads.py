"""What stands beside a row and is read only when selected: payloads, and columns that not every role may read.

One statement for all rows and all selected values of a level.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import strawberry
from sqlalchemy import ColumnElement, FromClause, Select, any_, bindparam, select

from api.context import Context, Info
from api.execution import batched
from api.loader import Batch
from api.loaders import uuids
from api.node import Node
from api.permissions import reads
from api.selection import taking
from db import mirror
from db.types import Role

Key = tuple[str, datetime, str]


@dataclass(frozen=True, eq=False)
class Beside:
    """Values of `table`, by the uuid in `key` of the row that they belong to.

    `values` has what to select for each name, `reads` the columns that this takes. Where several rows share a key,
    each value is null in all of them but one. With `created_at`, it equals the owner's attribute `at`, and prunes
    months. Who is `unrecorded` reads nothing but its own.
    """

    table: FromClause
    key: ColumnElement[Any]
    values: Mapping[str, ColumnElement[Any]]
    reads: frozenset[str] = field(default=frozenset())
    created_at: ColumnElement[Any] | None = None
    at: str = "created_at"
    unrecorded: frozenset[Role] = frozenset()

    def is_readable(self, role: Role) -> bool:
        """Whether the role may read the table, with these columns."""
        return all(mirror.allows(role, table, "select", columns) for table, columns in self.needs.items())

    @property
    def needs(self) -> dict[str, frozenset[str]]:
        """The columns that a role must be able to read, by table."""
        return {mirror.name_of(self.table): self.reads}

    async def read(self, context: Context, name: str, owners: Sequence[Node], *, is_on_record: bool) -> list[Any]:
        """The value of this name for each row, batched; None where there is none or the role may not read it.

        `is_on_record`: the caller is noted to have been shown what there is.
        """
        if not self.is_readable(context.actor.role):
            return [None] * len(owners)
        loader = context.loader(("beside", self), lambda: _load(context, self))
        values = await loader.load_all([(each.database_id, getattr(each, self.at), name) for each in owners])
        if is_on_record and context.actor.role not in self.unrecorded:
            for owner, value in zip(owners, values, strict=True):
                if value is not None:
                    context.on_record(type(owner).__name__, owner.database_id)
        return values

    def shown(self, name: str, *, is_on_record: bool, description: str) -> Any:
        """The field of this value of each parent."""

        @batched
        async def resolve(parents: list[Any], info: Info) -> list[Any]:
            return await self.read(info.context, name, parents, is_on_record=is_on_record)

        return strawberry.field(
            resolver=taking(resolve, self.at), description=description, metadata=reads(lambda: (self,))
        )


def _load(context: Context, beside: Beside) -> Batch:
    async def load(keys: list[Key]) -> list[Any]:
        names = tuple(sorted({name for _, _, name in keys}))
        times = [created_at for _, created_at, _ in keys]
        rows = await context.session.fetch(
            ("beside", beside, names),
            _build(context.actor.role, beside, names),
            keys=list({database_id for database_id, _, _ in keys}),
            created_from=min(times),
            created_to=max(times),
        )
        found = {(row["key"], name): row[name] for row in rows for name in names if row[name] is not None}
        return [found.get((database_id, name)) for database_id, _, name in keys]

    return load


def _build(role: Role, beside: Beside, names: tuple[str, ...]) -> Callable[[], Select[Any]]:
    def build() -> Select[Any]:
        values = (beside.values[name].label(name) for name in names)
        wanted = beside.key == any_(uuids("keys"))
        statement = select(beside.key.label("key"), *values).where(mirror.where(role, beside.table), wanted)
        if beside.created_at is None:
            return statement
        start, end = (bindparam(name, type_=beside.created_at.type) for name in ("created_from", "created_to"))
        return statement.where(beside.created_at >= start, beside.created_at <= end)

    return build
