"""Calls of language models: one for many answers, background work without a conversation, and what failed."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import orjson

from db.seed.clock import Clock, stream, v7
from db.seed.models_used import FAILURES, MODELS, LanguageModel
from db.seed.prose import pick
from db.seed.tables import InsightRow, InteractionPayloadRow, InteractionRow, UsageLogRow
from db.seed.talk import SYSTEM, Exchange
from db.seed.world import Organization, Person

HUGE_BYTES = 5 * 1024 * 1024
_SHARE_RECORDED = 0.29
_SHARE_FAILED_FIRST = 0.035
_SLOW_FAILURES = 14


@dataclass
class Traffic:
    """The rows of one organization's model calls; `by_message` finds the call behind an answer."""

    interactions: list[InteractionRow] = field(default_factory=list)
    payloads: list[InteractionPayloadRow] = field(default_factory=list)
    logs: list[UsageLogRow] = field(default_factory=list)
    by_message: dict[str, str] = field(default_factory=dict)


class Recorder:
    """Turns exchanges and background work into interactions with chat-completion payloads."""

    def __init__(self, organization: Organization, clock: Clock, seed: int) -> None:
        self.organization, self.clock = organization, clock
        self.rng = stream(seed, organization.slug, "interactions")
        self.traffic = Traffic()

    def record(self, exchange: Exchange) -> None:
        """The usage log of an answer, for nearly half of them the whole call, for a few a failed attempt before it."""
        rng, interaction_id = self.rng, None
        if rng.random() < _SHARE_RECORDED:
            if rng.random() < _SHARE_FAILED_FIRST:
                self.fail(
                    exchange.person,
                    exchange.model,
                    exchange.question,
                    exchange.asked_at,
                    conversation_id=exchange.conversation_id,
                )
            interaction_id = self._succeed(exchange)
            self.traffic.by_message[exchange.message_id] = interaction_id
        self.log(
            exchange.person,
            exchange.model,
            exchange.tokens_used,
            exchange.cost_micro_usd,
            interaction_id,
            exchange.answered_at,
        )

    def log(
        self, person: Person, model: LanguageModel, used: int, cost: int, interaction_id: str | None, at: datetime
    ) -> None:
        """One line of the usage log."""
        tier = person.tier or "FREE"
        self.traffic.logs.append(
            UsageLogRow(
                self.organization.id,
                v7(at, self.rng),
                person.id,
                tier,
                model.provider,
                model.name,
                used,
                cost,
                interaction_id,
                at,
            )
        )

    def _succeed(self, exchange: Exchange) -> str:
        history = [{"role": role, "content": text} for role, text in exchange.history]
        request = self._request(exchange.model, [*history, {"role": "user", "content": exchange.question}])
        response = self._response(
            exchange.model, exchange.answer, exchange.prompt_tokens, exchange.completion_tokens, exchange.answered_at
        )
        started_at = exchange.answered_at - timedelta(milliseconds=exchange.latency_ms)
        return self._add(
            exchange.person, exchange.model, "chat", request, response, started_at, exchange.answered_at, status="SUCCEEDED", latency_ms=exchange.latency_ms,
            links=(exchange.conversation_id, exchange.message_id), used=(exchange.tokens_used, exchange.cost_micro_usd),
        )  # fmt: skip

    def fail(
        self, person: Person | None, model: LanguageModel, question: str, at: datetime, *, conversation_id: str | None = None, kind: str = "chat", is_slow: bool = False
    ) -> None:  # fmt: skip
        """A failed call that ended before `at`; slow ones took more than five seconds."""
        rng = self.rng
        code, message, least, most = pick([f for f in FAILURES if f[2] >= 5] if is_slow else FAILURES, rng)
        latency = int(1000 * rng.uniform(least, most))
        started_at = at - timedelta(milliseconds=latency + 40)
        request = self._request(model, [{"role": "user", "content": question}])
        error = orjson.dumps({"error": {"code": code, "message": message, "type": "provider_error"}}).decode()
        self._add(
            person, model, kind, request, error, started_at, started_at + timedelta(milliseconds=latency), status="FAILED", latency_ms=latency,
            links=(conversation_id, None), failure=(code, message),
        )  # fmt: skip

    def background(self, insights: list[InsightRow], people: list[Person]) -> None:
        """What runs without a conversation: insights, templates, slow failures, pending and cancelled calls."""
        rng = self.rng
        for insight in insights:
            model, prompt, completion = pick(MODELS, rng), rng.randint(900, 5200), rng.randint(60, 240)
            request = self._request(
                model,
                [
                    {
                        "role": "user",
                        "content": f"Look at the newest figures and report what is unusual. Context: {insight.data}",
                    }
                ],
            )
            response = self._response(
                model, f"{insight.title}. {insight.description}", prompt, completion, insight.created_at
            )
            latency = model.latency_ms(rng) * 2
            self._add(
                None, model, "insights", request, response, insight.created_at - timedelta(milliseconds=latency), insight.created_at, status="SUCCEEDED",
                latency_ms=latency, used=(prompt + completion, model.cost(prompt, completion)),
            )  # fmt: skip
        for _ in range(_SLOW_FAILURES):
            at = self.clock.moment(rng, days=12, lean=1.0, floor=timedelta(hours=1))
            self.fail(
                pick(people, rng),
                pick(MODELS, rng),
                "Draft the weekly summary from the attached reports.",
                at,
                kind=pick(("template", "chat"), rng),
                is_slow=True,
            )
        for number, status in enumerate(("PENDING", "PENDING", "CANCELLED", "CANCELLED", "CANCELLED")):
            at = (
                self.clock.anchor - timedelta(seconds=20 + 9 * number)
                if status == "PENDING"
                else self.clock.moment(rng, days=40, floor=timedelta(hours=2))
            )
            request = self._request(
                MODELS[number], [{"role": "user", "content": "Write the hand-over note for tomorrow."}]
            )
            done_at = at + timedelta(seconds=3) if status == "CANCELLED" else None
            self._add(
                pick(people, rng),
                MODELS[number],
                "template",
                request,
                None,
                at,
                done_at,
                status=status,
                latency_ms=3000 if done_at else None,
            )

    def huge(self, person: Person) -> None:
        """Somebody pasted a whole export into one request: five megabytes, slow, refused."""
        rng = self.rng
        at = self.clock.anchor - timedelta(days=2, hours=3)
        rows = (
            f"{n};{pick(('open', 'done', 'late'), rng)};task {n * 7919 % 99_991};{rng.randint(1, 480)} min;board export"
            for n in range(1_000_000)
        )
        text, size = ["id;status;title;time;source"], 0
        while size < HUGE_BYTES:
            text.append(row := next(rows))
            size += len(row) + 2
        model = MODELS[0]
        request = self._request(model, [{"role": "user", "content": "Summarise this export.\n" + "\n".join(text)}])
        code, message = (
            "context_length_exceeded",
            "The prompt has 1,742,118 tokens; this model's context allows 128,000.",
        )
        error = orjson.dumps({"error": {"code": code, "message": message, "type": "invalid_request_error"}}).decode()
        metadata = orjson.dumps({"files": [{"name": "board-export.csv", "bytes": size, "type": "text/csv"}]}).decode()
        self._add(
            person, model, "template", request, error, at, at + timedelta(milliseconds=7412), status="FAILED", latency_ms=7412, failure=(code, message), file_metadata=metadata
        )  # fmt: skip

    def _request(self, model: LanguageModel, messages: list[dict[str, str]]) -> str:
        system = {"role": "system", "content": SYSTEM[self.organization.slug]}
        return orjson.dumps(
            {"model": model.name, "messages": [system, *messages], "temperature": 0.2, "max_tokens": 800}
        ).decode()

    def _response(self, model: LanguageModel, answer: str, prompt: int, completion: int, at: datetime) -> str:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        head = {
            "id": f"chatcmpl-{self.rng.getrandbits(96):024x}",
            "object": "chat.completion",
            "created": int(at.timestamp()),
        }
        return orjson.dumps({**head, "model": model.name, "choices": [choice], "usage": usage}).decode()

    def _add(
        self, person: Person | None, model: LanguageModel, kind: str, request: str, response: str | None, at: datetime, done_at: datetime | None, *, status: str,
        latency_ms: int | None = None, links: tuple[str | None, str | None] = (None, None), used: tuple[int, int] | None = None,
        failure: tuple[str, str] | None = None, file_metadata: str | None = None,
    ) -> str:  # fmt: skip
        rng, user_id = self.rng, person.id if person else None
        interaction_id = v7(at, rng)
        address = _address(rng) if person else None
        error_code, error_message = failure or (None, None)
        conversation_id, message_id = links
        self.traffic.interactions.append(
            InteractionRow(
                self.organization.id, interaction_id, user_id, conversation_id, message_id, kind, model.name, model.provider, (person.tier or "FREE") if person else None, used[0] if used else None,
                len(request.encode()), len(response.encode()) if response else None, latency_ms, error_code, error_message, status, used[1] if used else 0,
                hashlib.sha256(request.encode()).hexdigest(), file_metadata, address, at, done_at,
            )
        )  # fmt: skip
        self.traffic.payloads.append(
            InteractionPayloadRow(self.organization.id, interaction_id, user_id, request, response, at)
        )
        return interaction_id


def _address(rng: Random) -> str:
    # the networks that are reserved for documentation
    if rng.random() < 0.2:
        return f"2001:db8:{rng.getrandbits(16):x}::{rng.getrandbits(16) | 1:x}"
    return f"{pick(('203.0.113', '198.51.100', '192.0.2'), rng)}.{rng.randint(2, 250)}"
