"""Each documented list walks its keyset index under row-level security: asked of EXPLAIN as the request role.

The statements are those that the API sends, with the arguments that it sends; each is planned for these arguments and
once more for any (the generic plan, to which PostgreSQL changes after five runs).
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from db.actor import Actor, begin_sql
from db.engine import Pools, Urls, open_pools
from db.session import Session
from tests.client import Client, client_of
from tests.databases import clone, superuser

BIG = 500  # rows; a smaller table may be read whole

FILL_SQL = """
SET session_replication_role = replica;
SELECT app.ensure_partitions(4, (now() - interval '70 days')::date);
CREATE TEMPORARY TABLE o AS SELECT md5(slug)::uuid AS id, slug FROM unnest(ARRAY['ours', 'theirs']) AS slug;
CREATE FUNCTION pg_temp.named(o uuid, kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN md5(o || kind || n)::uuid;

INSERT INTO app.organizations (id, slug, name, kind, timezone) SELECT id, slug, slug, 'TEAM', 'UTC' FROM o;
INSERT INTO app.users (organization_id, id, role)
    SELECT o.id, pg_temp.named(o.id, 'user', n), CASE n WHEN 1 THEN 'ADMIN' WHEN 2 THEN 'AUDITOR' ELSE 'MEMBER' END
    FROM o, generate_series(0, 11) AS n;
INSERT INTO app.identities (organization_id, issuer, subject, user_id)
    SELECT o.id, 'minutebook', name, pg_temp.named(o.id, 'user', n - 1)
    FROM o, unnest(ARRAY['alice', 'carol', 'dave']) WITH ORDINALITY AS p (name, n) WHERE slug = 'ours';
INSERT INTO app.projects (organization_id, id, name)
    SELECT o.id, pg_temp.named(o.id, 'project', n), 'Project' FROM o, generate_series(0, 19) AS n;
INSERT INTO app.ai_tools (organization_id, name) SELECT o.id, 'tool_' || n FROM o, generate_series(0, 4) AS n;
INSERT INTO app.ai_conversations (organization_id, id, user_id, project_id, title, created_at, updated_at, deleted_at)
    SELECT o.id, pg_temp.named(o.id, 'conversation', n), pg_temp.named(o.id, 'user', n % 12),
        pg_temp.named(o.id, 'project', n / 12 % 20), 'Title ' || n, now() - n * interval '30 min',
        now() - n * interval '30 min', CASE WHEN n / 12 % 10 = 9 THEN now() END
    FROM o, generate_series(0, 2399) AS n;
INSERT INTO app.ai_messages (organization_id, user_id, conversation_id, role, content, created_at)
    SELECT c.organization_id, c.user_id, c.id, CASE n % 2 WHEN 0 THEN 'USER' ELSE 'ASSISTANT' END, repeat('word ', 20),
        c.created_at + n * interval '1 min'
    FROM app.ai_conversations AS c, generate_series(0, 5) AS n;
INSERT INTO app.ai_feedback (organization_id, message_id, user_id, rating, created_at)
    SELECT organization_id, id, user_id, 5, created_at FROM app.ai_messages WHERE role = 'ASSISTANT';
INSERT INTO app.ai_insights (organization_id, project_id, insight_type, title, description, severity, created_at)
    SELECT o.id, pg_temp.named(o.id, 'project', n % 20), 'ANOMALY', 'Odd', 'Twice the price',
        (ARRAY['INFO', 'WARNING', 'CRITICAL'])[n % 3 + 1], now() - n * interval '10 min'
    FROM o, generate_series(0, 2999) AS n;
INSERT INTO app.ai_interactions (organization_id, id, user_id, conversation_id, request_bytes, status, type, created_at)
    SELECT o.id, gen_random_uuid(), pg_temp.named(o.id, 'user', n % 12), pg_temp.named(o.id, 'conversation', n % 48), 9,
        CASE WHEN n % 20 = 0 THEN 'FAILED' ELSE 'SUCCEEDED' END, 'chat', now() - n * interval '15 min'
    FROM o, generate_series(0, 5999) AS n;
INSERT INTO app.ai_usage_logs (organization_id, id, user_id, tier, provider, created_at)
    SELECT organization_id, gen_random_uuid(), user_id, 'FREE', 'OPENAI', created_at FROM app.ai_interactions;
INSERT INTO app.tool_calls (organization_id, id, user_id, session_id, conversation_id, tool_name, "timestamp", payload_hash, created_at)
    SELECT i.organization_id, gen_random_uuid(), i.user_id, i.conversation_id, i.conversation_id, 'tool_' || row_number() OVER () % 5,
        i.created_at, sha256(''), i.created_at
    FROM app.ai_interactions AS i;
INSERT INTO app.tool_call_outcomes (organization_id, tool_call_id, user_id, status, "timestamp", completed_at, payload_hash, created_at)
    SELECT organization_id, id, user_id, CASE WHEN row_number() OVER () % 10 = 0 THEN 'ERROR' ELSE 'SUCCESS' END, "timestamp",
        "timestamp" + interval '1 s', payload_hash, created_at
    FROM app.tool_calls;
INSERT INTO app.ai_content_searches (organization_id, id, user_id, query, content_type, created_at)
    SELECT organization_id, gen_random_uuid(), user_id, 'parking', 'EXERCISE', created_at FROM app.ai_interactions;
INSERT INTO app.ai_cache (organization_id, cache_key, response, response_bytes, expires_at, created_at)
    SELECT o.id, 'key' || n, '{}', 2, now() + interval '1 day', now() - n * interval '1 min' FROM o, generate_series(0, 1999) AS n;
INSERT INTO app.documents (organization_id, id, project_id, title, content_type, created_at)
    SELECT o.id, pg_temp.named(o.id, 'document', n), pg_temp.named(o.id, 'project', n % 20), 'Plan ' || n,
        (ARRAY['DOCUMENT', 'ROUTE', 'EVENT'])[n % 3 + 1], now() - n * interval '1 min'
    FROM o, generate_series(0, 1499) AS n;
INSERT INTO app.document_embeddings (organization_id, document_id, chunk_index, chunk_text)
    SELECT organization_id, id, n, 'Boards and nails' FROM app.documents, generate_series(0, 3) AS n;
INSERT INTO app.audit_events (organization_id, seq, action, actor_id, actor_role, target_id, occurred_at, leaf, prev_hash, hash)
    SELECT o.id, n, 'conversation.' || (ARRAY['created', 'updated'])[n % 2 + 1], pg_temp.named(o.id, 'user', n % 12), 'MEMBER',
        pg_temp.named(o.id, 'conversation', n % 2400), now() - n * interval '1 min', sha256(''), sha256(int8send(n - 1)), sha256(int8send(n))
    FROM o, generate_series(1, 6000) AS n;
RESET session_replication_role;
ANALYZE;

-- EXPLAIN in the simple protocol, where parameters stay parameters; with the rights of whoever asks.
CREATE FUNCTION ext.generic_plan(statement text) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (GENERIC_PLAN, FORMAT JSON) ' || statement INTO plan;
    RETURN plan;
END $$;
GRANT EXECUTE ON FUNCTION ext.generic_plan TO PUBLIC;
"""

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
    return f"(first: 5{comma}{arguments}, after: $after) {{ pageInfo {{ endCursor }} edges {{ node {{ {selection} }} }} }}"


def root(name: str, who: str, arguments: str, index: str, keys: str) -> List:
    field = name.partition(" ")[0]
    return List(name, who, field, field + page(arguments), index, keys)


def child(parent: str, name: str, who: str, arguments: str, index: str, keys: str) -> List:
    field = name.partition(" ")[0]
    inner = f"{field}{page(arguments)}"
    return List(f"{parent} {name}", who, f"{parent}/edges/0/node/{field}", f"{parent}(first: 5) {{ edges {{ node {{ {inner} }} }} }}", index, keys)


def of_project(name: str, who: str, arguments: str, index: str, keys: str) -> List:
    field = name.partition(" ")[0]
    asks = f"viewer {{ organization {{ projects(first: 3) {{ edges {{ node {{ {field}{page(arguments)} }} }} }} }} }}"
    return List(f"project {name}", who, f"viewer/organization/projects/edges/0/node/{field}", asks, index, keys)


LISTS = [
    root("conversations", "alice", "", "ix_ai_conversations_user_active", "updated_at, id"),
    root("conversations by age", "alice", "orderBy: {field: CREATED_AT, direction: DESC}, filter: {state: ALL}", "ix_ai_conversations_user_id_created_at_id", "created_at, id"),
    root("conversations deleted", "alice", "filter: {state: DELETED}", "ix_ai_conversations_user_deleted", "updated_at, id"),
    root("conversations of everybody", "service:ours", "", "ix_ai_conversations_active", "updated_at, id"),
    root("conversations oldest first", "service:ours", "orderBy: {field: CREATED_AT, direction: ASC}, filter: {state: ALL}", "ix_ai_conversations_created_at_id", "created_at, id"),
    child("conversations", "messages", "alice", "", "ix_ai_messages_conversation_id_created_at_id", "created_at, id"),
    child("conversations", "toolCalls", "alice", "", "ix_tool_calls_conversation_id_timestamp_id", "timestamp\", id"),
    child("conversations", "interactions", "service:ours", "", "ix_ai_interactions_conversation_id_created_at_id", "created_at, id"),
    of_project("conversations", "service:ours", "filter: {state: ALL}", "ix_ai_conversations_project_id_updated_at_id", "updated_at, id"),
    of_project("insights", "alice", "", "ix_ai_insights_project_id_created_at_id", "created_at, id"),
    of_project("insights by severity", "alice", "orderBy: {field: SEVERITY, direction: DESC}", "ix_ai_insights_project_id_severity_rank_id", "severity_rank, id"),
    of_project("documents", "alice", "", "ix_documents_project_id_created_at_id", "created_at, id"),
    root("insights", "alice", "", "ix_ai_insights_created_at_id", "created_at, id"),
    root("insights by severity", "alice", "orderBy: {field: SEVERITY, direction: DESC}", "ix_ai_insights_severity_rank_id", "severity_rank, id"),
    root("feedback", "dave", "", "ix_ai_feedback_created_at_id", "created_at, id"),
    root("feedback", "alice", "", "ix_ai_feedback_user_id_created_at_id", "created_at, id"),
    root("toolCalls", "dave", "", "ix_tool_calls_timestamp_id", "timestamp\", id"),
    root("toolCalls of a user", "alice", "", "ix_tool_calls_user_id_timestamp_id", "timestamp\", id"),
    root("toolCalls of a tool", "dave", 'filter: {toolName: ["tool_3"]}', "ix_tool_calls_tool_name_timestamp_id or ix_tool_calls_timestamp_id", "timestamp\", id"),
    root("toolCalls that failed", "dave", "filter: {status: [ERROR]}", "ix_tool_call_outcomes_status_timestamp_tool_call_id", "timestamp\", tool_call_id"),
    root("toolCalls that failed", "alice", "filter: {status: [ERROR]}", "ix_tool_call_outcomes_user_id_status_timestamp_tool_call_id", "timestamp\", tool_call_id"),
    root("aiInteractions", "carol", f"filter: {{{RANGE}}}", "ix_ai_interactions_created_at_id", "created_at, id"),
    root("aiInteractions that failed", "carol", f"filter: {{status: [FAILED], {RANGE}}}", "ix_ai_interactions_status_created_at_id or ix_ai_interactions_created_at_id", "created_at, id"),
    root("usageLogs", "carol", f"filter: {{{RANGE}}}", "ix_ai_usage_logs_created_at_id", "created_at, id"),
    root("auditEvents", "dave", "", "uq_audit_events_seq", "seq, id"),
    root("auditEvents of an action", "dave", 'filter: {action: ["conversation.created"]}', "ix_audit_events_action_seq or uq_audit_events_seq", "seq, id"),
    root("contentSearches", "alice", "", "ix_ai_content_searches_user_id_created_at_id", "created_at, id"),
    root("contentSearches", "dave", "", "ix_ai_content_searches_created_at_id", "created_at, id"),
    root("documents", "alice", "", "ix_documents_created_at_id", "created_at, id"),
    root("documents of a kind", "alice", "filter: {contentType: [ROUTE]}", "ix_documents_content_type_created_at_id or ix_documents_created_at_id", "created_at, id"),
    child("documents", "chunks", "alice", "", "ix_document_embeddings_document_id_chunk_index_id", "chunk_index, id"),
    root("cacheEntries", "carol", "", "ix_ai_cache_created_at_id", "created_at, id"),
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

    pools: Pools
    client: Client
    sent: list[Sent]
    big: set[str]
    parents: dict[str, str]  # a month's index → the index of the whole table

    async def ask(self, question: str, who: str) -> tuple[Any, list[Sent]]:
        self.sent.clear()
        answer = await self.client.ask(question, who, organization=None)
        return answer.data, list(self.sent)

    async def of(self, sent: Sent) -> list[dict[str, Any]]:
        """The plan for these arguments, and the one for any."""
        pool = self.pools.ingest if sent.actor.user_id is None else self.pools.api
        async with pool.acquire() as connection:
            await connection.execute(begin_sql(sent.actor, read_only=True, request_id="plan", timeout_ms=0))
            try:
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
            await connection.execute(FILL_SQL)
            rows = await connection.fetch("SELECT relname::text FROM pg_class WHERE relkind = 'r' AND reltuples > $1", float(BIG))
            months = await connection.fetch(
                "SELECT inhrelid::regclass::text AS month, inhparent::regclass::text AS parent FROM pg_inherits"
                " JOIN pg_class ON pg_class.oid = inhparent WHERE relkind = 'I'"
            )
        parents = {row["month"].removeprefix("app."): row["parent"].removeprefix("app.") for row in months}
        pools = await open_pools(urls, api_size=1, ingest_size=1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Session, "fetch_text", recording)
            async with client_of(urls, tmp_path_factory.mktemp("api"), EMBEDDER="none") as client:
                yield Plans(pools, client, sent, {row[0] for row in rows}, parents)
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
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    text = asked.asks
    if "%(from)s" in text:
        text = text % {"from": (now - timedelta(days=60)).isoformat(), "to": now.isoformat()}
    return f"{{ {text.replace('$after', json.dumps(after))} }}"


@pytest.mark.parametrize("asked", LISTS, ids=[f"{asked.name} as {asked.who}" for asked in LISTS])
async def test_a_list_walks_its_index_from_the_cursor_on(plans: Plans, asked: List) -> None:
    data, first = await plans.ask(question(asked, None), asked.who)
    cursor = at(data, asked.path)["pageInfo"]["endCursor"]
    assert cursor is not None, "nothing is proven about an empty list"
    _, second = await plans.ask(question(asked, cursor), asked.who)
    for number, statements in enumerate((first, second), start=1):
        for sent in statements:
            for plan in await plans.of(sent):
                assert read_whole(plan) & plans.big == set(), (sent.sql, plan)
        for plan in await plans.of(statements[-1]):
            used = {plans.parents.get(node["Index Name"], node["Index Name"]): node for node in nodes(plan) if "Index Name" in node}
            walked = [index for index in asked.index.split(" or ") if index in used]
            assert walked, (statements[-1].sql, plan)
            assert sorts_under_limit(plan) == [], (statements[-1].sql, plan)
            if number == 2:
                condition = used[walked[0]].get("Index Cond", "")
                assert f"{asked.keys})" in condition, condition


async def test_a_list_without_an_index_is_found(plans: Plans) -> None:
    _, sent = await plans.ask("{ conversations(first: 1) { edges { node { id } } } }", "service:ours")
    sql = "SELECT id FROM app.ai_messages WHERE content = $1::text ORDER BY content_length, id LIMIT 5"
    for plan in await plans.of(Sent(sent[0].actor, sql, ("word",))):
        assert read_whole(plan) & plans.big == {"ai_messages"}
        assert sorts_under_limit(plan) == ["Sort"]
