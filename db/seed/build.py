"""One organization's half year, from its people to its tool calls, as rows in the order of their foreign keys."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from db.seed import asides, noticed, usage
from db.seed.clock import Clock, stream, v7
from db.seed.documents import Library, library
from db.seed.interactions import Recorder
from db.seed.prose import pick, read
from db.seed.scenes import scene
from db.seed.tables import ChunkRow, IdentityRow, NameRow, OrganizationRow, ToolRow, UserRow
from db.seed.talk import SYSTEM, Archive, Conversation, Storyteller, title_of
from db.seed.tasks import CallRows, Desk
from db.seed.world import EMBEDDING_MODEL, ISSUER, NORTHWIND, PIA, TASKLINE, TOOLS, VROMM, Organization, Person

HERO_TITLE = "Kitchen budget, Maple Street Renovation"
_HERO_TOPICS = 7
# How much of an organization's talk is whose, and how much of it is about tasks.
_WEIGHTS = {
    "alice": 5,
    "bob": 3,
    "carol": 2,
    "erik": 1,
    "freja": 6,
    "gustav": 4,
    "hanna": 2,
    "ines": 3,
    "jon": 2,
    "pia": 1,
}
_TASK_SHARE = {NORTHWIND.slug: 0.09, VROMM.slug: 0.06, TASKLINE.slug: 1.0, PIA.slug: 0.5}
_SYSTEM_SHARE = 0.12
_LONGEST_TALK = timedelta(minutes=100)


@dataclass(frozen=True)
class Built:
    """Rows by table, in insert order; chunks wait for their vectors, usage logs also make the ledger."""

    organization: Organization
    clock: Clock
    home: OrganizationRow
    tables: Mapping[str, Sequence[tuple[Any, ...]]]
    chunks: list[ChunkRow]


def clock_of(organization: Organization, anchor: datetime) -> Clock:
    """That organization's clock; learners and Pia have no office hours."""
    is_office = organization in {NORTHWIND, TASKLINE}
    return Clock(anchor, ZoneInfo(organization.timezone), not is_office, (7, 19) if is_office else (8, 22))


def build(organization: Organization, anchor: datetime, seed: int) -> Built:
    """All rows of the organization; the same anchor and seed give the same rows."""
    clock = clock_of(organization, anchor)
    books = library(organization, clock, seed)
    insights = noticed.insights(organization, clock, seed)
    archive, desks = _talk(organization, clock, books, _linked(insights), seed)

    recorder = Recorder(organization, clock, seed)
    for exchange in archive.exchanges:
        recorder.record(exchange)
    recorder.background(insights, _chatting(organization))
    if organization is TASKLINE:
        recorder.huge(organization.person("jon"))
    usage.balance(organization, clock, recorder, seed)

    calls, rng = CallRows(), stream(seed, organization.slug, "calls")
    for desk in desks:
        for call in desk.calls:
            calls.add(organization, call, recorder.traffic.by_message.get(call.exchange.message_id), rng)
    cached, stats = asides.cache(organization, clock, archive.exchanges, seed)
    tables = {
        **_foundation(organization, clock, seed),
        "documents": books.documents,
        "ai_conversations": archive.conversations,
        "ai_messages": archive.messages,
        "ai_feedback": asides.feedback(organization, clock, archive.exchanges, seed),
        "ai_insights": insights,
        "ai_patterns": noticed.patterns(organization, clock, seed),
        "user_ai_settings": usage.settings(organization, clock),
        "user_provider_keys": usage.provider_keys(organization, clock, seed),
        "ai_interactions": recorder.traffic.interactions,
        "ai_interaction_payloads": recorder.traffic.payloads,
        "ai_usage_logs": recorder.traffic.logs,
        "ai_cache": cached,
        "ai_cache_stats": stats,
        "tool_calls": calls.calls,
        "tool_call_outcomes": calls.outcomes,
        "tool_call_payloads": calls.payloads,
        "ai_content_searches": asides.searches(organization, clock, books, seed),
    }
    home = OrganizationRow(
        organization.id, organization.slug, organization.name, organization.kind, organization.timezone, EMBEDDING_MODEL, _founded(clock)
    )  # fmt: skip
    return Built(organization, clock, home, tables, books.chunks)


def _founded(clock: Clock) -> datetime:
    return clock.anchor - timedelta(days=400)


def _foundation(organization: Organization, clock: Clock, seed: int) -> dict[str, Sequence[tuple[Any, ...]]]:
    rng, at = stream(seed, organization.slug, "foundation"), _founded(clock)
    # An hour apart, so that lists by age have an order.
    hours = [at + timedelta(hours=hour) for hour in range(1, 20)]
    return {
        "users": [UserRow(organization.id, p.id, p.name, p.role, hours[n]) for n, p in enumerate(organization.people)],
        "identities": [
            IdentityRow(organization.id, v7(hours[n], rng), ISSUER, p.slug, p.id, hours[n])
            for n, p in enumerate(organization.people)
        ],
        "projects": [
            NameRow(organization.id, id_, name, hours[n]) for n, (id_, name) in enumerate(organization.projects.items())
        ],
        "budget_categories": [
            NameRow(organization.id, id_, name, hours[n])
            for n, (id_, name) in enumerate(organization.categories.items())
        ],
        "ai_tools": [
            ToolRow(organization.id, id_, name, TOOLS[name], hours[n])
            for n, (id_, name) in enumerate(organization.tools.items())
        ],
    }


def _chatting(organization: Organization) -> list[Person]:
    return [person for person in organization.people if person.is_chatting]


def _linked(insights: Sequence[Any]) -> dict[str, list[dict[str, str]]]:
    linked: dict[str, list[dict[str, str]]] = {}
    for insight in insights:
        source = {"kind": "insight", "id": insight.id, "title": insight.title}
        linked.setdefault(f"insight:{insight.project_id}", []).append(source)
    return linked


def _talk(
    organization: Organization, clock: Clock, books: Library, linked: dict[str, list[dict[str, str]]], seed: int
) -> tuple[Archive, list[Desk]]:
    archive, desks = Archive(), []
    teller = None
    if organization is not TASKLINE:
        teller = Storyteller(organization, clock, books, read(organization.slug))
        teller.linked = linked
    weights = {person.slug: _WEIGHTS[person.slug] for person in _chatting(organization)}
    for person in _chatting(organization):
        rng = stream(seed, organization.slug, "talk", person.slug)
        desk = Desk(organization, person, clock, books)
        count = round(organization.conversations * weights[person.slug] / sum(weights.values()))
        for start in sorted(clock.moment(rng, floor=_LONGEST_TALK) for _ in range(count)):
            talk = Conversation(organization, person, start, rng)
            if rng.random() < _SYSTEM_SHARE:
                talk.say("SYSTEM", SYSTEM[organization.slug])
            if teller is None or rng.random() < _TASK_SHARE[organization.slug]:
                _about_tasks(talk, desk, archive, rng)
            else:
                _about_topic(talk, teller, archive, rng)
        if teller and person.slug == "alice":
            _hero(organization, person, clock, teller, archive, rng)
        desks.append(desk)
    return archive, desks


def _about_tasks(talk: Conversation, desk: Desk, archive: Archive, rng: Random) -> None:
    facts = desk.facts(rng, talk.start)
    title = title_of(archive, desk.prose["titles"], facts, rng)
    turns = min(18, 3 + int(rng.expovariate(1 / 7.8)))
    is_open = talk.start > desk.clock.anchor - timedelta(days=2) and rng.random() < 0.5
    desk.converse(talk, facts, turns, shows_tools=rng.random() < 0.35, is_last_pending=is_open)
    project_id = next((id_ for id_, name in talk.organization.projects.items() if name == facts["project"]), None)
    talk.close(archive, title, project_id if rng.random() < 0.6 else None)


def _about_topic(talk: Conversation, teller: Storyteller, archive: Archive, rng: Random) -> None:
    organization = talk.organization
    topics = [t for t in teller.topics if not t.get("staff") or talk.person.role == "ADMIN"]
    topic = pick(topics, rng)
    project_id = pick(list(organization.projects), rng) if organization is NORTHWIND or rng.random() < 0.3 else None
    name = organization.projects[project_id] if project_id else None
    facts = _agreed(
        {**scene(organization, rng, teller.clock, talk.start, name), **topic.get("about", {})}, teller, project_id, rng
    )
    teller.tell(talk, facts, topic, project_id, _follow_ups(rng))
    talk.close(archive, title_of(archive, topic["titles"], facts, rng), project_id)


def _agreed(facts: dict[str, str], teller: Storyteller, project_id: str | None, rng: Random) -> dict[str, str]:
    """The scene with a change order that its project really has."""
    order = teller.books.find("change_order", project_id, rng)
    if order is None:
        return facts
    return facts | {"co": order.topic, "scope": order.title.partition(": ")[2].rpartition(" (")[0]}


def _follow_ups(rng: Random) -> int:
    return min(9, int(rng.expovariate(1 / 4.6)))


def _hero(
    organization: Organization, person: Person, clock: Clock, teller: Storyteller, archive: Archive, rng: Random
) -> None:
    """Alice's long conversation of today, the one that guides and tests open."""
    talk = Conversation(organization, person, clock.anchor - timedelta(hours=4), rng)
    project_id, name = next(iter(organization.projects.items()))
    facts = _agreed({**scene(organization, rng, clock, talk.start, name), "room": "kitchen"}, teller, project_id, rng)
    for topic in teller.topics[:_HERO_TOPICS]:
        teller.tell(talk, facts, topic, project_id, 1)
    talk.close(archive, HERO_TITLE, project_id)
    conversation = archive.conversations[-1]
    archive.conversations[-1] = conversation._replace(title=HERO_TITLE, deleted_at=None, updated_at=talk.at)


def all_tables(built: Built) -> Iterator[tuple[str, Sequence[tuple[Any, ...]]]]:
    """Table names with their rows, those without rows left out."""
    yield from ((name, rows) for name, rows in built.tables.items() if rows)
