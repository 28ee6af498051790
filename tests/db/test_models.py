"""The models against a real PostgreSQL: printed as DDL, created, filled through compiled Core statements on asyncpg."""

import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Connection,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    insert,
)
from sqlalchemy.dialects.postgresql import asyncpg as compiler
from sqlalchemy.ext.asyncio import create_async_engine

from db import ddl, models, types
from db.embedded import EmbeddedServer
from tests.db.valid_rows import NOW, OURS, ROWS, TABLES, THEIRS, THING, Database, put

# What the tables' text calls; the real ones come with the migrations.
FUNCTIONS = """
CREATE SCHEMA app; CREATE SCHEMA ext;
CREATE EXTENSION vector SCHEMA ext; CREATE EXTENSION btree_gin SCHEMA ext;
CREATE FUNCTION app.uuidv7() RETURNS uuid LANGUAGE sql VOLATILE RETURN pg_catalog.uuidv7();
CREATE FUNCTION app.uuid_time(id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN uuid_extract_version(id) = 7 THEN uuid_extract_timestamp(id) END;
CREATE FUNCTION app.distribute(relation regclass, by_column text DEFAULT 'organization_id') RETURNS void
    LANGUAGE sql AS 'SELECT';
"""


def month(moment: datetime) -> datetime:
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


async def make_months(connection: Database, table: Table) -> None:
    """Last month to next month."""
    this = month(NOW)
    bounds = [month(this - timedelta(days=1)), this, month(this + timedelta(days=32)), month(this + timedelta(days=63))]
    for start, end in pairwise(bounds):
        name = f"{table.fullname}_{start:%Y_%m}"
        await connection.execute(
            f"CREATE TABLE {name} (LIKE {table.fullname} INCLUDING ALL);"
            f"ALTER TABLE {table.fullname} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')"
        )


async def to_database(url: str, name: str) -> Database:
    connection: Database = await asyncpg.connect(urlsplit(url)._replace(path=f"/{name}").geturl())
    await connection.set_type_codec("uuid", encoder=str, decoder=str, schema="pg_catalog", format="text")
    return connection


@pytest_asyncio.fixture(scope="module")
async def url(server: EmbeddedServer) -> AsyncIterator[str]:
    """A database that holds the printed tables and nothing else of ours."""
    bootstrap = await asyncpg.connect(server.bootstrap_url)
    await bootstrap.execute("CREATE DATABASE printed_models")
    connection = await to_database(server.bootstrap_url, "printed_models")
    await connection.execute(FUNCTIONS)
    for table in TABLES.values():
        await connection.execute(ddl.table_sql(table))
        if ddl.is_partitioned(table):
            await make_months(connection, table)
    await connection.close()
    yield urlsplit(server.bootstrap_url)._replace(path="/printed_models").geturl()
    await bootstrap.execute("DROP DATABASE printed_models WITH (FORCE)")
    await bootstrap.close()


@pytest_asyncio.fixture
async def rows(url: str) -> AsyncIterator[Database]:
    """A connection whose transaction holds one valid row of each table; rolled back."""
    connection = await to_database(url, "printed_models")
    transaction = connection.transaction()
    await transaction.start()
    for name in TABLES:
        if name == "organizations":
            await put(connection, name)
    for name in TABLES:
        if name != "organizations":
            await put(connection, name)
    yield connection
    await transaction.rollback()
    await connection.close()


async def refused(connection: Database, name: str, kind: type[Exception], **changes: object) -> None:
    with pytest.raises(kind):
        async with connection.transaction():
            await put(connection, name, **changes)


async def counts(connection: Database) -> dict[str, int]:
    """How many rows each table has."""
    return {name: await connection.fetchval(f"SELECT count(*) FROM {table.fullname}") for name, table in TABLES.items()}


async def test_a_row_of_one_organization_cannot_refer_to_another(rows: Database) -> None:
    await put(rows, "organizations", id=THEIRS, slug="theirs")
    await put(rows, "users", organization_id=THEIRS)
    foreign = asyncpg.ForeignKeyViolationError
    await refused(rows, "ai_conversations", foreign, organization_id=THEIRS, id=THEIRS)
    await refused(rows, "ai_messages", foreign, organization_id=THEIRS, id=THEIRS)
    await refused(rows, "ai_interactions", foreign, organization_id=THEIRS, message_id=None)
    await refused(rows, "tool_call_outcomes", foreign, organization_id=THEIRS)
    assert await counts(rows) == {name: 2 if name in {"organizations", "users"} else 1 for name in TABLES}


async def test_a_colleague_cannot_own_a_part_of_somebody_elses_row(rows: Database) -> None:
    await put(rows, "users", id=THING)
    foreign = asyncpg.ForeignKeyViolationError
    await refused(rows, "ai_messages", foreign, id=OURS, user_id=THING)
    await refused(rows, "ai_feedback", foreign, user_id=THING)
    await refused(rows, "tool_call_payloads", foreign, part="OUTCOME", user_id=THING)
    assert await counts(rows) == {name: 2 if name == "users" else 1 for name in TABLES}


def test_every_table_stands_in_this_test() -> None:
    assert set(ROWS) == set(TABLES)


async def test_every_table_takes_a_valid_row(rows: Database) -> None:
    assert await counts(rows) == dict.fromkeys(TABLES, 1)


async def test_an_insert_returns_only_what_its_statement_names() -> None:
    for table in TABLES.values():
        assert "RETURNING" not in str(insert(table).compile(dialect=compiler.dialect()))  # type: ignore[no-untyped-call]


async def test_generated_columns_follow_the_row(rows: Database) -> None:
    assert await rows.fetchval("SELECT content_length FROM app.ai_messages") == len("Grüße")
    assert await rows.fetchval("SELECT severity_rank FROM app.ai_insights") == 3
    assert await rows.fetchval("SELECT request_head FROM app.ai_interaction_payloads") == '{"q": 1}'
    assert await rows.fetchval("SELECT tsv @@ to_tsquery('english', 'board') FROM app.document_embeddings") is True


async def test_each_vocabulary_is_the_check_of_its_column(rows: Database) -> None:
    seen = set()
    for table in TABLES.values():
        for constraint in table.constraints:
            vocabulary = constraint.info.get("vocabulary")
            if vocabulary is None:
                continue
            text = await rows.fetchval(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass AND conname = $2",
                table.fullname,
                constraint.name,
            )
            assert re.findall(r"'(\w+)'", text) == list(vocabulary), constraint.name
            assert f"({constraint.info['column']} = ANY" in text
            seen.add(vocabulary)
    stored = {kind for kind in vars(types).values() if isinstance(kind, type) and issubclass(kind, StrEnum)}
    # A service is a caller, but no user; an actor's role is what the function says that appends.
    assert seen == stored - {StrEnum, types.Role, types.ActorRole}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("organizations", {"id": THEIRS, "slug": "Not A Slug"}),
        ("ai_conversations", {"id": OURS, "title": "x" * 256}),
        ("ai_messages", {"id": OURS, "role": "user"}),
        ("ai_messages", {"id": OURS, "sources": "{}"}),
        ("ai_feedback", {"rating": 3}),
        ("ai_insights", {"id": OURS, "is_dismissed": True}),
        ("ai_patterns", {"confidence": 1.01}),
        ("document_embeddings", {"chunk_index": 1, "embedding": f"[{','.join(['0'] * 384)}]"}),
        ("document_embeddings", {"chunk_index": 1, "dimensions": 3}),
        ("document_embeddings", {"chunk_index": 1, "dimensions": None}),
        ("usage_budgets", {"id": OURS, "metric": "COST", "used": -1}),
        ("usage_budgets", {"id": OURS, "subject_type": "ORGANIZATION"}),
        ("ai_interactions", {"id": OURS, "completed_at": NOW - timedelta(seconds=1)}),
        ("ai_interactions", {"id": OURS, "type": "x" * 51}),
        ("ai_interactions", {"id": OURS, "request_bytes": -1}),
        ("tool_calls", {"id": OURS, "timestamp": NOW + timedelta(seconds=6)}),
        ("tool_calls", {"id": OURS, "ai_confidence": -0.1}),
        ("tool_calls", {"id": OURS, "payload_hash": b"short"}),
        ("tool_call_payloads", {"part": "OUTCOME", "payload": None}),
    ],
)
async def test_what_no_row_may_hold_is_refused(rows: Database, name: str, changes: dict[str, object]) -> None:
    await refused(rows, name, asyncpg.CheckViolationError, **changes)
    assert await counts(rows) == dict.fromkeys(TABLES, 1)


async def test_a_version_7_id_lies_within_a_day_of_its_partition(rows: Database) -> None:
    old = UUID(int=(int((NOW - timedelta(hours=25)).timestamp() * 1000) << 80) | (7 << 76) | (2 << 62))
    partitioned = [name for name, table in TABLES.items() if ddl.is_partitioned(table) and "id" in table.c]
    assert len(partitioned) == 4
    for name in partitioned:
        await refused(rows, name, asyncpg.CheckViolationError, id=str(old), created_at=NOW)
    await put(rows, "ai_content_searches", id=str(old), created_at=NOW - timedelta(hours=24))


def test_every_key_begins_with_the_organization() -> None:
    for table in TABLES.values():
        if table.name == "organizations":
            continue
        assert table.c.keys()[0] == "organization_id"
        for key in table.constraints:
            if isinstance(key, ForeignKeyConstraint | UniqueConstraint | PrimaryKeyConstraint):
                assert next(iter(key.columns)).name == "organization_id", key.name


def test_every_foreign_key_has_an_index_on_its_own_side() -> None:
    for table in TABLES.values():
        indexes: list[Index | UniqueConstraint | PrimaryKeyConstraint] = [table.primary_key, *table.indexes]
        indexes += [key for key in table.constraints if isinstance(key, UniqueConstraint)]
        for key in table.foreign_key_constraints:
            # Organization and parent find the few children; owner and partition are only carried along.
            needed = set(key.column_keys[:2])
            assert any({c.name for c in list(index.columns)[: len(needed)]} == needed for index in indexes), key.name


def test_every_name_fits_and_is_its_own() -> None:
    names = [str(key.name) for table in TABLES.values() for key in table.constraints]
    names += [str(index.name) for table in TABLES.values() for index in table.indexes]
    assert max(len(name.encode()) for name in names) <= 63
    assert len(set(names)) == len(names)


async def test_the_tables_are_what_the_models_say(url: str, rows: Database) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {
            "compare_type": True,
            "include_schemas": True,
            "include_name": lambda name, kind, _parents: name == "app" if kind == "schema" else True,
            "include_object": ddl.include_object,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), models.metadata))

    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    engine.dialect.ischema_names = {**engine.dialect.ischema_names, "ext.vector": types.Vector}  # type: ignore[attr-defined]
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_prefixes_are_indexed_under_the_c_collation(rows: Database) -> None:
    found = await rows.fetch(
        "SELECT indexname::text AS name FROM pg_indexes WHERE schemaname = 'app' AND tablename = ANY ($1)"
        r""" AND indexdef ~ 'organization_id, \w+ COLLATE "C"'""",
        list(TABLES),
    )
    assert {row["name"] for row in found} == {
        "ix_ai_cache_cache_key_c",
        "ix_ai_conversations_title_c",
        "ix_ai_interactions_error_code_c",
        "ix_ai_interactions_model_name_c",
        "ix_ai_interactions_type_c",
        "ix_documents_title_c",
    }


async def test_each_indexed_model_of_embeddings_has_its_dimension(rows: Database) -> None:
    found = await rows.fetch(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'app' AND indexdef LIKE '%USING hnsw%'"
    )
    assert len(found) == len(types.EMBEDDING_MODELS)
    for model, dimensions in types.EMBEDDING_MODELS.items():
        assert any(f"vector({dimensions})" in row["indexdef"] and f"'{model}'" in row["indexdef"] for row in found)


def test_the_printed_text_names_one_table_or_says_that_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    ddl.main(["tool_calls", "users"])
    text = capsys.readouterr().out
    assert text == ddl.table_sql(TABLES["users"]) + "\n" + ddl.table_sql(TABLES["tool_calls"])
    assert ") PARTITION BY RANGE (created_at);\n" in text
    with pytest.raises(SystemExit, match="no such table: nothing"):
        ddl.main(["nothing"])
