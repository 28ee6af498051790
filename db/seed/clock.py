"""When things happened: working days behind the anchor, and the UUIDv7 that each row takes from its own time."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

HISTORY_DAYS = 180
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def stream(seed: int, *names: str) -> Random:
    """A random stream of its own for each purpose, so that one more row here moves nothing there."""
    digest = hashlib.sha256(f"{seed}:{':'.join(names)}".encode()).digest()
    return Random(int.from_bytes(digest[:8], "big"))


def v7(at: datetime, rng: Random) -> str:
    """A UUIDv7 of that instant; like PostgreSQL 18, twelve more bits carry the microseconds."""
    millis, micros = divmod((at - _EPOCH) // _MICROSECOND, 1000)
    tail = (0b10 << 62) | rng.getrandbits(62)
    text = f"{(millis << 16) | 0x7000 | (micros * 4096 // 1000):016x}{tail:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True)
class Clock:
    """The anchor, seen from one organization's time zone."""

    anchor: datetime
    zone: ZoneInfo
    works_weekends: bool
    hours: tuple[int, int]

    def moment(self, rng: Random, *, days: float = HISTORY_DAYS, lean: float = 1.7, floor: timedelta) -> datetime:
        """A working moment in the last `days`, leaning towards now, at least `floor` before the anchor."""
        day = self._local(self.anchor).date() - timedelta(days=int(days * rng.random() ** lean))
        if not self.works_weekends and day.weekday() > 4 and rng.random() < 0.85:
            day -= timedelta(days=day.weekday() - 4)
        start, end = self.hours
        seconds = int((start + (end - start) * (rng.random() + rng.random()) / 2) * 3600)
        at = self.at(day, seconds) + timedelta(microseconds=rng.randrange(1_000_000))
        return at if at <= self.anchor - floor else at - timedelta(days=1) - floor

    def at(self, day: date, seconds: int) -> datetime:
        """The UTC instant of that local day and second."""
        local = datetime(day.year, day.month, day.day, tzinfo=self.zone) + timedelta(seconds=seconds)
        return local.astimezone(UTC)

    def day_start(self, at: datetime | None = None) -> datetime:
        """Local midnight before that instant, as UTC."""
        return self.at(self._local(at or self.anchor).date(), 0)

    def month_start(self, at: datetime | None = None) -> datetime:
        """Local midnight of that month's first day, as UTC."""
        return self.at(self._local(at or self.anchor).date().replace(day=1), 0)

    def local_date(self, at: datetime) -> date:
        """The calendar day on the wall there."""
        return self._local(at).date()

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)
