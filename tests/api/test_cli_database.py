"""The command line against a database: what it changes, what it puts on record, what it refuses to serve."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from api.cli import main
from db.engine import Urls, at


class Said(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def minutebook(urls: Urls, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs a command over the test's own database."""
    environment = {
        "DATABASE_URL": urls.api,
        "INGEST_DATABASE_URL": urls.ingest,
        "OPERATOR_DATABASE_URL": urls.operator,
        "MIGRATOR_DATABASE_URL": urls.migrator,
        "MINUTEBOOK_HOME": str(tmp_path),
        "PORT": "0",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        output = capsys.readouterr()
        return Said(int(stopped.value.code or 0), output.out.strip(), output.err.strip())

    return run


def asked(url: str, sql: str, *values: object) -> list[dict[str, Any]]:
    async def fetch() -> list[dict[str, Any]]:
        connection = await asyncpg.connect(url)
        try:
            return [dict(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def bootstrap_url(urls: Urls) -> str:
    assert urls.bootstrap is not None
    return urls.bootstrap


def events(urls: Urls) -> list[tuple[str, str]]:
    rows = asked(urls.operator, "SELECT action, actor_role FROM app.audit_events ORDER BY organization_id, seq")
    return [(row["action"], row["actor_role"]) for row in rows]


def test_a_person_cannot_be_added_where_there_is_no_organization(minutebook: Run) -> None:
    said = minutebook("member", "add", "nowhere", "--subject", "ann")
    assert said.code == 2
    assert "no organization 'nowhere'" in said.err


def test_organizations_and_people_are_made_and_put_on_record(minutebook: Run, urls: Urls) -> None:
    organization = minutebook("organization", "create", "acme", "--name", "Acme", "--timezone", "Europe/Stockholm").out
    person = minutebook(
        "member", "add", "acme", "--subject", "ann", "--issuer", "https://id.example.com", "--name", "Ann"
    )
    assert person.code == 0
    rows = asked(urls.operator, "SELECT organization_id::text, id::text, role, display_name FROM app.users")
    assert rows == [{"organization_id": organization, "id": person.out, "role": "MEMBER", "display_name": "Ann"}]
    found = asked(
        urls.api, "SELECT user_id::text FROM app.authenticate($1, $2, $3)", "https://id.example.com", "ann", "acme"
    )
    assert found == [{"user_id": person.out}]
    assert events(urls) == [("organization.created", "OPERATOR"), ("user.created", "OPERATOR")]


def test_an_organization_is_made_once(minutebook: Run, urls: Urls) -> None:
    assert minutebook("organization", "create", "acme", "--name", "Acme").code == 0
    again = minutebook("organization", "create", "acme", "--name", "Other")
    assert (again.code, again.err) == (1, "minutebook: organization acme exists already")
    assert len(events(urls)) == 1


def test_adding_somebody_again_updates_and_changes_nothing_when_nothing_is_new(minutebook: Run, urls: Urls) -> None:
    minutebook("organization", "create", "acme", "--name", "Acme")
    first = minutebook("member", "add", "acme", "--email", "ann@example.com", "--role", "auditor").out
    assert minutebook("member", "add", "acme", "--email", "ann@example.com", "--role", "AUDITOR").out == first
    assert len(events(urls)) == 2
    assert minutebook("member", "add", "acme", "--email", "ann@example.com", "--name", "Ann").out == first
    assert asked(urls.operator, "SELECT role, display_name, epoch FROM app.users") == [
        {"role": "AUDITOR", "display_name": "Ann", "epoch": 1}
    ]
    assert events(urls)[-1] == ("user.updated", "OPERATOR")


def test_a_change_of_role_raises_the_epoch_so_that_what_is_cached_is_dropped(minutebook: Run, urls: Urls) -> None:
    minutebook("organization", "create", "acme", "--name", "Acme")
    minutebook("member", "add", "acme", "--subject", "ann")
    assert minutebook("member", "role", "acme", "--subject", "ann", "ADMIN").code == 0
    assert asked(urls.operator, "SELECT role, epoch FROM app.users") == [{"role": "ADMIN", "epoch": 1}]
    stranger = minutebook("member", "role", "acme", "--subject", "bob", "ADMIN")
    assert stranger.code == 2
    assert "nobody there" in stranger.err


def test_a_removed_person_cannot_sign_in_and_is_still_there(minutebook: Run, urls: Urls) -> None:
    minutebook("organization", "create", "acme", "--name", "Acme")
    minutebook("member", "add", "acme", "--subject", "ann")
    assert minutebook("member", "remove", "acme", "--subject", "ann").code == 0
    assert asked(urls.operator, "SELECT count(*) FROM app.users") == [{"count": 1}]
    assert asked(urls.operator, "SELECT count(*) FROM app.identities") == [{"count": 0}]
    assert minutebook("member", "remove", "acme", "--subject", "ann").code == 2


def test_a_personal_organization_has_one_person_who_is_its_admin(minutebook: Run, urls: Urls) -> None:
    minutebook("organization", "create", "ann", "--name", "Ann's", "--kind", "personal")
    assert minutebook("member", "add", "ann", "--subject", "ann").code == 0
    assert asked(urls.operator, "SELECT role FROM app.users") == [{"role": "ADMIN"}]
    second = minutebook("member", "add", "ann", "--subject", "bob")
    assert (second.code, second.err) == (2, "minutebook: a PERSONAL organization has one person")


def test_the_chain_that_the_commands_wrote_verifies(minutebook: Run, urls: Urls) -> None:
    organization = minutebook("organization", "create", "acme", "--name", "Acme").out
    for subject in ("ann", "bob", "eve"):
        minutebook("member", "add", "acme", "--subject", subject)
    verdict = asked(
        urls.operator,
        "SELECT verdict FROM (SELECT set_config('app.organization_id', $1, false)) AS context,"
        " LATERAL app.verify_audit_chain(NULL, NULL)",
        organization,
    )
    assert verdict == [{"verdict": "OK"}]


def test_a_healthy_database_passes_every_condition(minutebook: Run) -> None:
    said = minutebook("doctor")
    assert said.code == 0, said.out
    assert "FAILED" not in said.out
    assert len(said.out.splitlines()) >= 14


def test_months_are_made_ahead_and_a_missing_one_is_named(minutebook: Run, urls: Urls) -> None:
    assert minutebook("maintain").out == "0 partitions made, 0 expired keys forgotten"
    (last,) = asked(
        urls.operator,
        "SELECT max(c.relname::text) AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = 'app.ai_usage_logs'::regclass",
    )
    asked(bootstrap_url(urls), f"DROP TABLE app.{last['name']}")
    said = minutebook("doctor")
    assert said.code == 1
    assert "missing: ai_usage_logs for" in said.out
    assert minutebook("maintain").out == "1 partitions made, 0 expired keys forgotten"
    assert minutebook("doctor").code == 0


def test_expired_idempotency_keys_of_every_organization_are_forgotten_by_maintain_and_no_others(
    minutebook: Run, urls: Urls
) -> None:
    for slug in ("acme", "other"):
        minutebook("organization", "create", slug, "--name", slug)
    asked(
        urls.operator,
        "INSERT INTO app.idempotency_keys (organization_id, actor_id, key, request_hash, expires_at)"
        " SELECT o.id, o.id, age || slug, sha256('x'), now() + CASE age WHEN 'old ' THEN -1 ELSE 1 END * interval '1 minute'"
        " FROM app.organizations o, (VALUES ('old '), ('new ')) AS given (age)",
    )
    assert minutebook("maintain").out == "0 partitions made, 2 expired keys forgotten"
    kept = asked(urls.operator, "SELECT key FROM app.idempotency_keys ORDER BY key")
    assert [row["key"] for row in kept] == ["new acme", "new other"]
    assert minutebook("maintain").out == "0 partitions made, 0 expired keys forgotten"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("ALTER TABLE app.ai_insights NO FORCE ROW LEVEL SECURITY", "ai_insights lacks FORCE"),
        ("ALTER TABLE app.ai_insights DISABLE ROW LEVEL SECURITY", "ai_insights lacks ENABLE"),
        ("CREATE TABLE app.extra (id int); ALTER TABLE app.extra ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
         "extra lacks a policy"),
        ("UPDATE app.alembic_version SET version_num = 'elsewhere'", "database elsewhere"),
        ("ALTER TABLE app.ai_insights OWNER TO minutebook_api", "owns tables as minutebook_api"),
    ],
)  # fmt: skip
def test_an_unsafe_database_is_not_served(minutebook: Run, urls: Urls, fault: str, said: str) -> None:
    for statement in fault.split("; "):
        asked(bootstrap_url(urls), statement)
    refused = minutebook("serve")
    assert refused.code == 1
    assert refused.err.startswith("minutebook: refusing to serve")
    assert said in refused.err
    assert refused.err.count("\n") == 0
    examined = minutebook("doctor")
    assert examined.code == 1
    assert said in examined.out


def test_a_superuser_is_not_served_as(minutebook: Run, urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", bootstrap_url(urls))
    refused = minutebook("serve")
    assert refused.code == 1
    assert "is a superuser" in refused.err


def test_one_login_for_people_and_services_is_refused(
    minutebook: Run, urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", urls.ingest)
    refused = minutebook("serve")
    assert refused.code == 1
    assert "the api login reaches its own roles alone" in refused.err


def test_a_wrong_password_is_one_line_without_it(minutebook: Run, urls: Urls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPERATOR_DATABASE_URL", at(urls.operator, user="minutebook_operator", password="hunter2"))
    refused = minutebook("maintain")
    assert refused.code == 1
    assert refused.err.startswith("minutebook: the database refused the login")
    assert "hunter2" not in refused.err


def test_migrating_again_changes_nothing(minutebook: Run, urls: Urls) -> None:
    before = asked(urls.operator, "SELECT version_num FROM app.alembic_version")
    assert minutebook("migrate").code == 0
    assert asked(urls.operator, "SELECT version_num FROM app.alembic_version") == before
    unknown = minutebook("migrate", "--down", "nowhere")
    assert unknown.code == 2


def test_a_database_without_tables_is_said_to_lack_its_migrations(minutebook: Run) -> None:
    assert minutebook("migrate", "--down", "base").code == 0
    said = minutebook("maintain")
    assert (said.code, said.err) == (1, "minutebook: the database is not migrated: run minutebook migrate first")
    assert minutebook("serve").code == 1
    assert minutebook("migrate").code == 0
    assert minutebook("doctor").code == 0


def test_a_world_is_not_planted_beside_somebody_elses_data(minutebook: Run) -> None:
    minutebook("organization", "create", "acme", "--name", "Acme")
    said = minutebook("seed")
    assert said.code == 1
    assert "needs an empty one" in said.err


def test_the_port_is_freed_when_serving_is_refused(
    minutebook: Run, urls: Urls, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("DATABASE_URL", bootstrap_url(urls))
    assert minutebook("serve").code == 1
    with closing(socket.create_server(("127.0.0.1", port))) as again:
        assert again.getsockname()[1] == port
