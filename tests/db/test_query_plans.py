"""Each documented list walks its keyset index under row-level security: asked of EXPLAIN as the request role.

The statements are those that the API sends, with the arguments that it sends; each is planned for these arguments and
once more for any (the generic plan, to which PostgreSQL may change after five runs).
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from db.actor import Actor, begin_sql
from db.engine import Pools, Urls, open_pools
from db.session import Session
from tests.client import Client, client_of
from tests.databases import clone, superuser

BIG = 500  # rows; a smaller table may be read whole
FILL = Path(__file__).with_name("query_plans.sql")

RANGE = 'range: {from: "%(from)s", to: "%(to)s"}'


@dataclass(frozen=True)
class List:
    """A list of the API as a caller asks for it, and the index by which it must be read. `path` leads to its connection."""

    name: str
    who: str
    path: str
    asks: str
    index: str
    keys: str  # what bounds the second page, as PostgreSQL prints it


def page(arguments: str, selection: str = "id") -> str:
    comma = ", " if arguments else ""
    return (
        f"(first: 5{comma}{arguments}, after: $after) {{ pageInfo {{ endCursor }} edges {{ node {{ {selection} }} }} }}"
    )


def root(name: str, who: str, arguments: str, index: str, keys: str) -> List:
    field = name.partition(" ")[0]
    return List(name, who, field, field + page(arguments), index, keys)


def child(parent: str, name: str, who: str, index: str, keys: str) -> List:
    field = name.partition(" ")[0]
    asks = f"{parent}(first: 5) {{ edges {{ node {{ {field}{page('')} }} }} }}"
    return List(f"{parent} {name}", who, f"{parent}/edges/0/node/{field}", asks, index, keys)


def of_project(name: str, who: str, arguments: str, index: str, keys: str) -> List:
    field = name.partition(" ")[0]
    asks = f"viewer {{ organization {{ projects(first: 3) {{ edges {{ node {{ {field}{page(arguments)} }} }} }} }} }}"
    return List(f"project {name}", who, f"viewer/organization/projects/edges/0/node/{field}", asks, index, keys)


LISTS = [
    root("conversations", "alice", "", "ix_ai_conversations_user_active", "updated_at, id)"),
    root("conversations by age", "alice", "orderBy: {field: CREATED_AT, direction: DESC}, filter: {state: ALL}", "ix_ai_conversations_user_id_created_at_id", "created_at, id)"),
    root("conversations deleted", "alice", "filter: {state: DELETED}", "ix_ai_conversations_user_deleted", "updated_at, id)"),
    root("conversations of everybody", "service:ours", "", "ix_ai_conversations_active", "updated_at, id)"),
    root("conversations oldest first", "service:ours", "orderBy: {field: CREATED_AT, direction: ASC}, filter: {state: ALL}", "ix_ai_conversations_created_at_id", "created_at, id)"),
    child("conversations", "messages", "alice", "ix_ai_messages_conversation_id_created_at_id", "created_at, id)"),
    child("conversations", "toolCalls", "alice", "ix_tool_calls_conversation_id_timestamp_id", 'timestamp", id)'),
    child("conversations", "interactions", "service:ours", "ix_ai_interactions_conversation_id_created_at_id", "created_at, id)"),
    of_project("conversations", "service:ours", "filter: {state: ALL}", "ix_ai_conversations_project_id_updated_at_id", "updated_at, id)"),
    of_project("insights", "alice", "", "ix_ai_insights_project_id_created_at_id", "created_at, id)"),
    of_project("insights by severity", "alice", "orderBy: {field: SEVERITY, direction: DESC}", "ix_ai_insights_project_id_severity_rank_id", "severity_rank, id)"),
    of_project("documents", "alice", "", "ix_documents_project_id_created_at_id", "created_at, id)"),
    root("insights", "alice", "", "ix_ai_insights_created_at_id", "created_at, id)"),
    root("insights by severity", "alice", "orderBy: {field: SEVERITY, direction: DESC}", "ix_ai_insights_severity_rank_id", "severity_rank, id)"),
    root("feedback", "dave", "", "ix_ai_feedback_created_at_id", "created_at, id)"),
    root("feedback", "alice", "", "ix_ai_feedback_user_id_created_at_id", "created_at, id)"),
    root("toolCalls", "dave", "", "ix_tool_calls_timestamp_id", 'timestamp", id)'),
    root("toolCalls of a user", "alice", "", "ix_tool_calls_user_id_timestamp_id", 'timestamp", id)'),
    root("toolCalls of a tool", "dave", 'filter: {toolName: ["tool_3"]}', "ix_tool_calls_tool_name_timestamp_id or ix_tool_calls_timestamp_id", 'timestamp", id)'),
    root("toolCalls that failed", "dave", "filter: {status: [ERROR]}", "ix_tool_call_outcomes_status_timestamp_tool_call_id", 'timestamp", tool_call_id)'),
    root("toolCalls that failed", "alice", "filter: {status: [ERROR]}", "ix_tool_call_outcomes_user_id_status_timestamp_tool_call_id", 'timestamp", tool_call_id)'),
    root("aiInteractions", "carol", f"filter: {{{RANGE}}}", "ix_ai_interactions_created_at_id", "created_at, id)"),
    root("aiInteractions that failed", "carol", f"filter: {{status: [FAILED], {RANGE}}}", "ix_ai_interactions_status_created_at_id or ix_ai_interactions_created_at_id", "created_at, id)"),
    root("usageLogs", "carol", f"filter: {{{RANGE}}}", "ix_ai_usage_logs_created_at_id", "created_at, id)"),
    root("auditEvents", "dave", "", "uq_audit_events_seq", "seq <= "),
    root("auditEvents of an action", "dave", 'filter: {action: ["conversation.created"]}', "ix_audit_events_action_seq or uq_audit_events_seq", "seq <= "),
    root("contentSearches", "alice", "", "ix_ai_content_searches_user_id_created_at_id", "created_at, id)"),
    root("contentSearches", "dave", "", "ix_ai_content_searches_created_at_id", "created_at, id)"),
    root("documents", "alice", "", "ix_documents_created_at_id", "created_at, id)"),
    root("documents of a kind", "alice", "filter: {contentType: [ROUTE]}", "ix_documents_content_type_created_at_id or ix_documents_created_at_id", "created_at, id)"),
    child("documents", "chunks", "alice", "ix_document_embeddings_document_id_chunk_index_id", "chunk_index, id)"),
    root("cacheEntries", "carol", "", "ix_ai_cache_created_at_id", "created_at, id)"),
]  # fmt: skip


@dataclass(frozen=True)
class Sent:
    """A data statement as the API sent it."""

    actor: Actor
    sql: str
    arguments: tuple[Any, ...]


@dataclass
class Plans:
    """Asks for plans as the API's own logins and roles."""

    urls: Urls
    pools: Pools
    client: Client
    sent: list[Sent]
    big: set[str]
    parents: dict[str, str]  # a month's index → the index of the whole table

    async def ask(self, question: str, who: str) -> tuple[Any, list[Sent]]:
        self.sent.clear()
        answer = await self.client.ask(question, who, organization=None)
        return answer.data, list(self.sent)

    async def of(self, sent: Sent, *, may_sort: bool = True) -> list[dict[str, Any]]:
        """The plan for these arguments, and the one for any."""
        pool = self.pools.ingest if sent.actor.user_id is None else self.pools.api
        async with pool.acquire() as connection:
            await connection.execute(begin_sql(sent.actor, read_only=True, request_id="plan", timeout_ms=0))
            try:
                await connection.execute(f"SET LOCAL enable_sort = {may_sort}")
                custom = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {sent.sql}", *sent.arguments)
                generic = await connection.fetchval("SELECT ext.generic_plan($1)", sent.sql)
            finally:
                await connection.execute("ROLLBACK")
        return [json.loads(plan)[0]["Plan"] for plan in (custom, generic)]


@pytest.fixture(scope="module")
async def plans(template: Urls, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Plans]:
    sent: list[Sent] = []
    fetch_text = Session.fetch_text

    async def recording(self: Session, sql: str, *arguments: Any) -> Any:
        sent.append(Sent(self.actor, sql, arguments))
        return await fetch_text(self, sql, *arguments)

    async with clone(template) as urls:
        async with superuser(urls) as connection:
            await connection.execute(FILL.read_text(encoding="utf-8"))
            rows = await connection.fetch(
                "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND reltuples > $1", float(BIG)
            )
            months = await connection.fetch(
                "SELECT inhrelid::regclass::text AS month, inhparent::regclass::text AS parent FROM pg_inherits"
                " JOIN pg_class ON pg_class.oid = inhparent WHERE relkind = 'I'"
            )
        parents = {row["month"].removeprefix("app."): row["parent"].removeprefix("app.") for row in months}
        pools = await open_pools(urls, api_size=1, ingest_size=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "fetch_text", recording)
            async with client_of(urls, tmp_path_factory.mktemp("api"), EMBEDDER="none") as client:
                yield Plans(urls, pools, client, sent, {row[0] for row in rows}, parents)
        await pools.close()


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def read_whole(plan: dict[str, Any]) -> set[str]:
    """Relations under a sequential scan."""
    return {node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"}


def sorts_under_limit(plan: dict[str, Any]) -> list[str]:
    """Sorts whose input is more than a page."""
    return [
        node["Node Type"]
        for limit in nodes(plan)
        if limit["Node Type"] == "Limit"
        for node in nodes(limit)
        if node["Node Type"] == "Sort"  # an Incremental Sort reads on only while the index's own order ties
    ]


def at(data: Any, path: str) -> Any:
    for step in path.split("/"):
        data = data[int(step)] if step.isdigit() else data[step]
    return data


def question(asked: List, after: str | None) -> str:
    """The operation's text, the cursor in its place; the range is the last sixty days."""
    now = datetime.now(UTC)
    text = asked.asks
    if "%(from)s" in text:
        text = text % {"from": (now - timedelta(days=60)).isoformat(), "to": now.isoformat()}
    return f"{{ {text.replace('$after', json.dumps(after))} }}"


async def complaints(plans: Plans, asked: List) -> list[str]:
    """What is wrong with the plans of the list's first and second page."""
    data, first = await plans.ask(question(asked, None), asked.who)
    cursor = at(data, asked.path)["pageInfo"]["endCursor"]
    assert cursor is not None, "nothing is proven about an empty list"
    _, second = await plans.ask(question(asked, cursor), asked.who)
    found = [
        f"reads {name} whole: {sent.sql}"
        for sent in (*first, *second)
        for plan in await plans.of(sent)
        for name in read_whole(plan) & plans.big
    ]
    for sent in (first[-1], second[-1]):
        # Few rows are sorted sooner than walked in order; that they could be is what the second pair of plans says.
        unsorted = await plans.of(sent, may_sort=False)
        found += [f"{sort} below the limit: {sent.sql}" for plan in unsorted for sort in sorts_under_limit(plan)]
        for plan in (*await plans.of(sent), *unsorted):
            used = {plans.parents.get(name, name): node for node in nodes(plan) if (name := node.get("Index Name"))}
            walked = [used[index] for index in asked.index.split(" or ") if index in used]
            if not walked:
                found.append(f"{asked.index} is not among {', '.join(used)}: {sent.sql}")
            elif sent is second[-1] and asked.keys not in walked[0].get("Index Cond", ""):
                found.append(f"the cursor does not bound the index: {walked[0].get('Index Cond')}")
    return found


@pytest.mark.parametrize("asked", LISTS, ids=[f"{asked.name} as {asked.who}" for asked in LISTS])
async def test_a_list_walks_its_index_from_the_cursor_on(plans: Plans, asked: List) -> None:
    assert await complaints(plans, asked) == []


async def test_a_list_over_months_is_planned_once_for_whatever_is_asked(plans: Plans) -> None:
    """Left to itself, PostgreSQL plans it anew for each request: with the months known it takes it for cheaper."""
    _, [sent, *_] = await plans.ask("{ toolCalls { edges { node { toolName } } } }", "dave")
    async with plans.pools.api.acquire() as connection:
        for _ in range(10):
            await connection.execute(begin_sql(sent.actor, read_only=True, request_id="plan", timeout_ms=0))
            assert await connection.fetch(sent.sql, *sent.arguments)
            await connection.execute("ROLLBACK")
        counted = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
        generic, custom = await connection.fetchrow(counted, sent.sql)
    assert generic >= 10
    assert custom == 0


async def test_what_hangs_together_is_not_taken_for_rare(plans: Plans) -> None:
    """As if a person's organization said nothing of the person, "both" would look like a handful of rows."""
    counted = 'EXPLAIN (FORMAT JSON) SELECT FROM app."{table}" WHERE organization_id = $1 AND user_id = $2'
    async with superuser(plans.urls) as connection:
        for table in ("ai_conversations", "ai_messages", "ai_feedback", "tool_calls", "tool_call_outcomes"):
            row = await connection.fetchrow(
                f"SELECT organization_id, user_id, count(*) FROM app.{table} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 1"
            )
            plan = json.loads(await connection.fetchval(counted.format(table=table), row[0], row[1]))
            assert plan[0]["Plan"]["Plan Rows"] > row[2] / 2, table


async def test_a_list_that_lost_its_index_is_found(plans: Plans) -> None:
    """The last test of this file, since the index does not come back."""
    asked = next(asked for asked in LISTS if asked.name == "feedback" and asked.who == "dave")
    async with superuser(plans.urls) as connection:
        await connection.execute("DROP INDEX app.ix_ai_feedback_created_at_id")
        # Without it PostgreSQL may read the table or walk another index: what reads it whole is asked for by itself.
        whole = await connection.fetchval("EXPLAIN (FORMAT JSON) SELECT FROM app.ai_feedback WHERE feedback_text = ''")
    assert read_whole(json.loads(whole)[0]["Plan"]) & plans.big == {"ai_feedback"}
    found = await complaints(plans, asked)
    assert any("is not among" in complaint for complaint in found)
    assert any("Sort below the limit" in complaint for complaint in found)
