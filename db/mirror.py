"""The mirror: what `db/policies.py` says, as the WHERE that the API's own statements carry and as plain booleans.

Every statement repeats the policy's test. It turns the policy into a one-time filter, lets indexes work, prunes
partitions, and stands when row-level security does not.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, cast

from sqlalchemy import ColumnElement, FromClause, Table

from db.actor import Actor
from db.policies import CALLS, POLICIES, REQUEST_ROLES
from db.policy import Command, Rule, TablePolicy
from db.types import Role


class DeniedError(Exception):
    """The role has no such right on the table at all; the wire answers FORBIDDEN, or null where nested."""


def name_of(table: FromClause) -> str:
    """The declared table's name, of the table itself or of an alias of it."""
    return cast("Table", getattr(table, "element", table)).name


@cache
def rule(role: Role, table: str, command: Command = "select") -> Rule | None:
    """The role's rule, or None where the matrix says nothing."""
    return POLICIES[table].rule(role.value.lower(), command)


@cache
def where(role: Role, table: FromClause, command: Command = "select") -> ColumnElement[bool]:
    """The rows of `table` that `role` may `command`, over the binds `organization_id`, `user_id`, `actor_id`.

    `table` may be an alias of a declared table. Raises DeniedError.
    """
    name = name_of(table)
    found = rule(role, name, command)
    if found is None:
        raise DeniedError(name)
    return found.scope.where(table)


@cache
def allows(role: Role, table: str, command: Command = "select", columns: frozenset[str] = frozenset()) -> bool:
    """Whether the role may `command` any row of `table`, reading or writing `columns`."""
    found = rule(role, table, command)
    return found is not None and columns <= set(found.granted(POLICIES[table].table))


def can(actor: Actor, table: str, command: Command, row: Mapping[str, Any]) -> bool:
    """Whether this actor may `command` this row, which it sees (`viewerCan…`)."""
    found = rule(actor.role, table, command)
    return found is not None and found.scope.holds(actor, row, POLICIES[table].table)


def may_call(role: Role, function: str) -> bool:
    """Whether the role may call this definer function (`set_user_tier`) at all."""
    return role.value.lower() in CALLS[function]


_MARK: Final = {"select": "read"}


def _cell(block: TablePolicy, role: str) -> str:
    by_scope: dict[str, list[str]] = {}
    for each in block.rules.get(role, {}).values():
        but = f" (not {', '.join(each.but)})" if each.but else ""
        by_scope.setdefault(each.scope.name, []).append(_MARK.get(each.command, each.command) + but)
    return "; ".join(f"{scope}: {', '.join(commands)}" for scope, commands in by_scope.items()) or "-"


def markdown() -> str:
    """The permission table of the README."""
    head = ["table", *REQUEST_ROLES]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, block in sorted(POLICIES.items()):
        lines.append(f"| `{name}` | " + " | ".join(_cell(block, role) for role in REQUEST_ROLES) + " |")
    return "\n".join(lines)
