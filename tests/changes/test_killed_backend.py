"""PostgreSQL ends a connection at any point of a change: the change is wholly in or wholly out, and the API goes on.

In full: `python -m pytest -p tests.full --full tests/changes/test_killed_backend.py`.
"""

from collections import Counter
from pathlib import Path

import pytest

from db import session as sessions
from tests.changes.house import House
from tests.changes.interrupted import KINDS, Round, Rounds, walk
from tests.changes.wire import Link, Moment, wire_to
from tests.client import client_of
from tests.databases import superuser
from tests.full import is_full
from tests.security.conftest import UNLIMITED
from tests.security.people import NORTH, uid

ENTIRELY = ("createConversation", "session", 0)


@pytest.mark.parametrize(
    ("field", "pooler", "others"),
    [
        *((field, "session", 0) for field in KINDS),
        ("submitFeedback", "transaction", 0),
        ("submitFeedback", "session", 1),
    ],
)
async def test_a_backend_ended_anywhere_in_a_change_leaves_all_of_it_or_nothing(
    house: House,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    pooler: str,
    others: int,
) -> None:
    # As if so many other changes of the organization were always under way: it decides how this one commits.
    monkeypatch.setattr(sessions, "_under_way", Counter({uid(NORTH): others}))
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
        await walk(play, Moment, is_whole=(field, pooler, others) == ENTIRELY or is_full(pytestconfig))
