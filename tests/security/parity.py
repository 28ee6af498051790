"""The comparison: what the oracle says, what a login reads under RLS without the API, and what the API shows.

Each function gives the differences as lines of text, so that a test can assert that there are none, or that a planted
fault makes some.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from api.node import global_id
from tests.client import Client
from tests.db.valid_rows import TABLES
from tests.security import oracle
from tests.security.fields import FIELDS
from tests.security.looking import Database, Dump, acting, key_of
from tests.security.people import Principal
from tests.security.routes import TYPES, view_of
from tests.security.views import Many, Route, View

ASKED_AT_ONCE = 100
MOST_PAGES = 400


# ── under RLS alone ──────────────────────────────────────────────────────────────────────────────────────────────────
async def raw_keys(connection: Database, table: str, who: Principal) -> frozenset[Any] | None:
    """The keys of the rows that a bare SELECT finds; None where the role has no right to the table."""
    names = key_of(table)
    async with acting(connection, who):
        try:
            rows = await connection.fetch(f"SELECT {', '.join(names)} FROM app.{table}")
        except asyncpg.InsufficientPrivilegeError:
            return None
        return frozenset(tuple(row) for row in rows)


async def raw_differences(connection: Database, dump: Dump, who: Principal, tables: Iterable[str]) -> list[str]:
    found = []
    for table in tables:
        seen, due = await raw_keys(connection, table, who), oracle.keys(dump, table, who)
        if seen != due:
            found.append(f"{who} reads {table}: {_difference(seen, due)}")
    return found


async def column_differences(connection: Database, who: Principal) -> list[str]:
    """Columns that the role may select against the oracle, or may not although the oracle says so."""
    columns = [(name, column.name) for name, table in TABLES.items() for column in table.c]
    rows = await connection.fetch(
        "SELECT t, c, has_column_privilege($3, 'app.' || t, c, 'SELECT') AS is_read"
        " FROM unnest($1::text[], $2::text[]) AS given (t, c)",
        *map(list, zip(*columns, strict=True)),
        who.db_role,
    )
    return [
        f"{who} {'reads' if row['is_read'] else 'does not read'} {row['t']}.{row['c']}"
        for row in rows
        if row["is_read"] != oracle.is_legible(row["t"], row["c"], who.role)
    ]


# ── through the API ──────────────────────────────────────────────────────────────────────────────────────────────────
async def api_differences(
    client: Client, dump: Dump, who: Principal, types: Iterable[str] = tuple(TYPES), sizes: Sequence[int] = (100,)
) -> list[str]:
    """Every node of these types, its edges, and its root lists in pages of each size."""
    view, found = view_of(dump, who), []
    for name in types:
        route = TYPES[name]
        found += await _nodes(client, view, name, route)
        for listed in route.lists:
            rows = (listed.rows or route.rows)(view)
            due = None if rows is None else {global_id(name, row["id"]) for row in rows}
            found += [line for size in sizes for line in await _list(client, who, listed.text, due, size)]
    return found


def _edges(route: Route) -> str:
    ones = [f"one{at}: {one.text}" for at, one in enumerate(route.ones)]
    pages = "(first: 100)"
    whole = "{edges{node{id}} totalCount{value}}"
    manys = [
        f"many{at}: {many.text}" if many.path else f"many{at}: {many.text.replace('%s', pages)} {whole}"
        for at, many in enumerate(route.manys)
    ]
    return " ".join((*ones, *manys))


async def _nodes(client: Client, view: View, name: str, route: Route) -> list[str]:
    table = "users" if name == "AiSettings" else route.table
    ids = sorted({row["id"] for row in view.dump[table]})
    edges = _edges(route)
    text = f"query($ids: [ID!]!) {{nodes(ids: $ids) {{__typename id ... on {name} {{id {edges}}}}}}}"
    shown, found = view.shown(name) or {}, []
    for start in range(0, len(ids), ASKED_AT_ONCE):
        asked = ids[start : start + ASKED_AT_ONCE]
        body = (await _ask(client, view.who, text, ids=[global_id(name, each) for each in asked])).body
        if "errors" in body:
            return [f"{view.who} asks nodes of {name}: {body['errors'][:2]}"]
        for database_id, node in zip(asked, body["data"]["nodes"], strict=True):
            row = shown.get(database_id)
            if (row is None) != (node is None):
                found.append(f"{view.who} asks node({name}:{database_id}): {'leaked' if node else 'hidden'}")
            elif row is not None:
                found += _edge_differences(view, name, route, row, node)
    return found


def _edge_differences(view: View, name: str, route: Route, row: Any, node: Any) -> list[str]:
    found = []
    place = f"{view.who} asks {name}:{row['id']}"
    for at, one in enumerate(route.ones):
        seen, due = (node[f"one{at}"] or {}).get("id"), one.expected(view, row)
        if seen != due:
            found.append(f"{place}.{one.text}: {seen} instead of {due}")
    for at, many in enumerate(route.manys):
        due_ids = _children(view, many, row)
        answer = node[f"many{at}"]
        if many.path:
            for key in many.path[1:]:
                answer = answer and answer[key]
            seen_ids = answer and [child["id"] for child in answer]
        else:
            seen_ids = answer and [edge["node"]["id"] for edge in answer["edges"]]
            count = answer and answer["totalCount"]["value"]
            if count != (None if due_ids is None else len(due_ids)):
                found.append(f"{place}.{many.text}: totalCount {count} instead of {due_ids and len(due_ids)}")
        if (seen_ids is None) != (due_ids is None) or sorted(seen_ids or ()) != sorted(due_ids or ()):
            found.append(f"{place}.{many.text}: {_difference(seen_ids, due_ids)}")
    return found


def _children(view: View, many: Many, parent: Any) -> set[str] | None:
    rows = (many.rows or TYPES[many.type_name].rows)(view)
    return None if rows is None else {global_id(many.type_name, row["id"]) for row in rows if many.belongs(parent, row)}


async def _list(client: Client, who: Principal, text: str, due: set[str] | None, size: int) -> list[str]:
    """A root list paged to its end; null and FORBIDDEN for who may read none of it."""
    field = text % "first: $first, after: $after"
    page = f"list: {field} {{edges{{node{{id}}}} pageInfo{{hasNextPage endCursor}} totalCount{{value}}}}"
    query = f"query($first: Int, $after: String) {{{page}}}"
    place = f"{who} lists {text} by {size}"
    seen: list[str] = []
    after = None
    for _ in range(MOST_PAGES):
        answer = await _ask(client, who, query, first=size, after=after)
        if due is None:
            is_refused = answer.codes == ["FORBIDDEN"] and answer.body["data"] == {"list": None}
            return [] if is_refused else [f"{place}: {answer.body} instead of FORBIDDEN"]
        if answer.errors:
            return [f"{place}: {answer.errors}"]
        found = answer.body["data"]["list"]
        seen += [edge["node"]["id"] for edge in found["edges"]]
        if found["totalCount"]["value"] != len(due):
            return [f"{place}: totalCount {found['totalCount']['value']} instead of {len(due)}"]
        if not found["pageInfo"]["hasNextPage"]:
            return [] if sorted(seen) == sorted(due) else [f"{place}: {_difference(seen, due)}"]
        after = found["pageInfo"]["endCursor"]
    return [f"{place}: does not end"]


async def field_differences(
    client: Client, dump: Dump, who: Principal, tables: Iterable[str] = tuple(FIELDS)
) -> list[str]:
    """Values that come from side tables. Reading payloads is on record: the dump's audit tables are old afterwards."""
    view, found = view_of(dump, who), []
    for field in (field for table in tables for field in FIELDS[table]):
        shown = list((view.shown(field.type_name) or {}).values())
        text = f"query($ids: [ID!]!) {{nodes(ids: $ids) {{... on {field.type_name} {{value: {field.text}}}}}}}"
        for start in range(0, len(shown), ASKED_AT_ONCE):
            rows = shown[start : start + ASKED_AT_ONCE]
            ids = [global_id(field.type_name, row["id"]) for row in rows]
            nodes = (await _ask(client, who, text, ids=ids)).data["nodes"]
            for row, node in zip(rows, nodes, strict=True):
                seen, due = node and node["value"], field.expected(view, row)
                if seen != due:
                    found.append(f"{who} reads {field.type_name}.{field.text} of {row['id']}: {seen} instead of {due}")
    return found


async def _ask(client: Client, who: Principal, text: str, **variables: Any) -> Any:
    return await client.ask(text, who.who, organization=who.slug, **variables)


def _difference(seen: Any, due: Any) -> str:
    if seen is None or due is None:
        return f"{'refused' if seen is None else f'{len(seen)} rows'} instead of {'refused' if due is None else f'{len(due)} rows'}"
    extra, missing = set(seen) - set(due), set(due) - set(seen)
    twice = len(seen) - len(set(seen))
    return f"{len(extra)} too many {sorted(map(str, extra))[:2]}, {len(missing)} missing {sorted(map(str, missing))[:2]}, {twice} twice"
