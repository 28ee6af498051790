"""Makes checkpoints for as long as the server runs: a task beside it, on one connection of the operator's.

What goes wrong here is logged and tried again; it never stops what is served.
"""

import asyncio
import time
from collections.abc import Container
from typing import Any, Final

import asyncpg
import structlog

from db.audit.checkpoints import BrokenChainError, Connection, Signer, due, sign
from db.audit.notes import NotesError
from db.engine import CONNECT_TIMEOUT_S
from db.pool import CONNECTION_ERRORS

log = structlog.get_logger(__name__)

EVERY_S: Final = 10.0
AGAIN_S: Final = 600.0


async def sign_due(connection: Connection, signer: Signer, skipped: Container[str] = ()) -> tuple[int, dict[str, str]]:
    """A checkpoint for each organization that is due: how many were made, and for whom none could be, with why."""
    made, faults = 0, {}
    for organization_id in await due(connection):
        if organization_id in skipped:
            continue
        try:
            made += await sign(connection, organization_id, signer) is not None
        except (BrokenChainError, NotesError) as error:
            faults[organization_id] = str(error)
    return made, faults


async def keep_signing(url: str, signer: Signer, *, every_s: float = EVERY_S, again_s: float = AGAIN_S) -> None:
    """Never returns; cancel it."""
    # A chain that cannot be signed costs what it has in events each time: it is tried again after a while.
    again_at: dict[str, float] = {}
    while True:
        try:
            connection: Any = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0)
            try:
                while True:
                    now = time.monotonic()
                    _, faults = await sign_due(connection, signer, {each for each, at in again_at.items() if at > now})
                    for organization_id, reason in faults.items():
                        log.error("audit.not_signed", organization_id=organization_id, reason=reason)
                        again_at[organization_id] = now + again_s
                    await asyncio.sleep(every_s)
            finally:
                connection.terminate()
        except CONNECTION_ERRORS as error:
            log.warning("audit.signing_waits", reason=type(error).__name__)
        await asyncio.sleep(every_s)
