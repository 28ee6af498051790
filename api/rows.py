"""The row that a change is about: found and locked, or refused as NOT_FOUND or FORBIDDEN by the mirror, before any effect.

A row that the caller may not see does not exist for it; one that it sees but may not change is FORBIDDEN.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, select

from api.change import Change
from api.filters import present
from api.payload import UserErrorCode, refused
from api.permissions import Right
from api.scalars import clean_text
from db import mirror
from db.policy import Command
from db.types import Role


def allowed(change: Change, right: Right) -> None:
    """Raises RefusedError (FORBIDDEN) when the role may not do this to any row."""
    role = change.actor.role
    if not right.is_granted(role):
        raise refused(UserErrorCode.FORBIDDEN)
    if right.not_by_services is not None and role is Role.SERVICE:
        raise refused(UserErrorCode.FORBIDDEN, message=right.not_by_services)


async def locked(
    change: Change,
    table: Table,
    database_id: str,
    *path: str,
    columns: tuple[ColumnElement[Any], ...] = (),
    tests: Callable[[], tuple[ColumnElement[bool], ...]] = tuple,
) -> Any:
    """The row's id and `columns`, locked for update. Raises RefusedError.

    `tests` narrow what counts as existing (a conversation that is not deleted).
    """
    role = change.actor.role

    def build(command: Command) -> Select[Any]:
        row = select(table.c.id, *columns).where(mirror.where(role, table, command))
        return row.where(table.c.id == bindparam("id", type_=table.c.id.type), *tests())

    shape = (table.name, tuple(column.key for column in columns), tests)
    if mirror.allows(role, table.name, "update"):
        rows = await change.session.fetch(
            ("locked", *shape), lambda: build("update").with_for_update(key_share=True), id=database_id
        )
        if rows:
            return rows[0]
    seen = mirror.allows(role, table.name) and await change.session.fetch(
        ("seen", *shape), lambda: build("select"), id=database_id
    )
    raise refused(UserErrorCode.FORBIDDEN if seen else UserErrorCode.NOT_FOUND, *path)


def unchanged_since(change: Change, expected: datetime | None, found: datetime) -> bool:
    """Whether the row is still as the caller saw it; otherwise a CONFLICT is noted, and the caller gets the current node."""
    if present(expected) is None or expected == found:
        return True
    change.refuse(UserErrorCode.CONFLICT, "expectedUpdatedAt", message="It changed since you read it.")
    return False


def text_of(value: str | None, path: str, *, most: int, may_be_blank: bool = False) -> str | None:
    """A text as it came. Raises RefusedError: INVALID when blank, PAYLOAD_TOO_LARGE when longer than `most` characters."""
    if value is None:
        return None
    if len(value) > most:
        raise refused(UserErrorCode.PAYLOAD_TOO_LARGE, path, message=f"At most {most} characters are allowed.")
    if not may_be_blank and not value.strip():
        raise refused(UserErrorCode.INVALID, path, message="This must not be blank.")
    return clean_text(value, path, most)
