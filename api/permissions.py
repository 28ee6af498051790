"""Who may read and change what, printed in the SDL: `@readable` and `@changeable`, read off the one matrix.

They are text for people and code generators: the executable schema, its introspection and the engine do not know them.
A node says it by its source; a field that reads something else, and every change, names what it takes.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import strawberry
from graphql import GraphQLField, GraphQLNamedType, GraphQLObjectType, GraphQLSchema, get_named_type
from sqlalchemy import FromClause, Table
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.schema_directive import Location

from db import mirror, policy
from db.policy import Command
from db.types import Role

Reach = Mapping[Role, policy.Scope]
"""The rows that each role has a right to; a role that is not in it has none."""

_DEFINITION: Final = GraphQLCoreConverter.DEFINITION_BACKREF
_READS: Final = "minutebook.reads"
_TAKES: Final = "minutebook.takes"
# From the narrowest: where several tables are read together, the narrowest scope decides.
_WORDS: Final = {
    policy.own: "own",
    policy.organization_as_subject: "shared",
    policy.subject: "own_and_shared",
    policy.org: "organization",
}
_NARROWEST_FIRST: Final = tuple(_WORDS)


@strawberry.schema_directive(
    locations=[Location.OBJECT, Location.FIELD_DEFINITION],
    description="Who may read it: the roles, by the rows that they see.\n"
    "- `own`: what belongs to the caller\n"
    "- `shared`: what is about the organization as a whole\n"
    "- `ownAndShared`: both\n"
    "- `organization`: all that the caller's organization has\n\n"
    "For a role that is not named a field of Query is null, with the error FORBIDDEN; any other field is null, without an\n"
    "error; and no object of the type exists. A field without it is as readable as its type, and as what it leads to.",
)
class Readable:
    own: list[Role] | None = strawberry.UNSET
    shared: list[Role] | None = strawberry.UNSET
    own_and_shared: list[Role] | None = strawberry.UNSET
    organization: list[Role] | None = strawberry.UNSET


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description="Who may make the change: the roles, by the rows that they may change.\n"
    "- `own`: what belongs to the caller\n"
    "- `organization`: all that the caller's organization has\n\n"
    "A role that is not named gets the userError FORBIDDEN.",
)
class Changeable:
    own: list[Role] | None = strawberry.UNSET
    organization: list[Role] | None = strawberry.UNSET


@dataclass(frozen=True)
class Right:
    """What a change takes: each of `commands` on rows of `table`, writing `columns`; or the definer function `calls`.

    `not_by_services` is why a service is refused although its backend may write such rows.
    """

    table: str = ""
    commands: tuple[Command, ...] = ()
    columns: frozenset[str] = frozenset()
    calls: str = ""
    not_by_services: str | None = None

    def is_granted(self, role: Role) -> bool:
        """Whether the matrix has it for the role, whatever the row."""
        if self.calls:
            return mirror.may_call(role, self.calls)
        return all(mirror.allows(role, self.table, command, self.columns) for command in self.commands)

    @property
    def reach(self) -> Reach:
        """Whose rows each role may change so."""
        roles = [role for role in Role if self.is_granted(role)]
        if self.not_by_services is not None:
            roles.remove(Role.SERVICE)
        if self.calls:
            return dict.fromkeys(roles, policy.org)
        return {role: _narrowest(_scope(role, self.table, command) for command in self.commands) for role in roles}


def right(table: Table, *commands: Command, columns: Iterable[str] = (), not_by_services: str | None = None) -> Right:
    """The right to each of the commands on rows of a table."""
    return Right(table.name, commands, frozenset(columns), not_by_services=not_by_services)


def takes(needed: Right) -> dict[str, Any]:
    """Metadata of a mutation: who may make it."""
    return {_TAKES: needed}


def reads(what: Callable[[], tuple[Any, ...]]) -> dict[str, Any]:
    """Metadata of a field: all that it reads, each a source, a `Beside`, a table, or the name of a definer function."""
    return {_READS: what}


def readers(*what: Any) -> Reach:
    """Who may read all of these, and which rows."""
    return _all_of(_readers(each) for each in what)


def _readers(what: Any) -> Reach:
    if isinstance(what, str):
        return Right(calls=what).reach
    needs = {mirror.name_of(what): frozenset()} if isinstance(what, FromClause) else what.needs
    return _all_of(Right(table, ("select",), columns).reach for table, columns in needs.items())


def _all_of(reaches: Iterable[Reach]) -> Reach:
    first, *others = reaches
    return {
        role: _narrowest([scope, *(other[role] for other in others)])
        for role, scope in first.items()
        if all(role in other for other in others)
    }


def _scope(role: Role, table: str, command: Command) -> policy.Scope:
    rule = mirror.rule(role, table, command)
    if rule is None:
        raise mirror.DeniedError(table)
    return rule.scope


def _narrowest(scopes: Iterable[policy.Scope]) -> policy.Scope:
    return min(scopes, key=_NARROWEST_FIRST.index)


# ── onto the printed schema ──────────────────────────────────────────────────────────────────────────────────────────
def annotate(schema: GraphQLSchema, sources: Mapping[str, Any]) -> None:
    """Attach the directives to a copy of the schema that is made for printing; `sources` by the name of their type."""
    for named in schema.type_map.values():
        if isinstance(named, GraphQLObjectType) and not named.name.startswith("__"):
            _annotate_type(schema, named, sources)


def _annotate_type(schema: GraphQLSchema, named: GraphQLObjectType, sources: Mapping[str, Any]) -> None:
    source = sources.get(named.name)
    whole = readers(source) if source else None
    if whole is not None:
        _attach(named, _directive(Readable, whole))
    for field in named.fields.values():
        what = _metadata(field).get(_READS)
        if named is schema.mutation_type:
            if needed := _metadata(field).get(_TAKES):
                _attach(field, _directive(Changeable, needed.reach))
        elif named is schema.query_type:
            if found := what() if what else _listed(field, sources):
                _attach(field, _directive(Readable, readers(*found)))
        elif what:
            reach = readers(*what(), *([source] if source else []))
            if reach != whole:
                _attach(field, _directive(Readable, reach))


def _listed(field: GraphQLField, sources: Mapping[str, Any]) -> tuple[Any, ...]:
    """The source of a connection's nodes; nothing for other fields."""
    named: Any = get_named_type(field.type)
    for name in ("edges", "node"):
        inner = getattr(named, "fields", {}).get(name)
        named = get_named_type(inner.type) if inner else None
    return (sources[named.name],) if named is not None and named.name in sources else ()


def _metadata(field: GraphQLField) -> Mapping[Any, Any]:
    return getattr(field.extensions.get(_DEFINITION), "metadata", None) or {}


def _directive(kind: type[Any], reach: Reach) -> Any:
    by_word: dict[str, list[Role]] = {}
    for role in Role:
        if role in reach:
            by_word.setdefault(_WORDS[reach[role]], []).append(role)
    return kind(**by_word)


def _attach(element: GraphQLNamedType | GraphQLField, directive: Any) -> None:
    """Strawberry prints what its own definition carries: this copy of the element gets a definition of its own."""
    definition = copy.copy(element.extensions[_DEFINITION])
    definition.directives = [*(definition.directives or ()), directive]
    element.extensions = {**element.extensions, _DEFINITION: definition}
