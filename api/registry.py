"""Nodes by type name: which source reads a global id. Filled by `api/schema.py`, the only list of entities."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from api.context import Context
from api.loaders import by_id, by_ids
from api.node import Node, Source, parse_id

SOURCES: Final[dict[str, Source[Any]]] = {}


def register(sources: tuple[Source[Any], ...]) -> None:
    """Make these sources' nodes reachable by id."""
    SOURCES.update({source.name: source for source in sources})


async def load(context: Context, type_name: str | None, database_id: str | None) -> Node | None:
    """The node, or None when there is none of that type and id that the caller may see."""
    source = SOURCES.get(type_name or "")
    return await by_id(context, source, database_id) if source else None


async def load_all(context: Context, values: Sequence[str], argument: str = "ids") -> list[Node | None]:
    """The nodes of many global ids in their order, one statement a type. Raises BadUserInputError for what is no ID."""
    parsed = [parse_id(value, f"{argument}.{at}") for at, value in enumerate(values)]
    return await load_each(context, parsed)


async def load_each(context: Context, places: Sequence[tuple[str | None, str | None]]) -> list[Node | None]:
    """The nodes of these types and uuids in their order, one statement a type; None as `load` gives it."""
    groups: dict[str, list[str]] = {}
    for type_name, database_id in places:
        if type_name in SOURCES and database_id is not None:
            groups.setdefault(type_name, []).append(database_id)
    lists = await asyncio.gather(*(by_ids(context, SOURCES[name], ids) for name, ids in groups.items()))
    found = {
        (name, each): node
        for (name, ids), nodes in zip(groups.items(), lists, strict=True)
        for each, node in zip(ids, nodes, strict=True)
    }
    return [found.get((type_name or "", database_id or "")) for type_name, database_id in places]
