"""PostgreSQL ends a connection at any point of a change: the change is wholly in or wholly out, and the API goes on.

In full: `python -m pytest -p tests.full --full tests/changes/test_killed_backend.py`.
"""

from pathlib import Path

import pytest

from tests.changes.house import House
from tests.changes.interrupted import KINDS, Round, Rounds, walk
from tests.changes.wire import Link, Moment, wire_to
from tests.client import client_of
from tests.databases import superuser
from tests.full import is_full
from tests.security.conftest import UNLIMITED

ENTIRELY = ("createConversation", "session")


@pytest.mark.parametrize(
    ("field", "pooler"), [*((field, "session") for field in KINDS), ("submitFeedback", "transaction")]
)
async def test_a_backend_ended_anywhere_in_a_change_leaves_all_of_it_or_nothing(
    house: House, tmp_path: Path, pytestconfig: pytest.Config, field: str, pooler: str
) -> None:
    async with (
        wire_to(house.urls) as wire,
        client_of(wire.urls, tmp_path, POOLER=pooler, **UNLIMITED) as client,
        superuser(house.urls) as connection,
    ):

        async def end(link: Link) -> None:
            assert await connection.fetchval("SELECT pg_terminate_backend($1, 5000)", link.backend)

        async def play(at: int, moment: Moment) -> Round:
            return await rounds.struck(client, at, moment, end)

        rounds = Rounds(KINDS[field], house, wire, client, warm=client)
        await rounds.undisturbed()
        await walk(play, Moment, is_whole=(field, pooler) == ENTIRELY or is_full(pytestconfig))
