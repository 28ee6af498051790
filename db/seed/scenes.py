"""Scenes: the facts one conversation, document or insight is about, consistent within themselves."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from db.seed.clock import Clock
from db.seed.prose import Scene, T, pick, read, render
from db.seed.world import NORTHWIND, PIA, TASKLINE, VROMM, Organization

_ESCALATING = 1.18


def scene(organization: Organization, rng: Random, clock: Clock, at: datetime, project: str | None = None) -> Scene:
    """A new scene of that organization at that moment; `project` fixes the project's name."""
    calendar = _calendar(rng, clock, at)
    return calendar | _SCENES[organization.slug](rng, project)


def _calendar(rng: Random, clock: Clock, at: datetime) -> dict[str, str]:
    day = clock.local_date(at)
    slip = rng.randint(3, 17)
    finish = day + timedelta(days=rng.randint(6, 30))
    last_month = day.replace(day=1) - timedelta(days=20)

    def say(offset: int) -> str:
        moved = day + timedelta(days=offset)
        return f"{moved:%B} {moved.day}"

    return {
        "week": str(day.isocalendar().week),
        "next_week": str((day + timedelta(days=7 * rng.randint(1, 2))).isocalendar().week),
        "month": f"{day:%B}",
        "day": str(day.day),
        "last_month": f"{last_month:%B}",
        "start": say(-rng.randint(2, 12)),
        "finish": f"{finish:%B} {finish.day}",
        "new_finish": f"{finish + timedelta(days=slip + slip // 5 * 2):%B} {(finish + timedelta(days=slip + slip // 5 * 2)).day}",
        "days": str(slip),
        "date": say(rng.randint(2, 21)),
        "due": say(rng.randint(1, 12)),
    }


def _usd(amount: float) -> str:
    return f"${round(amount):,}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _two(options: list[T], rng: Random) -> tuple[T, T]:
    first = int(rng.random() * len(options))
    second = (first + 1 + int(rng.random() * (len(options) - 1))) % len(options)
    return options[first], options[second]


def _builder(rng: Random, project: str | None) -> dict[str, str]:
    words = read("words")["builder"]
    names = list(NORTHWIND.project_names)
    number = names.index(project) if project else int(rng.random() * len(names))
    other = names[(number + 1 + int(rng.random() * (len(names) - 1))) % len(names)]
    total = (185_000, 640_000, 92_000, 870_000, 1_240_000, 730_000, 410_000, 148_000)[number]
    phase = int(rng.random() * (len(words["phases"]) - 1))
    vendor, other_vendor = _two(words["vendors"], rng)
    trade, trade2 = _two(words["trades"], rng)
    client = words["clients"][number]
    days = (rng.randint(1, 4), rng.randint(2, 6), rng.randint(1, 3))
    facts = {
        "project": names[number], "other_project": other, "client": client, "trade": trade, "trade_lower": _lower(trade),
        "trade2": trade2, "trade2_lower": _lower(trade2), "vendor": vendor, "other_vendor": other_vendor,
        "foreman": words["foremen"][number % len(words["foremen"])], "phase": words["phases"][phase], "next_phase": words["phases"][phase + 1],
        "d1": str(days[0]), "d2": str(days[1]), "d3": str(days[2]), "crew_size": str(rng.randint(3, 8)), "crew_size_plus": str(rng.randint(9, 12)),
        "co": f"CO-{number + 1}{rng.randint(1, 49):02d}", "permit": f"B-{rng.randint(20_000, 48_000)}", "invoice": f"{vendor[0]}{trade[0]}-{rng.randint(1000, 9899)}",
        "temp": str(rng.randint(18, 88)), "hour_pm": f"{rng.randint(1, 5)} p.m.", "hours_day": str(rng.randint(24, 72)), "sqft": str(rng.randrange(120, 640, 10)),
        "room": pick(words["rooms"], rng), "item": pick(words["items"], rng), "item2": pick(words["items2"], rng), "scope": pick(words["scopes"], rng), "topic": pick(words["topics"], rng),
    }  # fmt: skip
    return facts | _builder_figures(rng, total)


def _builder_figures(rng: Random, total: int) -> dict[str, str]:
    budget = total * rng.uniform(0.04, 0.13)
    over = rng.uniform(0.031, 0.24)
    other_budget, other_over = total * rng.uniform(0.05, 0.11), rng.uniform(0.008, 0.06)
    old_price, contingency, share = rng.randint(410, 640), total * 0.06, rng.randint(22, 94)
    price_rise, qty, change = rng.uniform(0.07, 0.33), rng.randint(120, 920), rng.randint(900, 9_800)
    quote, hours, psf = budget * rng.uniform(0.3, 0.6), rng.randint(260, 1480), rng.uniform(14, 62)
    estimate = rng.randint(28, 145) * 1000
    return {
        "budget": _usd(budget), "spent": _usd(budget * (1 + over)), "over": _usd(budget * over), "pct": _percent(over), "remaining": _usd(budget * rng.uniform(0.04, 0.3)),
        "forecast": _usd(budget * (1 + over * _ESCALATING)), "committed": _usd(total * rng.uniform(0.03, 0.12)), "contingency": _usd(contingency),
        "cont_left": _usd(contingency * rng.uniform(0.15, 0.8)), "co_amount": _usd(change), "new_total": _usd(total + change), "draw": _usd(total * rng.uniform(0.05, 0.14)),
        "quote_amount": _usd(quote), "inv_amount": _usd(quote * rng.uniform(1.03, 1.16)), "spent_small": _usd(budget * rng.uniform(0.3, 0.8)), "small": _usd(rng.randint(180, 1650)),
        "other_budget": _usd(other_budget), "other_spent": _usd(other_budget * (1 + other_over)), "other_pct": _percent(other_over),
        "old_price": _usd(old_price), "unit_price": _usd(old_price * (1 + price_rise)), "price_pct": _percent(price_rise), "price_total": _usd(budget * over * rng.uniform(0.5, 0.8)),
        "small_price": f"${rng.uniform(13, 29):.2f}", "qty": f"{qty:,}", "qty_small": str(rng.randint(9, 48)), "share": str(share),
        "total_budget": _usd(total), "total_spent": _usd(total * share / 100), "hours": f"{hours:,}", "hours_plan": f"{round(hours / (1 + over)):,}", "hours_week": str(rng.randint(96, 310)),
        "psf": f"${psf:.2f}", "psf_net": f"${psf * 0.93:.2f}", "other_psf": f"${psf * rng.uniform(0.84, 0.97):.2f}",
        "est_low": _usd(estimate * 0.88), "est_mid": _usd(estimate), "est_high": _usd(estimate * 1.17),
    }  # fmt: skip


def _lower(name: str) -> str:
    return name if name == "HVAC" else name.lower()


def _school(rng: Random, _project: str | None) -> dict[str, str]:
    words = read("words")["school"]
    place, place2 = _two(words["places"], rng)
    skill, skill2 = _two(words["skills"], rng)
    speed = pick((30, 40, 50, 60, 70, 80), rng)
    score, theory = rng.randint(38, 50), int(rng.random() * len(words["theory"]))
    facts = {
        "place": place, "place2": place2, "skill": skill, "surname": pick(words["surnames"], rng), "weeks": str(rng.randint(3, 11)),
        "instructor": f"{pick(words['first_names'], rng)} {pick(words['surnames'], rng)}", "km": str(rng.randint(4, 34)), "minutes": str(rng.randrange(20, 75, 5)),
        "minutes2": str(rng.randrange(60, 110, 5)), "hour": f"{rng.randint(9, 20)}:{pick(('00', '15', '30'), rng)}", "price": str(rng.randrange(620, 1390, 10)), "price2": str(rng.randrange(540, 990, 10)),
        "diff": str(rng.randrange(30, 140, 10)), "total": f"{rng.randrange(14_500, 23_900, 100):,}".replace(",", " "), "lesson": pick(("40", "50", "60", "80"), rng), "years": str(rng.randint(2, 31)),
        "part": pick(("1", "2"), rng), "share": str(rng.randint(68, 97)), "share2": str(rng.randint(41, 67)), "lessons": str(rng.randint(5, 26)), "rating": f"{rng.uniform(3.6, 4.9):.1f}", "reviews": str(rng.randint(18, 340)),
        "speed": str(speed), "metres": str(round(speed / 3.6)), "d1": str(rng.randint(1, 6)), "d2": str(rng.randint(7, 18)),
        "theory": words["theory"][theory], "theory_rule": words["rules"][theory],
    } | {f"s{n}": str(min(64, score + round(n * rng.uniform(0.4, 3)))) for n in range(1, 6)}  # fmt: skip
    return facts | {
        "route": _capital(render(pick(words["route_names"], rng), facts, rng)),
        "exercise": _capital(render(pick(words["exercise_names"], rng), facts, rng)),
        "exercise2": _capital(render(pick(words["exercise_names"], rng), facts | {"skill": skill2}, rng)),
        "path": render(pick(words["path_names"], rng), facts, rng),
        "school": render(pick(words["school_names"], rng), facts, rng),
        "school2": render(pick(words["school_names"], rng), facts | {"place": place2}, rng),
        "event": render(pick(words["event_names"], rng), facts, rng),
    }


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _team(rng: Random, project: str | None, voice: str = "") -> dict[str, str]:
    tasks = read("taskline")["words"]
    tasks = tasks[voice] if voice else tasks
    words = read("words")["team"]
    artefact = pick(tasks["artefacts"], rng)
    return {
        "project": project or pick((PIA if voice else TASKLINE).project_names, rng),
        "list": pick(tasks["lists"], rng), "person": pick(tasks["people"], rng), "customer": pick(tasks["customers"], rng), "artefact": artefact, "artefact_cap": _capital(artefact),
        "closed": str(rng.randint(6, 23)), "added": str(rng.randint(9, 31)), "count": str(rng.randint(3, 17)), "share": str(rng.randint(12, 78)), "small": f"${rng.uniform(0.4, 38):.2f}",
        "guide": pick(words["guides"], rng), "example": pick(words["examples"], rng), "runbook": pick(words["runbooks"], rng),
        "tool": pick(("add_task", "list_tasks", "update_task", "complete_task", "delete_task"), rng),
    }  # fmt: skip


def _home(rng: Random, project: str | None) -> dict[str, str]:
    words = read("words")["home"]
    euros = rng.randint(12, 48)
    veg = pick(words["vegetables"], rng)
    return _team(rng, project, "home") | {
        "plant": pick(words["plants"], rng), "veg": veg, "recipe": _capital(render(pick(words["recipe_names"], rng), {"veg": veg}, rng)), "note": pick(words["notes"], rng),
        "n": str(rng.randint(3, 9)), "litres": str(rng.randint(4, 14)), "eur": str(euros), "eur2": str(euros * 3 + 7), "eur3": f"{euros * 31:,}", "boxes": str(rng.randint(28, 55)),
        "minutes": str(rng.randrange(20, 60, 5)), "km": str(rng.randint(4, 9)), "km2": str(rng.randint(11, 18)), "thing": pick(words["things"], rng),
    }  # fmt: skip


_SCENES: dict[str, Callable[[Random, str | None], dict[str, str]]] = {
    NORTHWIND.slug: _builder,
    VROMM.slug: _school,
    TASKLINE.slug: _team,
    PIA.slug: _home,
}
