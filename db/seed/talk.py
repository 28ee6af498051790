"""Conversations as they are told: turns with questions, answers, sources, and what they cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import orjson

from db.seed.clock import Clock, v7
from db.seed.documents import Library
from db.seed.models_used import LanguageModel, preferred, tokens
from db.seed.prose import Scene, pick, render, tidy
from db.seed.tables import ConversationRow, MessageRow
from db.seed.world import Organization, Person

Turn = Mapping[str, Any]

_SYSTEM_TOKENS = 380
_CHANNELS = ("web", "web", "web", "ios", "android", "e-mail")
SYSTEM = {
    "northwind": "You are the assistant of Northwind Builders. Answer from booked figures and name your sources.",
    "vromm": "You help learners of Vromm Körskola. Be brief, be kind, and never guess a traffic rule.",
    "taskline": "You manage tasks with five tools. Confirm what you did in one sentence.",
    "pia": "You are Pia's notebook. Use her notes first.",
}


@dataclass
class Exchange:
    """One question and its answer: what an interaction, a usage log and tool calls are made of."""

    person: Person
    conversation_id: str
    message_id: str
    model: LanguageModel
    question: str
    answer: str
    history: tuple[tuple[str, str], ...]
    prompt_tokens: int
    completion_tokens: int
    latency_ms: int
    asked_at: datetime
    answered_at: datetime

    @property
    def tokens_used(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost_micro_usd(self) -> int:
        """What the provider charges for both."""
        return self.model.cost(self.prompt_tokens, self.completion_tokens)


@dataclass
class Archive:
    """Everything that was said in one organization."""

    titles: set[str] = field(default_factory=set)
    conversations: list[ConversationRow] = field(default_factory=list)
    messages: list[MessageRow] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)


class Conversation:
    """One conversation in the making; `at` is the present inside it."""

    def __init__(self, organization: Organization, person: Person, start: datetime, rng: Random) -> None:
        self.organization, self.person, self.rng = organization, person, rng
        self.id = v7(start, rng)
        self.start = self.at = start
        self.model = preferred(person, rng)
        self.messages: list[MessageRow] = []
        self.exchanges: list[Exchange] = []
        self.said: list[tuple[str, str]] = []
        self._context = _SYSTEM_TOKENS

    def say(
        self, role: str, content: str, *, turn: Mapping[str, Any] | None = None, used: tuple[int, int] | None = None
    ) -> str:
        """Appends a message at the present moment and returns its id; `used` are tokens and micro-dollars."""
        turn = turn or {}
        self.messages.append(
            MessageRow(
                self.organization.id,
                message_id := v7(self.at, self.rng),
                self.person.id,
                self.id,
                role,
                content,
                turn.get("type"),
                _json(turn.get("params")),
                _json(turn.get("sources") or None),
                self.model.name if role == "ASSISTANT" else None,
                used[0] if used else None,
                used[1] if used else None,
                self.at,
            )
        )
        return message_id

    def exchange(self, question: str, answer: str, turn: Mapping[str, Any]) -> Exchange:
        """A question, a pause while the model thinks, and its answer."""
        self.at += timedelta(seconds=8 + self.rng.expovariate(1 / 70), microseconds=self.rng.randrange(1_000_000))
        asked_at = self.at
        self.say("USER", question)
        return self.reply(question, answer, turn, asked_at)

    def reply(self, question: str, answer: str, turn: Mapping[str, Any], asked_at: datetime) -> Exchange:
        """The model's answer to a question that has been said already."""
        prompt, completion = self._context + tokens(question), tokens(answer)
        latency = self.model.latency_ms(self.rng) + completion * 4
        self.at += timedelta(milliseconds=latency)
        message_id = self.say(
            "ASSISTANT", answer, turn=turn, used=(prompt + completion, self.model.cost(prompt, completion))
        )
        exchange = Exchange(
            self.person, self.id, message_id, self.model, question, answer, tuple(self.said[-4:]), prompt, completion, latency, asked_at, self.at
        )  # fmt: skip
        self.said += [("user", question), ("assistant", answer)]
        self._context = min(self._context + prompt // 6 + completion, 6_000)
        self.exchanges.append(exchange)
        return exchange

    def close(self, archive: Archive, title: str | None, project_id: str | None) -> None:
        """Moves the conversation into the archive; a few are renamed or deleted later."""
        roll = self.rng.random()
        last = self.messages[-1].created_at
        deleted_at = last + timedelta(minutes=self.rng.randint(1, 90)) if roll < 0.03 else None
        metadata = {"channel": pick(_CHANNELS, self.rng), "appVersion": f"3.{int(roll * 9)}.{int(roll * 97) % 10}"}
        archive.conversations.append(
            ConversationRow(
                self.organization.id,
                self.id,
                self.person.id,
                project_id,
                title if roll < 0.985 else None,
                self.model.name,
                _json(metadata),
                self.start,
                deleted_at or last,
                deleted_at,
            )
        )
        archive.messages += self.messages
        archive.exchanges += self.exchanges


class Storyteller:
    """Composes conversations from an organization's topics, follow-ups and documents."""

    def __init__(self, organization: Organization, clock: Clock, books: Library, topics: Mapping[str, Any]) -> None:
        self.organization, self.clock, self.books = organization, clock, books
        self.topics: Sequence[Turn] = topics["topic"]
        self.general: Sequence[Turn] = topics["general"]
        self.linked: dict[str, list[dict[str, str]]] = {}

    def tell(self, talk: Conversation, facts: Scene, topic: Turn, project_id: str | None, follow_ups: int) -> None:
        """One topic from its opening on, some turns left out, some everyday follow-ups mixed in."""
        rng = talk.rng
        opening, *later = topic["turn"]
        chosen = [turn for turn in later if rng.random() < 0.84]
        for turn in rng.sample(list(self.general), min(follow_ups, len(self.general))):
            chosen.insert(rng.randint(min(1, len(chosen)), len(chosen)), turn)
        for turn in [opening, *chosen]:
            self._turn(talk, facts, turn, project_id)

    def _turn(self, talk: Conversation, facts: Scene, turn: Turn, project_id: str | None) -> None:
        rng = talk.rng
        sources = [source for kind in turn.get("sources", ()) if (source := self._source(kind, project_id, facts, rng))]
        named = ("route", "exercise", "school", "event", "recipe")
        told = {
            **facts,
            **{s["shelf"]: s["title"].removeprefix("Recipe: ") for s in sources if s.get("shelf") in named},
        }
        talk.exchange(
            tidy(render(pick(turn["ask"], rng), told, rng)),
            tidy(render(pick(turn["answer"], rng), told, rng)),
            {
                "type": turn["type"],
                "params": _params(turn["type"], told),
                "sources": [{key: value for key, value in source.items() if key != "shelf"} for source in sources],
            },
        )

    def _source(self, kind: str, project_id: str | None, facts: Scene, rng: Random) -> dict[str, str] | None:
        if kind == "project":
            return (
                {"kind": "project", "id": project_id, "title": self.organization.projects[project_id]}
                if project_id
                else None
            )
        if kind in {"insight", "pattern"}:
            known = self.linked.get(f"{kind}:{project_id}") or self.linked.get(kind)
            return pick(known, rng) if known else None
        found = self.books.find(kind, project_id, rng, facts)
        return {"kind": "document", "id": found.id, "title": found.title, "shelf": kind} if found else None


def title_of(archive: Archive, titles: Sequence[str], facts: Scene, rng: Random) -> str:
    """A title that nobody has used; after some tries the place or the day tells it from the others."""
    for _ in range(4):
        title = tidy(render(pick(titles, rng), facts, rng))
        if title not in archive.titles:
            break
    else:
        extras = [
            facts[name]
            for name in ("project", "place", "customer", "list")
            if name in facts and facts[name] not in title
        ]
        for extra in (
            *extras,
            f"{facts['month']} {facts['day']}",
            f"with {facts.get('instructor', facts.get('foreman', facts.get('person')))}",
            f"part {rng.randint(2, 9)}",
        ):
            if (title := f"{title}, {extra}") not in archive.titles:
                break
    archive.titles.add(title)
    return title


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


def _params(query_type: str, facts: Scene) -> dict[str, str] | None:
    if query_type == "OPEN_ENDED":
        return None
    slots = (
        ("project", "trade", "phase")
        if "trade" in facts
        else ("place", "skill")
        if "skill" in facts
        else ("list", "due")
    )
    return {slot: facts[slot] for slot in slots if slot in facts} | {"period": facts["month"]}
