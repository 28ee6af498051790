"""Who acts: the verified caller, and the request context PostgreSQL's policies read.

The only Python file that spells a setting `app.*`. Literals are safe by construction: canonical uuids, a fixed
role map, an int and a request id of `[A-Za-z0-9-]{1,64}` are all that ever enters the text of BEGIN.
"""

import re
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from db.types import Role

DB_ROLES: Final = {
    Role.MEMBER: "app_member",
    Role.OBSERVER: "app_observer",
    Role.ADMIN: "app_admin",
    Role.AUDITOR: "app_auditor",
    Role.SERVICE: "app_service",
}

CONTEXT_ORGANIZATION: Final = "nullif(current_setting('app.organization_id', true), '')::uuid"
CONTEXT_USER: Final = "nullif(current_setting('app.user_id', true), '')::uuid"
CONTEXT_ACTOR: Final = "nullif(current_setting('app.actor_id', true), '')::uuid"

END: Final = "COMMIT; SELECT app.assert_clean()"
# Where this savepoint is, a change is stored and what reads on after it has begun (db/commit.py).
READING: Final = "reading"

_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


def canonical(value: str) -> str:
    """The lower-case, hyphenated text of a uuid; ValueError for anything else."""
    return str(uuid.UUID(value))


@dataclass(frozen=True)
class Actor:
    """A caller whose credential was verified. `user_id` is None for a service, `actor_id` never is."""

    organization_id: str
    user_id: str | None
    actor_id: str
    role: Role
    epoch: int = 0
    issuer: str = ""
    subject: str = ""

    def __post_init__(self) -> None:
        for name in ("organization_id", "user_id", "actor_id"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, canonical(value))
        if (self.user_id is None) != (self.role is Role.SERVICE):
            raise ValueError("a service acts without a user, everybody else as one")

    @cached_property
    def db_role(self) -> str:
        """The request role that the transaction takes on."""
        return DB_ROLES[self.role]


def begin_sql(
    actor: Actor,
    *,
    read_only: bool,
    request_id: str,
    timeout_ms: int,
    ends_another: bool = False,
    is_after_change: bool = False,
) -> str:
    """BEGIN and the request context as one message of the simple protocol.

    `ends_another` where a transaction is still open on the connection, one that only read or (`is_after_change`) a change
    that is committed by this: it is ended first, and nothing is begun where it left a role or a context. The check comes
    after BEGIN: before it, it would make a transaction of its own.

    A query reads one snapshot (REPEATABLE READ READ ONLY). A change is READ COMMITTED, spelled out: under
    REPEATABLE READ nearly every concurrent audit append would fail with a serialization error.
    """
    if not _REQUEST_ID.match(request_id):
        raise ValueError("a request id is 1 to 64 letters, digits and hyphens")
    mode = "REPEATABLE READ READ ONLY" if read_only else "READ COMMITTED"
    first, check = ("COMMIT; ", "app.assert_clean(), ") if ends_another else ("", "")
    mark = f"SAVEPOINT {READING}; " if is_after_change else ""
    return (
        f"{first}BEGIN ISOLATION LEVEL {mode}; {mark}SELECT {check}app.begin_request('{actor.organization_id}', '{actor.user_id or ''}', "
        f"'{actor.actor_id}', '{actor.db_role}', '{request_id}', {int(timeout_ms)})"
    )


def operator_context_sql(organization_id: str) -> str:
    """For the operator's own transaction: which organization the next audit events belong to."""
    return f"SET LOCAL app.organization_id = '{canonical(organization_id)}'"
