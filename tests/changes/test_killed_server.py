"""The serving process is killed at any point of a change, as the kernel does: the change is wholly in or wholly out.

In full: `python -m pytest -p tests.full --full tests/changes/test_killed_server.py`.
"""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.changes.house import House
from tests.changes.interrupted import KINDS, Round, Rounds, walk
from tests.changes.servers import Servers, servers_of
from tests.changes.wire import Link, Moment, Wire, wire_to
from tests.full import is_full
from tests.security.conftest import UNLIMITED

ENTIRELY = "createConversation"


@pytest.fixture
async def wire(house: House) -> AsyncIterator[Wire]:
    async with wire_to(house.urls) as wire:
        yield wire


@pytest.fixture
async def servers(wire: Wire, tmp_path: Path) -> AsyncIterator[Servers]:
    async with servers_of(wire.urls, tmp_path, **UNLIMITED) as servers:
        yield servers


async def killed(rounds: Rounds, servers: Servers, at: int, moment: Moment) -> Round:
    """A round whose server, just started, is killed at this point."""
    async with servers.one() as server:

        async def kill(link: Link) -> None:
            servers.kill(server)

        return await rounds.struck(server.client, at, moment, kill)


@pytest.mark.parametrize("field", KINDS)
async def test_a_server_killed_anywhere_in_a_change_leaves_all_of_it_or_nothing(
    house: House, wire: Wire, servers: Servers, pytestconfig: pytest.Config, field: str
) -> None:
    rounds = Rounds(KINDS[field], house, wire, house.client)
    await rounds.undisturbed()
    moments = Moment if is_full(pytestconfig) else (Moment.UNSENT, Moment.UNREAD)
    is_whole = field == ENTIRELY or is_full(pytestconfig)
    assert await walk(partial(killed, rounds, servers), moments, is_whole=is_whole) >= len(tuple(moments))
