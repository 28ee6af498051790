"""What is read along in another's statement is what its own would have given: a row's feedback and project, the viewer's parts."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from api.node import global_id
from db.engine import Urls
from db.types import Role
from tests.client import Answer, Client, client_of
from tests.databases import clone, superuser
from tests.db.valid_rows import TABLES
from tests.security.conftest import UNLIMITED, House
from tests.security.people import AT, NORTH, PRINCIPALS, SOUTH, WANDA, Principal, principal, uid, user_id
from tests.security.worlds import put

CHATS = "{conversations(first:20){edges{node{id messages(first:20){edges{node{id role %s}}}}}}}"
INSIGHTS = "{insights(first:20,filter:{dismissed:null,includeExpired:true}){edges{node{id title %s}}}}"
FEEDBACK = "myFeedback{id rating text thumb createdAt message{id} user{id}}"
PROJECT = "project{id name createdAt documents(first:3){edges{node{id}}}}"
ASKED = [
    CHATS % FEEDBACK,
    CHATS % "myFeedback{__typename}",
    CHATS % "myFeedback{thumb} again:myFeedback{id text updatedAt}",
    INSIGHTS % PROJECT,
    INSIGHTS % "project{__typename}",
    INSIGHTS % "project{name} again:project{databaseId createdAt}",
]
PARTS = {
    "user": "user{id databaseId displayName role}",
    "organization": "organization{id databaseId slug name kind timezone}",
    "aiSettings": "aiSettings{id tier preferredProvider createdAt updatedAt keys{provider hint} user{id displayName}}",
    "usage": "usage{tokens requests cost budgets{id metric window limit used subject{...on User{id}...on Organization{id}}}}",
}
TOGETHER = "{viewer{user{id displayName} organization{id name} aiSettings{id tier}}}"


async def plant(urls: Urls) -> None:
    """Rows of the south with ids of the north's, and ratings of messages that are not their author's."""
    kitchen = uid(NORTH, "project", "kitchen")
    conversation, question, answer = (
        uid(NORTH, kind, "wanda", "live") for kind in ("conversation", "question", "answer")
    )
    south, theirs = {"organization_id": uid(SOUTH)}, {"user_id": WANDA, "created_at": AT}
    async with superuser(urls) as connection, connection.transaction():
        await connection.execute(f"SET LOCAL app.organization_id = '{uid(SOUTH)}'")  # the triggers look at it
        await put(connection, "projects", {**south, "id": kitchen, "name": "theirs", "created_at": AT})
        await put(connection, "ai_conversations", {**south, **theirs, "id": conversation, "project_id": None})
        for message in (question, answer):
            said = {**south, **theirs, "id": message, "conversation_id": conversation, "role": "ASSISTANT"}
            await put(connection, "ai_messages", said)
            await put(
                connection,
                "ai_feedback",
                {**south, "user_id": WANDA, "message_id": message, "id": message, "feedback_text": "theirs"},
            )
        await connection.execute("SET LOCAL session_replication_role = replica")  # past foreign keys
        for person in ("ana", "carol"):
            bens = {
                "user_id": user_id(NORTH, "ben"),
                "message_id": uid(NORTH, "question", person, "live"),
                "feedback_text": "Ben's",
            }
            await put(
                connection, "ai_feedback", {"organization_id": uid(NORTH), **bens, "id": uid(NORTH, "odd", person)}
            )
        # An insight of the north about a project that only the south has.
        only = uid(SOUTH, "project", "roof")
        odd = {"id": uid(NORTH, "insight", "odd"), "title": "odd", "project_id": only, "created_at": AT}
        await put(connection, "ai_insights", {"organization_id": uid(NORTH), **odd})
        await connection.execute(
            "DELETE FROM app.ai_feedback WHERE organization_id = $1 AND user_id = $2", uid(NORTH), WANDA
        )
        await connection.execute("DELETE FROM app.user_ai_settings WHERE user_id = $1", user_id(NORTH, "ben"))
        await connection.execute(
            "UPDATE app.user_ai_settings SET tier = 'BYOK', preferred_provider = 'GOOGLE' WHERE user_id = $1"
            " AND organization_id = $2", WANDA, uid(SOUTH),
        )  # fmt: skip
        await connection.execute("UPDATE app.organizations SET name = 'South' WHERE id = $1", uid(SOUTH))


@pytest.fixture(scope="module", params=[True, False], ids=["under policies", "without policies"])
async def twins(
    request: pytest.FixtureRequest, built: Urls, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The world with coinciding ids in both organizations; once more with nothing but the statements between them."""
    async with AsyncExitStack() as stack:
        urls = await stack.enter_async_context(clone(built))
        await plant(urls)
        if not request.param:
            async with superuser(urls) as connection:
                for name in TABLES:
                    await connection.execute(f"ALTER TABLE app.{name} DISABLE ROW LEVEL SECURITY")
        yield House(
            urls, await stack.enter_async_context(client_of(urls, tmp_path_factory.mktemp("twins"), **UNLIMITED))
        )


def told(answer: Answer) -> Any:
    """Everything of an answer that does not differ from request to request."""
    return answer.status, answer.body.get("data"), answer.codes, [error.get("path") for error in answer.errors]


async def asked(client: Client, text: str, who: Principal) -> Answer:
    return await client.ask(text, who.who, organization=who.slug)


def nodes(answer: Answer, root: str) -> list[dict[str, Any]]:
    return [edge["node"] for edge in answer.data[root]["edges"]]


async def messages(client: Client, select: str, who: Principal) -> dict[str, dict[str, Any]]:
    """Messages by id."""
    found = nodes(await asked(client, CHATS % select, who), "conversations")
    return {edge["node"]["id"]: edge["node"] for node in found for edge in node["messages"]["edges"]}


# ── feedback and projects ────────────────────────────────────────────────────────────────────────────────────────────
async def test_another_organizations_feedback_on_a_message_of_the_same_id_is_not_the_viewers(twins: House) -> None:
    north = await messages(twins.client, FEEDBACK, principal(NORTH, "wanda"))
    assert {global_id("Message", uid(NORTH, kind, "wanda", "live")) for kind in ("question", "answer")} == north.keys()
    assert [each["myFeedback"] for each in north.values()] == [None, None]
    south = await messages(twins.client, FEEDBACK, principal(SOUTH, "wanda"))
    assert [south[each]["myFeedback"]["text"] for each in north] == ["theirs", "theirs"]


async def test_another_organizations_project_of_the_same_id_is_not_an_insights(twins: House) -> None:
    found = nodes(await asked(twins.client, INSIGHTS % PROJECT, principal(NORTH, "ana")), "insights")
    names = {node["title"]: node["project"] and node["project"]["name"] for node in found}
    assert names == {"open": "kitchen", "general": None, "expired": "kitchen", "dismissed": "kitchen", "both": None,
                     "fading": "kitchen", "odd": None}  # fmt: skip


@pytest.mark.parametrize("name", ["ana", "carol"])
async def test_a_message_that_nobody_or_somebody_else_rated_has_no_rating_of_the_viewers(
    twins: House, name: str
) -> None:
    who = principal(NORTH, name)
    found = await messages(twins.client, FEEDBACK, who)
    rated, others = (global_id("Message", uid(NORTH, kind, name, "live")) for kind in ("answer", "question"))
    assert found[others]["myFeedback"] is None
    assert found[rated]["myFeedback"]["message"] == {"id": rated}
    assert found[rated]["myFeedback"]["user"] == {"id": global_id("User", str(who.user_id))}


async def test_a_service_sees_messages_and_has_rated_none(twins: House) -> None:
    found = await messages(twins.client, FEEDBACK, principal(NORTH, "service"))
    assert len(found) == 2 * 6
    assert {str(each["myFeedback"]) for each in found.values()} == {"None"}


@pytest.mark.parametrize("text", ASKED)
@pytest.mark.parametrize("who", PRINCIPALS, ids=str)
async def test_what_is_read_along_is_what_a_statement_of_its_own_gives(
    twins: House, who: Principal, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # by slots, and compiled
        along = await asked(twins.client, text, who)
        with monkeypatch.context() as patch:
            patch.setattr("api.paging._along", lambda *_: ())
            apart = await asked(twins.client, text, who)
        assert told(along) == told(apart)
        if along.codes:
            assert who.role in {Role.OBSERVER, Role.AUDITOR}
        else:
            assert len(along.statements) == len(apart.statements) - 1


# ── a node and its list ──────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("who", PRINCIPALS, ids=str)
async def test_a_node_and_its_list_are_of_the_callers_own(
    twins: House, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ids that both organizations have, and that only one of them or somebody else has."""

    async def none(*_: object) -> list[Any]:
        return []

    asks = [
        f'{{node(id:"{global_id("Conversation", uid(slug, "conversation", name, "live"))}")'
        "{...on Conversation{title messages(first:9){edges{node{id content}}}}}}"
        for slug in (NORTH, SOUTH)
        for name in ("wanda", "ana")
    ] + [
        f'{{node(id:"{global_id("Project", uid(slug, "project", name))}")'
        "{...on Project{name documents(first:9){edges{node{id title}}}}}}"
        for slug in (NORTH, SOUTH)
        for name in ("kitchen", "roof")
    ]
    for text in asks:
        together = await asked(twins.client, text, who)
        with monkeypatch.context() as patch:
            patch.setattr("api.schema.node_and_list", none)
            apart = await asked(twins.client, text, who)
        assert told(together) == told(apart), text
        if together.body["data"]["node"] and together.statements:
            assert len(together.statements) < len(apart.statements)


# ── the viewer ───────────────────────────────────────────────────────────────────────────────────────────────────────
async def test_who_is_in_two_organizations_is_shown_the_current_ones_settings(twins: House) -> None:
    for slug, name, tier in ((NORTH, "Builders", "FREE"), (SOUTH, "South", "BYOK")):
        viewer = (await asked(twins.client, TOGETHER, principal(slug, "wanda"))).data["viewer"]
        assert (viewer["organization"]["name"], viewer["aiSettings"]["tier"]) == (name, tier)
        assert viewer["user"]["id"] == global_id("User", WANDA)


@pytest.mark.parametrize("who", PRINCIPALS, ids=str)
async def test_a_viewer_asked_for_at_once_is_the_one_asked_for_part_by_part(twins: House, who: Principal) -> None:
    for _ in range(2):
        whole = (await asked(twins.client, f"{{viewer{{role {' '.join(PARTS.values())}}}}}", who)).data["viewer"]
        parts = {
            name: (await asked(twins.client, f"{{viewer{{{part}}}}}", who)).data["viewer"][name]
            for name, part in PARTS.items()
        }
        assert whole == {"role": who.role.value, **parts}
        assert (whole["user"] is None) == (who.role is Role.SERVICE)
        assert (whole["aiSettings"] is None) == (who.role in {Role.SERVICE, Role.OBSERVER})


@pytest.mark.parametrize("who", PRINCIPALS, ids=str)
async def test_person_organization_and_settings_of_a_viewer_are_one_statement(twins: House, who: Principal) -> None:
    answer = await asked(twins.client, TOGETHER, who)
    assert answer.data
    assert len(answer.statements) == 1


WRITTEN_FIELDS = {
    "user": ("id", "databaseId", "displayName", "role", "createdAt", "isErased", "__typename"),
    "organization": ("id", "databaseId", "slug", "name", "kind", "timezone", "createdAt", "updatedAt"),
    "aiSettings": ("id", "tier", "preferredProvider", "createdAt", "updatedAt"),
}
BUDGET = ("id", "metric", "window", "limit", "used", "reserved", "windowStart", "resetsAt", "timezone")


def written_viewer(random: Random) -> str:
    """Some parts of a viewer, with some of their fields, under some keys, in some order."""
    parts = [f"{name} {{ {some(random, fields)} }}" for name, fields in WRITTEN_FIELDS.items() if random.random() < 0.8]
    parts += [f"usage {{ budgets {{ {some(random, BUDGET)} }} }}"] * (random.random() < 0.8 or len(parts) < 2)
    parts += ["organization { name again: name }"] * (len(parts) < 2)
    parts += ["role", "as: role", "__typename"][: random.randint(0, 3)]
    random.shuffle(parts)
    return f"{{ viewer {{ {' '.join(parts)} }} }}"


def some(random: Random, fields: tuple[str, ...]) -> str:
    chosen = random.sample(fields, random.randint(1, len(fields)))
    return " ".join(f"{random.choice(['', f'x{at}: '])}{each}" for at, each in enumerate(chosen))


@pytest.mark.parametrize("who", PRINCIPALS, ids=str)
async def test_a_viewer_that_is_written_is_the_one_made_of_columns(
    twins: House, who: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(str(who))
    for _ in range(8):
        text = written_viewer(random)
        for _ in range(2):
            written = await asked(twins.client, text, who)
            with monkeypatch.context() as patch:
                patch.setattr("api.entities.viewer.wanted_here", lambda _: None)
                plain = await asked(twins.client, text, who)
            assert written.raw == plain.raw, text
        may = who.role not in {Role.SERVICE, Role.OBSERVER} or ("aiSettings" not in text and who.role is Role.OBSERVER)
        assert any("'{\"" in sql for sql in written.statements) == may, text
        assert not any("'{\"" in sql for sql in plain.statements)
        if may:
            assert len(written.statements) == 1


@pytest.mark.parametrize(
    "spoilt",
    [
        "UPDATE app.users SET created_at = '20000-01-01Z'",
        "UPDATE app.usage_budgets SET window_start = '20000-01-01Z' WHERE metric = 'COST' AND subject_type = 'USER'",
    ],
    ids=["a person", "one budget of several"],
)
async def test_a_viewer_that_cannot_be_written_is_read_by_columns(
    built: Urls, tmp_path: Path, spoilt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "{ viewer { user { displayName createdAt } organization { name } usage { budgets { metric windowStart } } } }"
    )
    async with clone(built) as urls, client_of(urls, tmp_path, **UNLIMITED) as client:
        before = await asked(client, text, principal(NORTH, "ana"))
        assert len(before.statements) == 1
        assert len(before.data["viewer"]["usage"]["budgets"]) > 1
        async with superuser(urls) as connection:
            await connection.execute("SET session_replication_role = replica")
            assert int((await connection.execute(spoilt)).split()[-1]) > 0
        after = await asked(client, text, principal(NORTH, "ana"))
        monkeypatch.setattr("api.entities.viewer.wanted_here", lambda _: None)
        plain = await asked(client, text, principal(NORTH, "ana"))
        assert after.statements == (before.statements[0], *plain.statements)
        assert told(after) == told(plain)
        assert plain.errors


async def test_a_viewer_without_a_row_of_settings_has_the_defaults(twins: House) -> None:
    ben = principal(NORTH, "ben")
    for text in (f"{{viewer{{{PARTS['user']} {PARTS['aiSettings']}}}}}", f"{{viewer{{{PARTS['aiSettings']}}}}}"):
        settings = (await asked(twins.client, text, ben)).data["viewer"]["aiSettings"]
        assert (settings["tier"], settings["preferredProvider"]) == ("FREE", "OPENAI")
        assert (settings["createdAt"], settings["updatedAt"]) == (None, None)
        assert settings["user"]["id"] == global_id("User", str(ben.user_id))


async def test_one_part_of_a_viewer_is_read_by_itself(twins: House) -> None:
    ana = principal(NORTH, "ana")
    alone = await asked(twins.client, "{viewer{user{id displayName}}}", ana)
    node = await asked(twins.client, f'{{node(id:"{global_id("User", str(ana.user_id))}"){{id}}}}', ana)
    assert alone.statements == node.statements
    organization = await asked(twins.client, "{viewer{organization{id name}}}", ana)
    assert len(organization.statements) == 1
    assert "app.users" not in organization.statements[0]
