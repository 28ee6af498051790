"""Global object identification: what an ID is, what a node is, and how one is read by id.

An ID is base64 of `Type:uuid`. It says where to look and grants nothing: policies and mirror decide what is found.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Final, Generic, TypeVar, cast

import strawberry
from asyncpg import Record
from sqlalchemy import ColumnElement, FromClause, Select, and_, select

from api import json_text
from api.errors import BadUserInputError
from api.json_text import written_by
from api.rowwise import objects
from api.selection import attributes
from db import mirror
from db.types import Role

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def global_id(type_name: str, database_id: str) -> str:
    """`Conversation` and a uuid → the opaque ID."""
    return binascii.b2a_base64(f"{type_name}:{database_id}".encode(), newline=False).decode()


def parse_id(value: str, argument: str) -> tuple[str, str]:
    """The type's name and the uuid of an ID. Raises BadUserInputError that names the argument."""
    try:
        type_name, _, database_id = base64.b64decode(value, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeError, ValueError):
        type_name, database_id = "", ""
    if not type_name.isidentifier() or not _UUID.match(database_id):
        raise BadUserInputError(f"`{argument}` is not an ID of this API.", argument=argument)
    return type_name, database_id


def id_of(value: str, type_name: str, argument: str) -> str:
    """The uuid of an ID that must be of one type. Raises BadUserInputError that names argument and type."""
    found, database_id = parse_id(value, argument)
    if found != type_name:
        raise BadUserInputError(f"`{argument}` must be the ID of a {type_name}.", argument=argument)
    return database_id


@strawberry.interface(description="An object that can be fetched again by its id.")
class Node:
    resolved: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    database_id: strawberry.Private[str]

    @strawberry.field(description="The global id: opaque, stable, unique across all types.")  # type: ignore[untyped-decorator] # mypy loses it in an interface
    @written_by(json_text.global_id)
    def id(self) -> strawberry.ID:
        # As global_id does, without its call: most answers ask for as many ids as they have objects.
        return binascii.b2a_base64(f"{type(self).__name__}:{self.database_id}".encode(), newline=False).decode()  # type: ignore[return-value]

    @classmethod
    def resolve_type(cls, obj: object, *_: object) -> str:
        """graphql-core would otherwise ask every implementing type in turn."""
        return type(obj).__name__


T = TypeVar("T", bound=Node)
Along = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, eq=False)
class Joined:
    """One node of another source that belongs to each row, read in the same statement where a page selects it.

    It is the row of `source` whose `column` has the value of `key`: at most one. `field` is its name in the API,
    `table` what is joined when that is not the source's own. One that `is_shared` belongs to many rows: it is read along
    only where PostgreSQL writes it, for as a row's own object it would be made many times.
    """

    field: str
    source: Callable[[], "Source[Any]"]
    column: ColumnElement[Any]
    key: ColumnElement[Any]
    table: FromClause | None = None
    is_shared: bool = False

    def outer(self, origin: FromClause, role: Role) -> FromClause:
        """`origin` with the other row beside each of its own, if the policies of both let the role see it."""
        source = self.source()
        table = source.table if self.table is None else self.table
        tests = [mirror.where(role, table), *(test(role) for test in source.extra)]
        return origin.outerjoin(table, and_(*tests, self.column == self.key))


@dataclass(frozen=True, eq=False)
class Source(Generic[T]):
    """How rows become nodes: the type, the table whose policy decides, and the column behind each attribute.

    `origin` is what to select from when it is more than the table (an outer join), `extra` the tests that an
    entity adds to every read of it (a deleted conversation), `is_partitioned` whether its ids bound `created_at`,
    `also` the further tables that a role must be able to read, `joined` what a page may read along, by attribute.
    """

    node: type[T]
    table: FromClause
    columns: Mapping[str, ColumnElement[Any]]
    key: ColumnElement[Any] | None = None
    origin: Callable[[Role], FromClause] | None = None
    extra: tuple[Callable[[Role], ColumnElement[bool]], ...] = field(default=())
    is_partitioned: bool = False
    also: tuple[FromClause, ...] = ()
    joined: Mapping[str, Joined] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.node.__name__

    @cached_property
    def id_column(self) -> ColumnElement[Any]:
        return self.table.c.id if self.key is None else self.key

    @cache  # noqa: B019 - sources are made at import and live as long as the process
    def is_readable(self, role: Role) -> bool:
        """Whether the role may read the source's table at all, with every column that the node needs."""
        return all(mirror.allows(role, table, "select", columns) for table, columns in self.needs.items())

    @property
    def needs(self) -> dict[str, frozenset[str]]:
        """The columns that its nodes are made of, by table."""
        return {mirror.name_of(table): self._needed(table) for table in (self.table, *self.also)}

    def _needed(self, table: FromClause) -> frozenset[str]:
        return frozenset(column.name for column in self.columns.values() if getattr(column, "table", None) is table)

    @cache  # noqa: B019 - as above; there are as many as there are selections in the clients' documents
    def columns_for(self, fields: frozenset[str], *always: str) -> tuple[str, ...]:
        """The attributes that these fields of the node take, and those that are taken anyway."""
        taken = attributes(cast("Any", self.node), fields) | {"database_id", *always}
        return tuple(name for name in self.columns if name in taken)

    def select(
        self,
        role: Role,
        *more: ColumnElement[Any],
        columns: Sequence[str] | None = None,
        along: Along = (),
    ) -> Select[Any]:
        """SELECT of the node's columns, or of these, with the mirror, for one role. Raises DeniedError.

        `along` names attributes of `joined`, and the columns that are read of each.
        """
        labelled = [self.columns[name].label(name) for name in (self.columns if columns is None else columns)]
        for attribute, names in along:
            other = self.joined[attribute].source()
            labelled += [other.columns[name].label(f"{attribute}__{name}") for name in names]
        return self.narrow(select(*more, *labelled), role, along)

    def narrow(self, statement: Any, role: Role, along: Along = ()) -> Select[Any]:
        """FROM and the tests that every read of this source carries."""
        origin = self.table if self.origin is None else self.origin(role)
        for attribute, _ in along:
            origin = self.joined[attribute].outer(origin, role)
        tests = [mirror.where(role, self.table), *(test(role) for test in self.extra)]
        narrowed: Select[Any] = statement.select_from(origin).where(*tests)
        return narrowed

    def build(self, row: Record) -> T:
        """A node from a row of `select`."""
        return self.build_all((row,))[0]

    def build_all(self, rows: Sequence[Record]) -> list[T]:
        """Nodes from rows of one `select`."""
        return _maker(self, tuple(rows[0].keys()))(rows) if rows else []


@lru_cache(4_096)
def _maker(source: Source[T], names: tuple[str, ...]) -> Callable[[Sequence[Record]], list[T]]:
    """What makes nodes of rows with these columns."""
    along = source.joined and {name.partition("__")[0] for name in names if "__" in name}
    others = tuple((attribute, source.joined[attribute].source().node) for attribute in along)
    return objects(cast("Any", source.node), names, others)
