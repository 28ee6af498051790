"""The environment: what is refused, what is masked, what the README says about it."""

import stat
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from api import limits
from api.auth import OWN_ISSUER
from api.readme import README, generated
from api.settings import Settings, SettingsError, docs, load, masked_url

SECRET = "correct horse battery staple, and more"
SIGNED = {"JWT_SECRET": SECRET, "JWT_ISSUER": "https://id.example.com", "JWT_AUDIENCE": "minutebook"}


def test_an_empty_environment_is_a_demo_on_this_machine_alone(tmp_path: Path) -> None:
    settings = load({"MINUTEBOOK_HOME": str(tmp_path)})
    assert settings.is_dev
    assert settings.host == "127.0.0.1"
    assert settings.graphiql is True
    assert settings.introspection == "on"
    settings.check_serving()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "minutebook.example.com"])
def test_a_server_that_others_reach_is_never_a_demo(host: str) -> None:
    settings = load({"HOST": host})
    assert settings.environment == "prod"
    assert settings.graphiql is False
    assert settings.introspection == "authenticated"
    with pytest.raises(SettingsError, match="ENVIRONMENT may be dev only"):
        load({"HOST": host, "ENVIRONMENT": "dev"})


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.0.1", "::1"])
def test_loopback_addresses_are_a_demo_unless_told_otherwise(host: str) -> None:
    assert load({"HOST": host}).is_dev
    assert not load({"HOST": host, "ENVIRONMENT": "prod"}).is_dev


def test_production_without_an_issuer_is_not_served() -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET or JWT_JWKS_URL is required"):
        load({"ENVIRONMENT": "prod"}).check_serving()
    load({"ENVIRONMENT": "prod", **SIGNED}).check_serving()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "٨٠٠٠"),
        ("PORT", "1" * 5000),
        ("ENVIRONMENT", "staging"),
        ("DATABASE_URL", "mysql://user:hunter2@db/app"),
        ("BOOTSTRAP_DATABASE_URL", "hunter2"),
        ("POOLER", "statement"),
        ("POOL_TIMEOUT", "nan"),
        ("POOL_TIMEOUT", "inf"),
        ("JWT_SECRET", "hunter2"),
        ("JWT_JWKS_URL", "http://id.example.com/keys"),
        ("JWT_JWKS_URL", "https://"),
        ("EMBEDDER", "bert"),
        ("EMBEDDER", "openai"),
        ("EMBEDDER_URL", "file:///etc/passwd"),
        ("GRAPHIQL", "maybe"),
        ("INTROSPECTION", "sometimes"),
        ("ALLOWED_ORIGINS", "https://app.example.com,*"),
        ("ALLOWED_ORIGINS", "https://app.example.com/path"),
        ("LIMIT_DEPTH", "0"),
        ("LIMIT_PAGE_DEFAULT", "500"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_bad_value_is_refused_by_the_name_of_its_variable_alone(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({variable: value})
    message = str(caught.value)
    assert message.startswith(variable.partition("_")[0])
    assert "hunter2" not in message
    assert len(message) < 200
    assert "\n" not in message


def test_an_issuer_and_an_audience_are_required_with_a_key() -> None:
    for lacking in ("JWT_ISSUER", "JWT_AUDIENCE"):
        with pytest.raises(SettingsError, match=f"{lacking} is required with JWT_SECRET"):
            load({name: value for name, value in SIGNED.items() if name != lacking})


def test_one_issuer_has_one_kind_of_key() -> None:
    with pytest.raises(SettingsError, match="exclude each other"):
        load({**SIGNED, "JWT_JWKS_URL": "https://id.example.com/keys"})


def test_ourselves_are_believed_in_dev_alone(tmp_path: Path) -> None:
    home = {"MINUTEBOOK_HOME": str(tmp_path)}
    assert [issuer.name for issuer in load(home).auth_config().issuers] == [OWN_ISSUER]
    assert [issuer.name for issuer in load({**home, **SIGNED}).auth_config().issuers] == [
        OWN_ISSUER,
        SIGNED["JWT_ISSUER"],
    ]
    production = load({**home, **SIGNED, "ENVIRONMENT": "prod"})
    assert [issuer.name for issuer in production.auth_config().issuers] == [SIGNED["JWT_ISSUER"]]


def test_nobody_else_may_carry_our_own_name(tmp_path: Path) -> None:
    settings = load({**SIGNED, "JWT_ISSUER": OWN_ISSUER, "MINUTEBOOK_HOME": str(tmp_path)})
    with pytest.raises(SettingsError, match="JWT_ISSUER is unsafe"):
        settings.auth_config()


def test_keys_of_another_host_than_the_issuer_are_pinned_by_name(tmp_path: Path) -> None:
    keys = {
        "JWT_ISSUER": "https://id.example.com/",
        "JWT_AUDIENCE": "minutebook",
        "JWT_JWKS_URL": "https://keys.example.net/jwks.json",
        "MINUTEBOOK_HOME": str(tmp_path),
    }
    with pytest.raises(SettingsError, match="JWT_JWKS_URL is unsafe"):
        load(keys).auth_config()
    assert load({**keys, "JWT_JWKS_HOST": "keys.example.net"}).auth_config().issuers


def test_an_embedder_that_is_reached_over_http_needs_all_of_its_settings() -> None:
    given = {"EMBEDDER_URL": "http://localhost:11434/v1", "EMBEDDER_MODEL": "m", "EMBEDDER_DIMENSIONS": "768"}
    assert load(given).embedder.kind == "openai"
    for lacking in ("EMBEDDER_MODEL", "EMBEDDER_DIMENSIONS"):
        with pytest.raises(SettingsError, match=f"{lacking} is required"):
            load({name: value for name, value in given.items() if name != lacking})


def test_no_secret_is_seen_in_what_is_printed_or_logged() -> None:
    settings = load(
        {
            **SIGNED,
            "EMBEDDER_API_KEY": "canary-key",
            "DATABASE_URL": "postgresql://api:canary-a@db/app?password=canary-b&sslkey=canary-c",
            "INGEST_DATABASE_URL": "postgresql://ingest:canary%40d@db/app",
            "OPERATOR_DATABASE_URL": "postgres://:canary-e@db/app",
        }
    )
    for printed in (repr(settings), str(settings), f"{settings.auth}", repr(settings.embedder), repr([settings])):
        assert "canary" not in printed
        assert SECRET not in printed
    assert settings.auth.jwt_secret == SECRET
    assert "postgresql://api:***@db/app?***" in repr(settings)


def test_an_url_is_masked_without_losing_where_it_leads() -> None:
    assert masked_url("postgresql://u:p@h:5433/d") == "postgresql://u:***@h:5433/d"
    assert masked_url("postgresql:///d?host=/run/pg") == "postgresql:///d?***"
    assert masked_url("postgresql://h/d") == "postgresql://h/d"


def test_an_empty_variable_counts_as_unset() -> None:
    assert load({"PORT": "", "JWT_SECRET": " ", "ENVIRONMENT": ""}) == load({})


def test_settings_cannot_be_changed_once_read() -> None:
    settings = load({})
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]


def test_the_table_has_each_variable_once_with_its_default_and_meaning() -> None:
    table = list(docs())
    names = [row.variable for row in table]
    assert len(names) == len(set(names))
    assert {"PORT", "DATABASE_URL", "JWT_SECRET", "EMBEDDER", "LIMIT_COST", "ALLOWED_ORIGINS"} <= set(names)
    assert all(row.meaning and "|" not in row.meaning for row in table)
    flat = {key for value in asdict(load({})).values() if isinstance(value, dict) for key in value}
    assert len(table) == len(flat) + sum(not isinstance(value, dict) for value in asdict(load({})).values())


def test_the_tables_of_the_readme_have_not_drifted() -> None:
    text = README.read_text(encoding="utf-8")
    assert generated(text) == text, "python -m api.readme"


def test_a_default_in_the_table_is_the_default_that_is_used() -> None:
    shown = {row.variable: row.default for row in docs()}
    numbers = {name: value for name, value in shown.items() if value.isdigit()}
    assert numbers["PORT"] == str(load({}).port)
    assert load(numbers) == load({})


def test_each_bound_of_a_document_can_be_set_and_keeps_its_default() -> None:
    configured = asdict(load({}).limits)
    assert {key: configured[key] for key in asdict(limits.Limits())} == asdict(limits.Limits())
    assert all("row" in each.metadata for each in fields(load({}).limits))
    assert load({"LIMIT_DEPTH": "9"}).limits.depth == 9


def test_our_own_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    settings = load({"MINUTEBOOK_HOME": str(tmp_path / "home")})
    first = settings.own_secret()
    assert len(first.encode()) >= 32
    assert settings.own_secret() == first
    files = list((tmp_path / "home").iterdir())
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600]
    assert first not in repr(settings)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    settings = load({"MINUTEBOOK_HOME": str(tmp_path)})
    settings.own_secret()
    for file in tmp_path.iterdir():
        file.chmod(0o644)
    with pytest.raises(SettingsError, match="others may read"):
        settings.own_secret()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings: Settings = load({"MINUTEBOOK_HOME": str(tmp_path / "file")})
    with pytest.raises(SettingsError, match="MINUTEBOOK_HOME cannot be"):
        settings.own_secret()
