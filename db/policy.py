"""The algebra of permissions: a scope says which rows, a rule says which command and columns on them.

One rule becomes three things that must agree: a policy with its grant (SQL), the API's WHERE (the mirror), a boolean.
Only PERMISSIVE policies, one per table, command and role, without sub-selects: Citus accepts nothing else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import ColumnElement, FromClause, Table, and_, any_, bindparam, true
from sqlalchemy.dialects.postgresql import array

from db.actor import CONTEXT_ACTOR, CONTEXT_ORGANIZATION, CONTEXT_USER, Actor

Command = Literal["select", "insert", "update", "delete"]
COMMANDS: Final[tuple[Command, ...]] = ("select", "insert", "update", "delete")


def organization_column(table: FromClause) -> str:
    """`organization_id`, or `id` on the table of organizations itself."""
    return "organization_id" if "organization_id" in table.c else "id"


def bound(table: FromClause, column: str, name: str) -> ColumnElement[bool]:
    return table.c[column] == bindparam(name, type_=table.c[column].type)


@dataclass(frozen=True)
class Scope:
    """Rows of the caller's organization whose `column` is the caller (`own`), or all of them (`org`)."""

    name: str
    column: str | None = None
    context: str = CONTEXT_USER
    bind: str = "user_id"

    def sql(self, table: FromClause) -> str:
        """The policy's expression, over the request's context."""
        test = f"{organization_column(table)} = {CONTEXT_ORGANIZATION}"
        return test if self.column is None else f"{test} AND {self.column} = {self.context}"

    def where(self, table: FromClause) -> ColumnElement[bool]:
        """The mirror: the same test over the binds `organization_id` and `user_id` (or `actor_id`)."""
        test = bound(table, organization_column(table), "organization_id")
        return test if self.column is None else and_(test, bound(table, self.column, self.bind))

    def holds(self, actor: Actor, row: Mapping[str, Any], table: FromClause) -> bool:
        """The same test on a row at hand."""
        if row[organization_column(table)] != actor.organization_id:
            return False
        return self.column is None or row[self.column] == getattr(actor, self.bind)


class Subject(Scope):
    """Budgets of the caller and of its organization; `user_` is left out for who sees the organization's alone."""

    def sql(self, table: FromClause) -> str:  # noqa: ARG002 - the signature of a scope
        who = f"ARRAY[{CONTEXT_USER}, {CONTEXT_ORGANIZATION}]" if self.bind else f"ARRAY[{CONTEXT_ORGANIZATION}]"
        return f"organization_id = {CONTEXT_ORGANIZATION} AND subject_id = ANY ({who})"

    def where(self, table: FromClause) -> ColumnElement[bool]:
        subject = table.c.subject_id
        names = ("user_id", "organization_id") if self.bind else ("organization_id",)
        who = array([bindparam(name, type_=subject.type) for name in names])
        return and_(bound(table, "organization_id", "organization_id"), subject == any_(who))

    def holds(self, actor: Actor, row: Mapping[str, Any], table: FromClause) -> bool:  # noqa: ARG002 - as above
        who = {actor.organization_id} | ({actor.user_id} if self.bind else set())
        return row["organization_id"] == actor.organization_id and row["subject_id"] in who


class Everything(Scope):
    """Every organization's rows: the operator's work, and the look-ups that come before a context exists."""

    def sql(self, table: FromClause) -> str:  # noqa: ARG002 - the signature of a scope
        return "true"

    def where(self, table: FromClause) -> ColumnElement[bool]:  # noqa: ARG002 - the signature of a scope
        return true()

    def holds(self, actor: Actor, row: Mapping[str, Any], table: FromClause) -> bool:  # noqa: ARG002 - as above
        return True


own: Final = Scope("own", "user_id")
own_by_actor: Final = Scope("own by actor", "actor_id", CONTEXT_ACTOR, "actor_id")
org: Final = Scope("org")
subject: Final = Subject("subject")
organization_as_subject: Final = Subject("the organization's", bind="")
everything: Final = Everything("all")


@dataclass(frozen=True)
class Rule:
    """One command on the rows of a scope. `columns` None means every column; `using` and `check` narrow the rows."""

    command: Command
    scope: Scope
    columns: tuple[str, ...] | None = None
    but: tuple[str, ...] = ()
    using: str | None = None
    check: str | None = None

    def granted(self, table: Table) -> tuple[str, ...]:
        """The columns that the grant covers, in the table's order."""
        if self.command == "delete":
            return ()
        names = [column.name for column in table.columns]
        if self.columns is not None:
            always = {"id", "organization_id", "user_id"} if self.command == "insert" else set()
            names = [name for name in names if name in self.columns or name in always]
        return tuple(name for name in names if name not in self.but and not self._generated(table, name))

    def _generated(self, table: Table, name: str) -> bool:
        return self.command != "select" and table.c[name].computed is not None

    def policy_sql(self, table: Table, role: str) -> str:
        """CREATE POLICY for this rule; `role` is its short name (`member`), the database role is `app_member`."""
        rows = self.scope.sql(table)
        using = f"{rows} AND {self.using}" if self.using else rows
        check = f"{rows} AND {self.check}" if self.check else rows
        parts = [f"CREATE POLICY {table.name}_{self.command}_{role} ON app.{table.name}"]
        parts.append(f"    FOR {self.command.upper()} TO {database_role(role)}")
        if self.command != "insert":
            parts.append(f"    USING ({using})")
        if self.command in {"insert", "update"}:
            parts.append(f"    WITH CHECK ({check})")
        return "\n".join(parts) + ";"

    def grant_sql(self, table: Table, role: str) -> str:
        """GRANT for this rule; inserts, updates and partial reads name their columns."""
        whole = self.command == "delete" or (self.columns is None and not self.but)
        columns = "" if whole else f" ({', '.join(self.granted(table))})"
        return f"GRANT {self.command.upper()}{columns} ON app.{table.name} TO {database_role(role)};"


def database_role(role: str) -> str:
    """`member` → `app_member`; the operator is a login of its own."""
    return "minutebook_operator" if role == "operator" else f"app_{role}"


def read(scope: Scope, *columns: str, but: tuple[str, ...] = ()) -> Rule:
    """SELECT, of all columns unless some are named or left out."""
    return Rule("select", scope, columns or None, but)


def insert(scope: Scope, *columns: str, check: str | None = None) -> Rule:
    """INSERT of the named columns, and of id, organization_id and user_id where the table has them."""
    return Rule("insert", scope, columns, check=check)


def update(scope: Scope, *columns: str, using: str | None = None, check: str | None = None) -> Rule:
    """UPDATE of the named columns alone; `using` is about the row before, `check` about the row after."""
    return Rule("update", scope, columns, using=using, check=check)


def delete(scope: Scope) -> Rule:
    """DELETE."""
    return Rule("delete", scope)


def manage() -> list[Rule]:
    """The operator's: every command on every row and column."""
    return [Rule(command, everything) for command in COMMANDS]


@dataclass(frozen=True)
class TablePolicy:
    """The block of one table: for each short role name, its rule per command."""

    table: Table
    rules: Mapping[str, Mapping[Command, Rule]]

    def rule(self, role: str, command: Command) -> Rule | None:
        return self.rules.get(role, {}).get(command)

    def sql(self) -> str:
        """Policies first, then grants: a table is never reachable before it is guarded."""
        pairs = [(role, rule) for role, rules in self.rules.items() for rule in rules.values()]
        lines = [rule.policy_sql(self.table, role) for role, rule in pairs]
        lines += [rule.grant_sql(self.table, role) for role, rule in pairs]
        return "\n".join(lines)
