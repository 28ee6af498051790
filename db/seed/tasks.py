"""People talking to the five task tools: a small task list per person, so that every call makes sense."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Literal

import orjson

from db.seed.clock import Clock, v7
from db.seed.documents import Library
from db.seed.prose import Scene, pick, read, render, tidy
from db.seed.scenes import scene
from db.seed.tables import OutcomeRow, ToolCallRow, ToolPayloadRow
from db.seed.talk import Conversation, Exchange
from db.seed.world import NORTHWIND, PIA, VROMM, Organization, Person

Action = Literal["add", "list", "update", "complete", "delete"]

_VOICES = {NORTHWIND.slug: "site", VROMM.slug: "school", PIA.slug: "home"}
_TOOL: dict[Action, str] = {action: f"{action}_task" for action in ("add", "update", "complete", "delete")} | {
    "list": "list_tasks"
}
_FAILURES: dict[Action, tuple[str, ...]] = {
    "add": ("DUE_DATE_IN_PAST", "LIST_ARCHIVED", "UPSTREAM_TIMEOUT"),
    "list": ("UPSTREAM_TIMEOUT",),
    "update": ("TASK_NOT_FOUND", "TASK_LOCKED", "UPSTREAM_TIMEOUT"),
    "complete": ("TASK_NOT_FOUND", "TASK_LOCKED"),
    "delete": ("TASK_NOT_FOUND", "TASK_LOCKED"),
}
_ERROR_SHARE = 0.062
_PENDING_SHARE = 0.002
_MANY_OPEN = 9
_SHOWN = 7


@dataclass
class Task:
    """One entry of somebody's list."""

    id: int
    title: str
    due: date
    priority: str
    list: str
    status: str = "open"

    def json(self) -> dict[str, object]:
        """As the tool returns it."""
        return {
            "id": self.id,
            "title": self.title,
            "due": self.due.isoformat(),
            "priority": self.priority,
            "list": self.list,
            "status": self.status,
        }


@dataclass
class Call:
    """A tool call before it becomes rows; `result` and `error` are both absent while it is pending."""

    exchange: Exchange
    tool: str
    params: dict[str, object]
    result: object | None
    error: dict[str, object] | None
    is_pending: bool
    confidence: float
    at: datetime
    duration_ms: int


@dataclass
class CallRows:
    """The three tables of tool calls."""

    calls: list[ToolCallRow] = field(default_factory=list)
    outcomes: list[OutcomeRow] = field(default_factory=list)
    payloads: list[ToolPayloadRow] = field(default_factory=list)

    def add(self, organization: Organization, call: Call, interaction_id: str | None, rng: Random) -> None:
        """The call, and unless it is pending, its outcome."""
        call_id, person, exchange = v7(call.at, rng), call.exchange.person, call.exchange
        payload = orjson.dumps({"params": call.params})
        salt = rng.randbytes(32)
        self.calls.append(
            ToolCallRow(
                organization.id, call_id, person.id, exchange.conversation_id, exchange.conversation_id, interaction_id,
                call.tool, call.confidence, call.at, hashlib.sha256(salt + payload).digest(), call.at,
            )
        )  # fmt: skip
        self.payloads.append(ToolPayloadRow(organization.id, call_id, "CALL", person.id, salt, payload, call.at))
        if call.is_pending:
            return
        payload = orjson.dumps({"result": call.result, "errorDetails": call.error})
        salt = rng.randbytes(32)
        done_at = call.at + timedelta(milliseconds=call.duration_ms)
        self.outcomes.append(
            OutcomeRow(
                organization.id, call_id, person.id, "ERROR" if call.error else "SUCCESS", call.at, done_at,
                hashlib.sha256(salt + payload).digest(), call.at,
            )
        )  # fmt: skip
        self.payloads.append(ToolPayloadRow(organization.id, call_id, "OUTCOME", person.id, salt, payload, call.at))


class Desk:
    """One person's tasks through half a year; conversations must come in the order of their time."""

    def __init__(self, organization: Organization, person: Person, clock: Clock, books: Library) -> None:
        self.organization, self.person, self.clock, self.books = organization, person, clock, books
        self.prose = read("taskline")
        self.words: Mapping[str, Any] = self.prose["words"]
        if voice := _VOICES.get(organization.slug):
            self.words = self.words[voice]
        self.tasks: list[Task] = []
        self.calls: list[Call] = []

    def facts(self, rng: Random, at: datetime) -> dict[str, str]:
        """A scene with this desk's own names in it."""
        words = {
            name: pick(self.words[plural], rng)
            for name, plural in (
                ("list", "lists"),
                ("person", "people"),
                ("customer", "customers"),
                ("artefact", "artefacts"),
            )
        }
        told = {**scene(self.organization, rng, self.clock, at), **words}
        return {
            "closed": str(rng.randint(5, 18)),
            "added": str(rng.randint(6, 24)),
            "count": "4",
            "project": pick(self.organization.project_names, rng),
        } | told

    def converse(
        self, talk: Conversation, facts: Scene, turns: int, *, shows_tools: bool, is_last_pending: bool
    ) -> None:
        """A conversation of that many turns, most of which call a tool."""
        rng = talk.rng
        told = dict(facts)
        for number in range(turns):
            told |= {
                name: pick(self.words[plural], rng)
                for name, plural in (("person", "people"), ("artefact", "artefacts"))
            }
            if number and rng.random() < 0.13:
                turn = pick(self.prose["talk"], rng)
                guide = self.books.find("guide", None, rng) if "sources" in turn else None
                sources = [{"kind": "document", "id": guide.id, "title": guide.title}] if guide else None
                question, answer = (tidy(render(pick(turn[part], rng), told, rng)) for part in ("ask", "answer"))
                talk.exchange(question, answer, {"type": turn["type"], "sources": sources})
            else:
                self._act(talk, told, shows_tools=shows_tools, is_pending=is_last_pending and number == turns - 1)

    def _act(self, talk: Conversation, facts: dict[str, str], *, shows_tools: bool, is_pending: bool) -> None:
        rng = talk.rng
        open_tasks = [task for task in self.tasks if task.status == "open"]
        action = self._action(open_tasks, rng)
        task = (
            Task(len(self.tasks) + 4, "", talk.at.date(), "normal", facts["list"])
            if action in {"add", "list"}
            else pick(open_tasks, rng)
        )
        old_due = task.due
        due = self.clock.local_date(talk.at) + timedelta(days=rng.randint(1, 16))
        code = pick(_FAILURES[action], rng) if rng.random() < _ERROR_SHARE else None
        told = facts | {
            "due": _say(due),
            "old_due": _say(old_due),
            "priority": pick(("low", "normal", "normal", "high"), rng),
        }
        if action == "add":
            title = render(pick(self.words["tasks"], rng), facts, rng)
            task.title, task.due, task.priority = title, due, told["priority"]
        told |= {
            "id": str(task.id), "title": task.title, "title_lower": task.title[:1].lower() + task.title[1:], "priority_word": told["priority"].capitalize(),
            "days": str(rng.randint(1, 6)), "error": self.prose["errors"][code] if code else "",
        }  # fmt: skip
        is_filtered = action == "list" and any(t.list == facts["list"] for t in open_tasks) and rng.random() < 0.5
        question = tidy(
            render(pick(self.prose["action"][action]["ask_list" if is_filtered else "ask"], rng), told, rng)
        )
        if code is None and not is_pending:
            self._apply(action, task, due)
        params, result, lines = self._call(action, task, due, facts["list"] if is_filtered else None)
        count = lines.count("\n") + 1 if lines else len([t for t in self.tasks if t.status == "open"])
        told |= {"count": str(count), "lines": lines}
        kind = "failed" if code else "empty" if action == "list" and not lines else "ok"
        answer = (
            "I have asked the task service and am still waiting for its answer."
            if is_pending
            else tidy(render(pick(self.prose["action"][action][kind], rng), told, rng))
        )
        self._speak(
            talk,
            action,
            question,
            answer,
            params,
            None if code else result,
            code,
            shows_tools=shows_tools,
            is_pending=is_pending,
        )

    def _action(self, open_tasks: list[Task], rng: Random) -> Action:
        if not open_tasks:
            return "add"
        weights = (16, 22, 18, 32, 12) if len(open_tasks) > _MANY_OPEN else (38, 20, 18, 18, 6)
        actions: tuple[Action, ...] = ("add", "list", "update", "complete", "delete")
        return rng.choices(actions, weights)[0]

    def _apply(self, action: Action, task: Task, due: date) -> None:
        if action == "add":
            self.tasks.append(task)
        elif action == "update":
            task.due = due
        elif action != "list":
            task.status = "done" if action == "complete" else "deleted"

    def _call(self, action: Action, task: Task, due: date, only: str | None) -> tuple[dict[str, object], object, str]:
        if action == "add":
            return (
                {"title": task.title, "due": due.isoformat(), "priority": task.priority, "list": task.list},
                task.json(),
                "",
            )
        if action == "list":
            wanted = [t for t in self.tasks if t.status == "open" and only in {None, t.list}]
            found = sorted(wanted, key=lambda t: (t.due, t.id))[:_SHOWN]
            lines = "\n".join(f"- #{t.id} {t.title}, due {_say(t.due)}" for t in found)
            asked: dict[str, object] = {"status": "open", "limit": _SHOWN} | ({"list": only} if only else {})
            return asked, {"tasks": [t.json() for t in found], "total": len(wanted)}, lines
        if action == "update":
            return {"id": task.id, "due": due.isoformat()}, task.json(), ""
        return {"id": task.id}, {"id": task.id, "status": task.status}, ""

    def _speak(
        self, talk: Conversation, action: Action, question: str, answer: str, params: dict[str, object], result: object, code: str | None, *, shows_tools: bool, is_pending: bool
    ) -> None:  # fmt: skip
        rng = talk.rng
        talk.at += timedelta(seconds=8 + rng.expovariate(1 / 55), microseconds=rng.randrange(1_000_000))
        asked_at = talk.at
        talk.say("USER", question)
        talk.at += timedelta(milliseconds=rng.randint(250, 900))
        called_at, duration = (
            talk.at,
            60_020 if code == "UPSTREAM_TIMEOUT" else int(90 * rng.lognormvariate(0, 0.7)) + 12,
        )
        error: dict[str, object] | None = (
            {
                "code": code,
                "message": self.prose["errors"][code],
                "retryable": code in {"TASK_LOCKED", "UPSTREAM_TIMEOUT"},
            }
            if code
            else None
        )
        if shows_tools and not is_pending:
            talk.at += timedelta(milliseconds=duration)
            talk.say("TOOL", orjson.dumps({"tool": _TOOL[action], "result": result, "error": error}).decode())
        exchange = talk.reply(
            question,
            answer,
            {"type": "OPEN_ENDED" if action != "list" else "SCHEDULE", "params": {"tool": _TOOL[action]}},
            asked_at,
        )
        is_pending = is_pending or (code is None and rng.random() < _PENDING_SHARE)
        confidence = round(min(0.995, max(0.31, rng.gauss(0.62 if code else 0.9, 0.09))), 3)
        self.calls.append(
            Call(exchange, _TOOL[action], params, result, error, is_pending, confidence, called_at, duration)
        )


def _say(day: date) -> str:
    return f"{day:%B} {day.day}"
