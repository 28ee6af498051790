"""Settings, keys, and what was used: budgets whose `used` is the sum of their ledger, and D4's figures to the unit."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

from db.seed.clock import Clock, stream, v7
from db.seed.interactions import Recorder
from db.seed.models_used import preferred
from db.seed.tables import UsageLogRow
from db.seed.world import NORTHWIND, TASKLINE, VROMM, Organization, Person

_DAY_LIMITS: dict[str | None, int | None] = {None: 10, "FREE": 10, "PREMIUM": 100, "BYOK": None}
_COST_LIMITS = {NORTHWIND.slug: 90_000_000, VROMM.slug: 120_000_000, TASKLINE.slug: 60_000_000}
# slug, provider, last four characters, whether it has to be typed in again
_KEYS = (("freja", "ANTHROPIC", "k7Qd", False), ("freja", "OPENAI", "9xTm", True), ("jon", "GOOGLE", "Zw3e", False))

BudgetKey = tuple[str, str, str]


class SettingsRow(NamedTuple):
    organization_id: str
    user_id: str
    tier: str
    preferred_provider: str
    created_at: datetime


class ProviderKeyRow(NamedTuple):
    organization_id: str
    id: str
    user_id: str
    provider: str
    ciphertext: bytes
    wrapped_key: bytes
    key_id: str
    key_version: int
    hint: str
    fingerprint: bytes
    needs_reentry: bool
    set_at: datetime
    created_at: datetime


class LedgerRow(NamedTuple):
    organization_id: str
    id: str
    budget_id: str
    request_key: str
    kind: str
    amount: int
    window_start: datetime
    created_at: datetime


@dataclass(frozen=True)
class BudgetState:
    """What a budget row is set to once its ledger is written."""

    id: str
    used: int
    window_start: datetime
    limit_value: int | None


def settings(organization: Organization, clock: Clock) -> list[SettingsRow]:
    """Some people have no row yet: theirs are the defaults."""
    at = clock.anchor - timedelta(days=150)
    return [
        SettingsRow(organization.id, person.id, person.tier, person.provider, at)
        for person in organization.people
        if person.tier
    ]


def provider_keys(organization: Organization, clock: Clock, seed: int) -> list[ProviderKeyRow]:
    """Random bytes where a sealed key would stand: nothing in the demo can be opened."""
    rng = stream(seed, organization.slug, "keys")
    known = {person.slug: person for person in organization.people}
    rows = []
    for slug, provider, hint, needs_reentry in _KEYS:
        if person := known.get(slug):
            at = clock.anchor - timedelta(days=rng.uniform(20, 90))
            fingerprint = hashlib.sha256(f"demo:{slug}:{provider}".encode()).digest()
            rows.append(
                ProviderKeyRow(
                    organization.id, v7(at, rng), person.id, provider, rng.randbytes(67), rng.randbytes(60), "demo", 1, hint, fingerprint, needs_reentry, at, at,
                )
            )  # fmt: skip
    return rows


def balance(organization: Organization, clock: Clock, recorder: Recorder, seed: int) -> None:
    """Tops up or thins out this month's usage log, until everybody's requests are what the world says."""
    rng = stream(seed, organization.slug, "balance")
    day, month = clock.day_start(), clock.month_start()
    logs = recorder.traffic.logs
    for person in organization.people:
        today = [log for log in logs if log.user_id == person.id and log.created_at >= day]
        earlier = [log for log in logs if log.user_id == person.id and month <= log.created_at < day]
        if person.requests_today is None or person.requests_month is None:
            limit = _DAY_LIMITS[person.tier]
            _thin(logs, today, limit - 1 if limit else len(today))
            continue
        _fit(recorder, person, today, person.requests_today, (day, clock.anchor), rng)
        if day > month:
            _fit(recorder, person, earlier, person.requests_month - person.requests_today, (month, day), rng)


def _thin(logs: list[UsageLogRow], some: list[UsageLogRow], wanted: int) -> None:
    surplus = {log.id for log in some[wanted:]}
    if surplus:
        logs[:] = [log for log in logs if log.id not in surplus]


def _fit(
    recorder: Recorder,
    person: Person,
    some: list[UsageLogRow],
    wanted: int,
    span: tuple[datetime, datetime],
    rng: Random,
) -> None:
    _thin(recorder.traffic.logs, some, wanted)
    start, end = span
    for _ in range(wanted - len(some)):
        at = start + (end - start) * rng.random()
        model, prompt, completion = preferred(person, rng), rng.randint(320, 1900), rng.randint(30, 260)
        recorder.log(person, model, prompt + completion, model.cost(prompt, completion), None, at)


def ledger(
    organization: Organization, clock: Clock, logs: Iterable[UsageLogRow], budgets: Mapping[BudgetKey, str], seed: int
) -> tuple[list[LedgerRow], list[BudgetState]]:
    """Settled movements for every budget of the organization, and the state that they add up to."""
    rng = stream(seed, organization.slug, "ledger")
    starts = {"DAY": clock.day_start(), "MONTH": clock.month_start()}
    by_subject: dict[str, list[UsageLogRow]] = defaultdict(list)
    for log in sorted(logs, key=lambda log: (log.created_at, log.id)):
        if log.created_at >= starts["MONTH"] and log.user_id:
            by_subject[log.user_id].append(log)
            by_subject[organization.id].append(log)
    rows: list[LedgerRow] = []
    states: list[BudgetState] = []
    for (subject_id, metric, window), budget_id in sorted(budgets.items()):
        person = next((person for person in organization.people if person.id == subject_id), None)
        spent = [log for log in by_subject[subject_id] if log.created_at >= starts[window]]
        moves = _moves(
            spent,
            metric,
            clock,
            one_by_one=metric == "REQUESTS" and person is not None and person.requests_month is not None,
        )
        if window == "MONTH" and metric == "REQUESTS" and person and person.requests_month:
            missing = person.requests_month - sum(amount for _, amount, _ in moves)
            moves += [("demo:opening", missing, starts["MONTH"])] if missing else []
        rows += [
            LedgerRow(organization.id, v7(at, rng), budget_id, key, "SETTLE", amount, starts[window], at)
            for key, amount, at in moves
        ]
        used = sum(amount for _, amount, _ in moves)
        states.append(BudgetState(budget_id, used, starts[window], _limit(organization, person, metric, window)))
    return rows, states


def _moves(logs: list[UsageLogRow], metric: str, clock: Clock, *, one_by_one: bool) -> list[tuple[str, int, datetime]]:
    if one_by_one:
        return [(f"demo:{log.id}", 1, log.created_at) for log in logs]
    days: dict[str, tuple[int, datetime]] = {}
    for log in logs:
        key = f"demo:{clock.local_date(log.created_at)}"
        amount = {"REQUESTS": 1, "TOKENS": log.tokens_used, "COST": log.cost_micro_usd}[metric]
        days[key] = (days.get(key, (0, log.created_at))[0] + amount, log.created_at)
    return [(key, amount, at) for key, (amount, at) in days.items()]


def _limit(organization: Organization, person: Person | None, metric: str, window: str) -> int | None:
    if person:
        return _DAY_LIMITS[person.tier] if (metric, window) == ("REQUESTS", "DAY") else None
    if (metric, window) == ("TOKENS", "MONTH"):
        return organization.token_limit
    return _COST_LIMITS.get(organization.slug) if (metric, window) == ("COST", "MONTH") else None
