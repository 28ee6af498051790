"""What happens beside conversations: thumbs, searches of content with their clicks, and the cache of answers."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

import orjson

from db.seed.clock import Clock, stream, v7
from db.seed.documents import Library
from db.seed.prose import pick, read, render
from db.seed.scenes import scene
from db.seed.tables import CacheRow, CacheStatsRow, FeedbackRow, SearchRow
from db.seed.talk import Exchange
from db.seed.world import NORTHWIND, VROMM, Organization

_FEEDBACK_SHARE = 0.101
_UP_SHARE = 0.74
_TEXT_SHARE = 0.3
_SEARCHES = {NORTHWIND.slug: 180, VROMM.slug: 1400}
_CACHE_ENTRIES = 90
_STATS_DAYS = 60
_SHELVES = {
    "ROUTE": "route",
    "LEARNING_PATH": "learning_path",
    "EXERCISE": "exercise",
    "SCHOOL": "school",
    "EVENT": "event",
    "INSTRUCTOR": "instructor",
    "DOCUMENT": "price_memo",
}
OPEN_SEARCH = "quiet route with roundabouts near Solna"


def feedback(organization: Organization, clock: Clock, exchanges: Sequence[Exchange], seed: int) -> list[FeedbackRow]:
    """About a tenth of the answers are rated, three of four with a thumb up."""
    rng = stream(seed, organization.slug, "feedback")
    words = read("words")["feedback"]
    rows = []
    for exchange in exchanges:
        at = exchange.answered_at + timedelta(seconds=3 + rng.expovariate(1 / 25))
        if rng.random() < _FEEDBACK_SHARE and at <= clock.anchor:
            is_up = rng.random() < _UP_SHARE
            text = pick(words["up" if is_up else "down"], rng) if rng.random() < _TEXT_SHARE else None
            rows.append(
                FeedbackRow(
                    organization.id, v7(at, rng), exchange.message_id, exchange.person.id, 5 if is_up else 1, text, at
                )
            )
    return rows


def searches(organization: Organization, clock: Clock, books: Library, seed: int) -> list[SearchRow]:
    """Searches over the organization's kinds of content; the newest is Erik's, and he has chosen nothing yet."""
    rng = stream(seed, organization.slug, "searches")
    spec = read(organization.slug).get("searches", {})
    people = [person for person in organization.people if person.is_chatting]
    rows = []
    for _ in range(_SEARCHES.get(organization.slug, 0)):
        at = clock.moment(rng, days=150, floor=timedelta(hours=3))
        kind = pick(list(spec), rng)
        facts = scene(organization, rng, clock, at)
        count = max(0, int(rng.gauss(7, 5)))
        found = books.find(_SHELVES[kind], None, rng) if count and rng.random() < 0.6 else None
        near = (
            {"near": facts["place"], "maxMinutes": int(facts["minutes"])}
            if "place" in facts and rng.random() < 0.5
            else None
        )
        rows.append(
            SearchRow(
                organization.id, v7(at, rng), pick(people, rng).id, render(pick(spec[kind], rng), facts, rng), kind,
                orjson.dumps(near).decode() if near else None, count, found.content_id if found else None, at,
            )
        )  # fmt: skip
    if organization is VROMM:
        at = clock.anchor - timedelta(minutes=41)
        filters = orjson.dumps({"near": "Solna", "maxMinutes": 45}).decode()
        rows.append(
            SearchRow(
                organization.id, v7(at, rng), organization.person("erik").id, OPEN_SEARCH, "ROUTE", filters, 7, None, at
            )
        )
    return rows


def cache(
    organization: Organization, clock: Clock, exchanges: Sequence[Exchange], seed: int
) -> tuple[list[CacheRow], list[CacheStatsRow]]:
    """Answers worth keeping, some expired, and two months of hits and misses."""
    rng = stream(seed, organization.slug, "cache")
    rows, stats = [], []
    keys: set[str] = set()
    for exchange in rng.sample(list(exchanges), min(_CACHE_ENTRIES, len(exchanges))):
        key = f"chat:{exchange.model.name}:{hashlib.sha256(exchange.question.encode()).hexdigest()[:24]}"
        if key in keys:
            continue
        keys.add(key)
        response = orjson.dumps(
            {"model": exchange.model.name, "content": exchange.answer, "tokens": exchange.tokens_used}
        ).decode()
        used_at = min(clock.anchor, exchange.answered_at + timedelta(hours=rng.expovariate(1 / 20)))
        expires_at = clock.anchor + timedelta(hours=rng.uniform(-48, 160))
        scope = f"user:{exchange.person.id}" if rng.random() < 0.15 else ""
        rows.append(
            CacheRow(
                organization.id, v7(exchange.answered_at, rng), scope, key, response, len(response.encode()), exchange.cost_micro_usd,
                int(rng.expovariate(1 / 6)), max(expires_at, used_at), exchange.answered_at, used_at,
            )
        )  # fmt: skip
    for back in range(_STATS_DAYS):
        # Days of the calendar, not of 24 hours: where a clock is turned back, two of those begin on one date.
        day = clock.local_date(clock.anchor) - timedelta(days=back)
        hits, misses = rng.randint(4, 90), rng.randint(30, 160)
        stats.append(CacheStatsRow(organization.id, day, hits, misses, hits * rng.randint(300, 2600)))
    return rows, stats
