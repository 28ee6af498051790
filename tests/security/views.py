"""What a principal is to be shown, and the words for how the API reaches it: lists, edges to one, edges to many."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from api.node import global_id
from tests.security import oracle
from tests.security.looking import Dump, Row
from tests.security.people import Principal

Rows: TypeAlias = "Callable[[View], list[Row] | None]"


class View:
    """What one principal is to be shown of a dump."""

    def __init__(self, dump: Dump, who: Principal, types: "Mapping[str, Route]") -> None:
        self.dump = dump
        self._types = types
        self.who = who
        self._shown: dict[str, dict[str, Row] | None] = {}

    def visible(self, table: str) -> list[Row] | None:
        return oracle.visible(self.dump, table, self.who)

    def shown(self, type_name: str) -> dict[str, Row] | None:
        """The nodes of a type by id; None where the role may not read it."""
        if type_name not in self._shown:
            rows = self._types[type_name].rows(self)
            self._shown[type_name] = None if rows is None else {row["id"]: row for row in rows}
        return self._shown[type_name]

    def node(self, type_name: str | None, database_id: str | None) -> str | None:
        """The global id, if there is such a node for this principal."""
        if type_name not in self._types or type_name is None or database_id is None:
            return None
        return global_id(type_name, database_id) if database_id in (self.shown(type_name) or {}) else None

    @cached_property
    def feedback_by_message(self) -> dict[str, Row]:
        return {
            row["message_id"]: row
            for row in (self.shown("Feedback") or {}).values()
            if row["user_id"] == self.who.user_id
        }

    def beside(self, table: str, **key: object) -> Row | None:
        """The visible row of a side table that belongs to another row."""
        rows = self.visible(table) or ()
        return next((row for row in rows if all(row[name] == value for name, value in key.items())), None)


@dataclass(frozen=True)
class Listed:
    """A connection of Query; `%s` stands for the page's arguments. `rows` None: all that the type shows."""

    text: str
    rows: "Rows | None" = None


@dataclass(frozen=True)
class One:
    """An edge to one node: its text, and the global id that it gives."""

    text: str
    expected: Callable[[View, Row], str | None]


@dataclass(frozen=True)
class Many:
    """An edge to many: `type_name` and the test of a child; a connection, or a plain list at `path`."""

    text: str
    type_name: str
    belongs: Callable[[Row, Row], bool]
    rows: "Rows | None" = None
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """One GraphQL type: its table, the rows that are its nodes, and its edges."""

    table: str
    rows: Rows
    lists: tuple[Listed, ...] = ()
    ones: tuple[One, ...] = ()
    manys: tuple[Many, ...] = ()


def link(field: str, type_name: str, column: str) -> One:
    return One(f"{field}{{id}}", lambda view, row: view.node(type_name, row[column]))


def by(column: str) -> Callable[[Row, Row], bool]:
    """The child points at the parent."""
    return lambda parent, child: bool(child[column] == parent["id"])


def of(table: str) -> Rows:
    return lambda view: view.visible(table)


def among(rows: Rows, test: Callable[[Row], bool]) -> Rows:
    def chosen(view: View) -> list[Row] | None:
        found = rows(view)
        return None if found is None else [row for row in found if test(row)]

    return chosen


@dataclass(frozen=True)
class Field:
    """A value that comes from a side table, under a node of `type_name`."""

    type_name: str
    text: str
    expected: Callable[[View, Row], Any]
