"""Changes that are interrupted at every point: what each of them is, and what must be so afterwards."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.changes.changing import Hashes, changes, events, hashes, head, is_whole
from tests.changes.house import House, gid
from tests.changes.wire import Moment, Strike, Wire
from tests.client import Answer, Client
from tests.storm import busy

INSIGHTS: Final = [gid("Insight", "insight", name) for name in ("open", "general", "fading")]
NO_INSIGHT: Final = gid("Insight", "insight", "nowhere")
MESSAGE: Final = gid("Message", "answer", "ana", "live")
EVERYWHERE: Final = {"idempotency_keys", "audit_events", "audit_heads"}
# How the message begins that commits a change: with its events, or after an event that a function of the database made.
COMMITS: Final = ("SELECT app.audit_append(", "SELECT app.audit_append_one(", "SELECT 1; COMMIT;")
HEAL_S: Final = 5
NEVER: Final = 10**6
_AGAIN: Final = "UPDATE app.ai_insights SET is_dismissed = false, dismissed_by = NULL, dismissed_at = NULL"


@dataclass(frozen=True)
class Kind:
    """A mutation that can be asked for again and again: `given` and `told` hold the input and the answer of a round."""

    field: str
    who: str
    select: str
    given: Callable[[int], dict[str, Any]]
    told: Callable[[int], dict[str, Any]]
    actions: tuple[str, ...]
    table: str
    again: str = ""

    async def ask(self, client: Client, number: int) -> Answer:
        """The answer to the round's mutation, whose key is the round's."""
        kind = f"{self.field[0].upper()}{self.field[1:]}Input"
        text = (
            f"mutation($input:{kind}!,$key:String!){{{self.field}(input:$input)@idempotent(key:$key)"
            f"{{{self.select} userErrors{{code field}}}}}}"
        )
        return await client.ask(text, self.who, input=self.given(number), key=f"{self.field} {number}")


def _conversation(number: int) -> dict[str, Any]:
    said = {"edges": [{"node": {"role": "USER", "content": f"Why? {number}"}}]}
    return {"conversation": {"title": f"Lumber {number}", "messages": said}, "userErrors": []}


def _feedback(number: int) -> dict[str, Any]:
    return {
        "feedback": {"thumb": "DOWN", "text": f"No: {number}"},
        "message": {"myFeedback": {"text": f"No: {number}"}},
        "userErrors": [],
    }


KINDS: Final = {
    each.field: each
    for each in (
        Kind(
            "createConversation", "ana.north", "conversation{title messages(first:2){edges{node{role content}}}}",
            lambda number: {"title": f"Lumber {number}", "firstMessage": f"Why? {number}"}, _conversation,
            ("conversation.created", "message.sent"), "ai_messages",
        ),
        Kind(
            "submitFeedback", "ana.north", "feedback{thumb text} message{myFeedback{text}}",
            lambda number: {"messageId": MESSAGE, "thumb": "DOWN", "text": f"No: {number}"}, _feedback,
            ("feedback.submitted",), "ai_feedback",
        ),
        Kind(
            "dismissInsights", "ben.north", "insights{id isDismissed}",
            lambda _: {"ids": [*INSIGHTS, NO_INSIGHT]},
            lambda _: {
                "insights": [{"id": each, "isDismissed": True} for each in INSIGHTS],
                "userErrors": [{"code": "NOT_FOUND", "field": ["ids", "3"]}],
            },
            ("insight.dismissed",) * 3, "ai_insights", _AGAIN,
        ),
        Kind(
            "setBudgetLimit", "carol.north", "budget{limit}",
            lambda number: {
                "subjectId": gid("Organization"), "metric": "TOKENS", "window": "MONTH", "limit": str(1000 + number)
            },
            lambda number: {"budget": {"limit": str(1000 + number)}, "userErrors": []},
            ("budget.limit_set",), "usage_budgets",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Round:
    """How one change ended that was to be struck at a flight: `flights` are those up to it, or all if it came too late."""

    flights: tuple[str, ...]
    moment: Moment
    is_struck: bool
    is_stored: bool

    @property
    def is_uncertain(self) -> bool:
        """Whether the COMMIT was under way: it may be in or out."""
        return self.is_struck and self.flights[-1].startswith(COMMITS) and self.moment is Moment.UNDERWAY

    @property
    def is_committed(self) -> bool:
        """Whether PostgreSQL has answered the COMMIT."""
        has_answered_last = not self.is_struck or self.moment is Moment.UNREAD
        return any(each.startswith(COMMITS) for each in (self.flights if has_answered_last else self.flights[:-1]))

    @property
    def may_begin_again(self) -> bool:
        """Whether the API may not know of a BEGIN where it was struck, which goes out with the flight after it.

        It may then do it all on another connection.
        """
        return self.is_struck and any(each.startswith("BEGIN") for each in self.flights[-2:])


class Rounds:
    """One kind of change, asked for again and again, each time struck at another point; `client` asks again.

    `warm` has asked for the same a moment ago: its connection is open, its statements are prepared, it knows who asks.
    """

    def __init__(self, kind: Kind, house: House, wire: Wire, client: Client, *, warm: Client | None = None) -> None:
        self.kind = kind
        self.house = house
        self.wire = wire
        self._client = client
        self._warm = warm
        self._number = 0
        self._tables: set[str] = set()

    async def undisturbed(self) -> None:
        """Learn which tables a whole change touches."""
        before = await self._again()
        assert await self._retried() == self.kind.told(self._number)
        self._tables = changes(before, await hashes(self.house))
        assert self._tables >= {*EVERYWHERE, self.kind.table}

    async def struck(self, client: Client, at: int, moment: Moment, strike: Strike) -> Round:
        """Ask by `client`, through the wire, and strike; then look at what is left, and ask again by the same key."""
        before = await self._again()
        since = await head(self.house)
        # Chance: when it is looked up again who asks, and when the pool opens another connection.
        self.wire.arm(at, moment, strike, since="BEGIN" if self._warm else "")
        answer = None
        try:
            async with asyncio.timeout(30):
                answer = await self.kind.ask(client, self._number)
        except httpx.TransportError:  # the server is dead
            assert self.wire.is_struck
        finally:
            self.wire.disarm()
            await self.wire.settled()
        flights = tuple(self.wire.flights)
        where = f"{self.kind.field}, {moment.value} at {at} of {flights}"

        assert await busy(self.house.urls) == [], where
        after = await hashes(self.house)
        done = changes(before, after)
        assert done in (set(), self._tables), where
        assert await self._actions(since) == (self.kind.actions if done else ()), where
        each = Round(flights, moment, self.wire.is_struck, bool(done))
        has_begun_again = each.may_begin_again and answer is not None and not answer.errors
        assert each.is_uncertain or each.is_stored is (each.is_committed or has_begun_again), where
        if answer is not None:
            self._is_honest(answer, where, is_stored=each.is_stored)

        assert await self._retried() == self.kind.told(self._number), where
        final = await hashes(self.house)
        assert changes(before, final) == self._tables, where
        assert changes(after, final) == (set() if done else self._tables), where
        assert await self._actions(since) == self.kind.actions, where
        assert await is_whole(self.house), where
        return each

    def _is_honest(self, answer: Answer, where: str, *, is_stored: bool) -> None:
        """Whoever is told that it was done finds it so, and whoever is told nothing certain is told to try again."""
        if answer.errors:
            assert set(answer.codes) == {"UNAVAILABLE"}, (where, answer.body)
            assert is_stored or answer.body.get("data") is None, (where, answer.body)
        else:
            assert is_stored, where
            assert answer.data[self.kind.field] == self.kind.told(self._number), where

    async def _again(self) -> Hashes:
        """The world before the next round."""
        if self._warm is not None:
            await self._reset()
            assert (await self.kind.ask(self._warm, self._number)).errors == []
        await self._reset()
        return await hashes(self.house)

    async def _reset(self) -> None:
        self._number += 1
        if self.kind.again:
            await self.house.rows(self.kind.again)

    async def _retried(self) -> Any:
        """What a client is told that tries again for as long as it is told to."""
        async with asyncio.timeout(HEAL_S):
            while True:
                answer = await self.kind.ask(self._client, self._number)
                if set(answer.codes) != {"UNAVAILABLE"}:
                    return answer.data[self.kind.field]
                await asyncio.sleep(0.02)

    async def _actions(self, since: int) -> tuple[str, ...]:
        return tuple(event["action"] for event in await events(self.house, since))


async def walk(play: Callable[[int, Moment], Awaitable[Round]], moments: Iterable[Moment], *, is_whole: bool) -> int:
    """Play rounds that are struck at every flight, or only at the first one, the COMMIT and the last one; how many were."""
    played = 0
    undisturbed = await play(NEVER, Moment.UNSENT)
    assert not undisturbed.is_struck
    count = len(undisturbed.flights)
    [commit] = (at for at, flight in enumerate(undisturbed.flights, 1) if flight.startswith(COMMITS))
    some = range(1, count + 1) if is_whole else (1, commit, count)
    for at in some:
        for moment in moments:
            struck = await play(at, moment)
            assert struck.is_struck
            assert struck.flights == undisturbed.flights[:at], (struck, undisturbed)
            played += 1
    return played
