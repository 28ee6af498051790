"""What the assistant noticed and learned: insights of every type and severity, and the builder's baselines."""

from datetime import datetime, timedelta
from random import Random

import orjson

from db.seed.clock import Clock, stream, v7
from db.seed.prose import Scene, pick, read, render, tidy
from db.seed.scenes import scene
from db.seed.tables import InsightRow, PatternRow
from db.seed.world import NORTHWIND, PIA, TASKLINE, VROMM, Organization

_COUNTS = {NORTHWIND.slug: 335, VROMM.slug: 95, TASKLINE.slug: 85, PIA.slug: 18}
_SEVERITIES = {
    "COST_PATTERN": ("INFO", "WARNING", "WARNING", "CRITICAL"),
    "SCHEDULE_RISK": ("INFO", "WARNING", "WARNING", "CRITICAL"),
    "ANOMALY": ("INFO", "WARNING", "CRITICAL"),
    "EFFICIENCY": ("INFO", "INFO", "WARNING"),
    "RECOMMENDATION": ("INFO", "INFO", "INFO", "WARNING"),
}
_DATA = (
    "trade",
    "budget",
    "spent",
    "over",
    "pct",
    "phase",
    "days",
    "vendor",
    "place",
    "skill",
    "share",
    "list",
    "customer",
    "count",
    "week",
)
_LIFE_DAYS = {"SCHEDULE_RISK": (3, 25), "RECOMMENDATION": (5, 45), "ANOMALY": (7, 60)}
_DISMISSED_SHARE = 0.24


def insights(organization: Organization, clock: Clock, seed: int) -> list[InsightRow]:
    """Oldest first; the newest ones are fresh, and some of all are dismissed or expired."""
    rng = stream(seed, organization.slug, "insights")
    count = _COUNTS[organization.slug]
    moments = sorted(clock.moment(rng, days=130, lean=2.0, floor=timedelta(minutes=5)) for _ in range(count - 3))
    fresh = [clock.anchor - timedelta(minutes=m, seconds=rng.random()) for m in (200, 95, 12)]
    titles: set[str] = set()
    rows = []
    for place, at in enumerate([*moments, *fresh]):
        is_newest = place >= count - 3
        project_id, facts = _about(organization, clock, rng, at, is_newest=is_newest)
        spec = read("insights")[organization.slug][0] if is_newest else pick(read("insights")[organization.slug], rng)
        number = int(rng.random() * len(spec["titles"]))
        title = render(spec["titles"][number], facts, rng)
        if title in titles:
            title = f"{title}, week {facts['week']}"
        titles.add(title)
        severity = "CRITICAL" if is_newest else pick(_SEVERITIES[spec["type"]], rng)
        text = tidy(render(spec["text"][number], facts, rng))
        rows.append(
            _row(
                organization,
                clock,
                rng,
                at,
                spec["type"],
                facts,
                project_id,
                (tidy(title), text, severity),
                may_end=not is_newest,
            )
        )
    return rows


def _about(
    organization: Organization, clock: Clock, rng: Random, at: datetime, *, is_newest: bool
) -> tuple[str | None, Scene]:
    ids = list(organization.projects)
    project_id = ids[0] if is_newest else pick(ids, rng) if rng.random() < 0.9 else None
    return project_id, scene(organization, rng, clock, at, organization.projects[project_id] if project_id else None)


def _row(
    organization: Organization, clock: Clock, rng: Random, at: datetime, kind: str, facts: Scene, project_id: str | None, told: tuple[str, str, str], *, may_end: bool
) -> InsightRow:  # fmt: skip
    life = _LIFE_DAYS.get(kind)
    expires_at = at + timedelta(days=rng.uniform(*life)) if life and may_end else None
    people = [person for person in organization.people if person.is_chatting]
    dismissed_at = at + timedelta(minutes=rng.uniform(5, 4000)) if may_end and rng.random() < _DISMISSED_SHARE else None
    if dismissed_at and dismissed_at > clock.anchor:
        dismissed_at = None
    data = {name: facts[name] for name in _DATA if name in facts}
    return InsightRow(
        organization.id, v7(at, rng), project_id, kind, *told[:2], orjson.dumps(data).decode(), told[2],
        dismissed_at is not None, pick(people, rng).id if dismissed_at else None, dismissed_at, expires_at, at,
    )  # fmt: skip


def patterns(organization: Organization, clock: Clock, seed: int) -> list[PatternRow]:
    """Each category's baselines, and one of the whole organization for each type."""
    rng = stream(seed, organization.slug, "patterns")
    units = {
        "CATEGORY_COST_BASELINE": (9_000, 64_000, "usd"),
        "PHASE_DURATION_BASELINE": (3, 28, "days"),
        "COST_PER_UNIT_BASELINE": (6, 58, "usd_per_square_foot"),
    }
    rows = []
    for category_id in [*organization.categories, None]:
        for kind, (least, most, unit) in units.items():
            made_at = clock.anchor - timedelta(days=rng.uniform(60, 200))
            average, samples = rng.uniform(least, most), rng.randint(3, 24)
            data = {
                "average": round(average, 2),
                "std_dev": round(average * rng.uniform(0.06, 0.3), 2),
                "sample_size": samples,
                "unit": unit,
            }
            confidence = round(min(0.97, 0.35 + samples * 0.026 + rng.uniform(-0.05, 0.05)), 2)
            calculated_at = clock.anchor - timedelta(hours=rng.uniform(2, 160))
            rows.append(
                PatternRow(
                    organization.id,
                    v7(made_at, rng),
                    kind,
                    category_id,
                    orjson.dumps(data).decode(),
                    confidence,
                    calculated_at,
                    made_at,
                )
            )
    return rows
