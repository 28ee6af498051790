"""A canary key, set, misspelled and mistyped in every way: nobody ever sees it again, sealed bytes apart.

PostgreSQL is told to log everything that it can, parameters included, and structlog and logging to keep everything.
"""

import base64
import json
import logging
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from api.changes.provider_key import SetProviderKeyInput
from api.scalars import Secret
from db.crypto import Keyring
from db.embedded import EmbeddedServer
from db.engine import Urls, open_pools
from db.keys import open_key
from db.types import Provider
from tests.changes.changing import ANA, SERVICE, run
from tests.changes.house import House
from tests.changes.test_provider_key import keyring_of
from tests.changes.test_provider_key_opening import actor
from tests.client import Answer, client_of
from tests.databases import clone, superuser
from tests.security.conftest import UNLIMITED

CANARY = f"sk-canary-{secrets.token_hex(12)}"
SET = "mutation($k:Secret!){setProviderKey(input:{provider:OTHER,key:$k}){aiSettings{keys{hint}} userErrors{code field message}}}"
WHOLE = "mutation($i:SetProviderKeyInput!){setProviderKey(input:$i){userErrors{code field message}}}"
FIELD = "setProviderKey(input:{provider:OTHER,key:"
TOO_LONG = CANARY * 200
WORD = f"skcanary{secrets.token_hex(12)}"  # could be a name

# Query, variables: each holds the key where it does not belong, or in a shape that it must not have.
MISTAKES: list[tuple[str, dict[str, Any]]] = [
    (SET, {"k": [CANARY]}),
    (SET, {"k": {"key": CANARY}}),
    (SET, {"k": TOO_LONG}),
    (SET, {"k": f"{CANARY}\0"}),
    (SET, {"k": f"{CANARY}\ud800"}),
    (SET, {"key": CANARY}),
    (SET.replace("$k:Secret!", "$k:Int!"), {"k": CANARY}),
    (SET.replace("$k:Secret!", "$k:Provider!"), {"k": CANARY}),
    (SET.replace("$k:Secret!", "$k:String!"), {"k": CANARY}),
    (SET.replace("OTHER", "NOBODY"), {"k": CANARY}),
    (SET.replace("{aiSettings", '@idempotent(key:"a"){aiSettings'), {"k": CANARY}),
    (SET.replace("{aiSettings", "@idempotent(key:$k){aiSettings"), {"k": CANARY}),
    (SET.replace("keys{hint}", "keys{key}"), {"k": CANARY}),
    (WHOLE, {"i": {"provider": CANARY, "key": CANARY}}),
    (WHOLE, {"i": {"provider": "OTHER", "key": CANARY, "note": CANARY}}),
    (WHOLE, {"i": {"key": CANARY}}),
    (WHOLE, {"i": CANARY}),
    (WHOLE, {"i": [CANARY]}),
    (f'mutation{{{FIELD}"{CANARY}"}}){{userErrors{{code}}}}}}', {}),
    (f'mutation{{{FIELD}["{CANARY}"]}}){{userErrors{{code}}}}}}', {}),
    (f'mutation{{{FIELD}{{a:"{CANARY}"}}}}){{userErrors{{code}}}}}}', {}),
    (f'mutation{{{FIELD}"{TOO_LONG}"}}){{userErrors{{code}}}}}}', {}),
    (f'mutation{{{FIELD}"{CANARY}"', {}),
    (f'mutation{{{FIELD}"{CANARY}', {}),
    (f'mutation{{{FIELD}"""{CANARY}', {}),
    (f"mutation{{{FIELD}'{CANARY}'}}){{userErrors{{code}}}}}}", {}),
    (f'mutation{{setProviderKey("{CANARY}"){{userErrors{{code}}}}}}', {}),
    (f'mutation{{setProviderKey(input:{{provider:"{CANARY}",key:"x"}}){{userErrors{{code}}}}}}', {}),
    (f'mutation{{setProviderKey(input:"{CANARY}"){{userErrors{{code}}}}}}', {}),
    (f'mutation{{setProviderKey(key:"{CANARY}"){{userErrors{{code}}}}}}', {}),
    (f'mutation{{removeProviderKey(input:{{provider:OTHER,key:"{CANARY}"}}){{userErrors{{code}}}}}}', {}),
    (f'mutation{{setProviderKey(input:{{provider:OTHER,key:"x"}}) "{CANARY}" {{userErrors{{code}}}}}}', {}),
    (f'{{node(id:"{CANARY}"){{id}}}}', {}),
    (f'"{CANARY}"', {}),
    (CANARY, {}),
    (WORD, {}),
    (f"mutation{{{FIELD}{WORD}}}){{userErrors{{code}}}}}}", {}),
    (f"mutation{{{FIELD}[{WORD}]}}){{userErrors{{code}}}}}}", {}),
    (f"mutation{{{FIELD}{WORD} {WORD}}}){{userErrors{{code}}}}}}", {}),
    (f"mutation{{setProviderKey(input:{{provider:{WORD},key:{WORD}}}){{userErrors{{code}}}}}}", {}),
    (f"mutation{{setProviderKey(input {WORD}){{userErrors{{code}}}}}}", {}),
]


@pytest.fixture
def kept() -> Iterator[list[Any]]:
    """Every event that structlog is given, whatever its level."""
    with structlog.testing.capture_logs() as events:
        yield events


def spellings(secret: str) -> list[bytes]:
    """The secret as it may stand in a text: plain, escaped, in hexadecimal, in base64 at any offset."""
    raw = secret.encode()
    in_base64 = [base64.b64encode(b" " * offset + raw)[4 : 4 + len(raw)] for offset in range(3)]
    return [raw, raw.hex().encode(), *in_base64]


async def everything_stored(urls: Urls) -> bytes:
    """Each row of each table and what PostgreSQL's own views say of statements, as a superuser reads them."""
    async with superuser(urls) as connection:
        names = await connection.fetch(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'app'::regnamespace"
        )
        texts = [row[0] for [name] in names for row in await connection.fetch(f"SELECT t::text FROM {name} t")]
        texts += [row[0] for row in await connection.fetch("SELECT a::text FROM pg_stat_activity a")]
        texts += [row[0] for row in await connection.fetch("SELECT p::text FROM pg_prepared_statements p")]
    return "\n".join(texts).encode()


@pytest.fixture
async def talkative(built: Urls, tmp_path: Path) -> AsyncIterator[House]:
    """A world whose PostgreSQL logs every statement with its parameters."""
    async with clone(built) as urls:
        async with superuser(urls) as connection:
            name = await connection.fetchval("SELECT current_database()")
            for each in (
                "log_statement = 'all'",
                "log_parameter_max_length = -1",
                "log_parameter_max_length_on_error = -1",
            ):
                await connection.execute(f"ALTER DATABASE {name} SET {each}")
        async with client_of(urls, tmp_path, **UNLIMITED) as client:
            yield House(urls, client)


async def test_a_canary_key_is_seen_nowhere_again(
    talkative: House, server: EmbeddedServer, kept: list[Any], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    house = talkative
    caplog.set_level(logging.DEBUG)
    bodies = [json.dumps({"query": query, "variables": values}) for query, values in MISTAKES]
    bodies += [bodies[0][:-2], f'{{"query": "{CANARY}', f'"{CANARY}"', f'{{"query": {{"{CANARY}": 1}}}}', CANARY]
    raw = [await posted(house, body) for body in bodies]
    answers = [await house.client.ask(SET, ANA.who, k=CANARY) for _ in range(2)]
    assert answers[-1].data["setProviderKey"]["userErrors"] == []
    answers += await broken(house, monkeypatch)
    pools = await open_pools(house.urls, api_size=1, ingest_size=1)
    try:
        opened = await open_key(pools, actor(SERVICE), keyring_of(house), user_id=str(ANA.user_id), provider="OTHER")
        assert opened == CANARY
    finally:
        await pools.close()

    shown = capfd.readouterr()
    searched = {
        "answers": b"\n".join(raw + [answer.raw for answer in answers]),
        "structlog": repr(kept).encode(),
        "logging": (caplog.text + repr([vars(record) for record in caplog.records])).encode(),
        "output": (shown.out + shown.err).encode(),
        "database": await everything_stored(house.urls),
        "server log": server.log.read_bytes(),
        "home": b"\n".join(path.read_bytes() for path in house.client.settings.home.rglob("*") if path.is_file()),
    }
    assert b"setProviderKey" in searched["structlog"]  # it was listening
    assert b"INSERT INTO app.user_provider_keys" in searched["server log"]
    secrets_ = (CANARY, WORD)
    found = [
        where for where, text in searched.items() for secret in secrets_ for each in spellings(secret) if each in text
    ]
    assert found == []


async def posted(house: House, body: str) -> bytes:
    """The answer to a mistake: never a failure of ours. In ASCII, which carries a lone surrogate."""
    headers = {"Authorization": f"Bearer {house.client.token(ANA.who)}", "Content-Type": "application/json"}
    response = await house.client.http.post("/graphql", content=body.encode(), headers=headers)
    assert response.status_code in {200, 400}
    codes = {error["extensions"]["code"] for error in response.json().get("errors", ())}
    assert "INTERNAL" not in codes, body
    return response.content


async def broken(house: House, monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    """The same change where something of ours fails: in Python, in a statement, at a constraint."""
    answers = []
    with monkeypatch.context() as patch:
        patch.setattr(Keyring, "seal", lambda _self, secret, _address: [][len(secret)])
        answers.append(await each_way(house, "INTERNAL"))
    for code, damage, repair in (
        ("FORBIDDEN", "REVOKE EXECUTE ON FUNCTION app.audit_append(jsonb), app.audit_append_one(text, text, uuid, jsonb) FROM app_member", "GRANT EXECUTE ON FUNCTION app.audit_append(jsonb), app.audit_append_one(text, text, uuid, jsonb) TO app_member"),
        ("INVALID", "ALTER TABLE app.user_provider_keys ADD CONSTRAINT never CHECK (false) NOT VALID", "ALTER TABLE app.user_provider_keys DROP CONSTRAINT never"),
        ("INTERNAL", "ALTER TABLE app.user_provider_keys RENAME COLUMN hint TO tip", "ALTER TABLE app.user_provider_keys RENAME COLUMN tip TO hint"),
    ):  # fmt: skip
        await run(house, damage)
        answers.append(await each_way(house, code))
        await run(house, repair)
    return [answer for some in answers for answer in some]


async def each_way(house: House, code: str) -> list[Answer]:
    """As a variable and inside the query, which is logged when a change fails; a bare word is no text and not let in."""
    inside = [f"mutation{{{FIELD}{key}}}){{userErrors{{code field message}}}}}}" for key in (f'"{CANARY}"', WORD)]
    answers = [
        await house.client.ask(SET, ANA.who, k=CANARY),
        *[await house.client.ask(each, ANA.who) for each in inside],
    ]
    refused = [
        answer.codes or [error["code"] for error in answer.data["setProviderKey"]["userErrors"]] for answer in answers
    ]
    assert refused == [[code], [code], ["BAD_USER_INPUT"]]
    return answers


def test_the_input_shows_no_key_and_cannot_be_copied() -> None:
    given = SetProviderKeyInput(provider=Provider.OTHER, key=Secret(CANARY))
    assert CANARY not in f"{given!r} {given} {given.key} {given.key!r} {[given]!r}"
    with pytest.raises(TypeError):
        json.dumps(given.key)
