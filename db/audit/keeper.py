"""Makes checkpoints for as long as the server runs: a task beside it, on one connection of the operator's.

What goes wrong here is logged and tried again; it never stops what is served.
"""

import asyncio
from typing import Any, Final

import asyncpg
import structlog

from db.audit.checkpoints import BrokenChainError, Connection, Signer, due, sign
from db.audit.notes import NotesError
from db.engine import CONNECT_TIMEOUT_S

log = structlog.get_logger(__name__)

EVERY_S: Final = 10.0


async def sign_due(connection: Connection, signer: Signer, known_faults: dict[str, str] | None = None) -> int:
    """A checkpoint for each organization that is due; how many were made. A fault that is known is not logged again."""
    faults = {} if known_faults is None else known_faults
    made = 0
    for organization_id in await due(connection):
        try:
            made += await sign(connection, organization_id, signer) is not None
            faults.pop(organization_id, None)
        except (BrokenChainError, NotesError) as error:
            if faults.get(organization_id) != str(error):
                log.error("audit.not_signed", organization_id=organization_id, reason=str(error))  # noqa: TRY400 - no trace
            faults[organization_id] = str(error)
    return made


async def keep_signing(url: str, signer: Signer, *, every_s: float = EVERY_S) -> None:
    """Never returns; cancel it."""
    faults: dict[str, str] = {}
    while True:
        try:
            connection: Any = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0)
            try:
                while True:
                    await sign_due(connection, signer, faults)
                    await asyncio.sleep(every_s)
            finally:
                connection.terminate()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            log.warning("audit.signing_waits", reason=type(error).__name__)
        await asyncio.sleep(every_s)
