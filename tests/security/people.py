"""Who may ask about a world, and the ids of what is in it: always the same, so that tests can name them."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from api.auth import OWN_ISSUER
from db.actor import DB_ROLES
from db.types import Role

AT: Final = datetime.now(UTC).replace(minute=7, second=9, microsecond=123_457) - timedelta(hours=2)
LONG_AGO: Final = AT - timedelta(days=20)  # mostly another partition
TOMORROW: Final = AT + timedelta(days=1)
NORTH, SOUTH = SLUGS = ("north", "south")
NEVER_ISSUED: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, "minutebook:never issued"))
WANDA: Final = str(uuid.uuid5(uuid.NAMESPACE_URL, "minutebook:wanda"))
ROLES: Final = {
    NORTH: {
        "ana": "MEMBER",
        "ben": "MEMBER",
        "olga": "OBSERVER",
        "carol": "ADMIN",
        "dave": "AUDITOR",
        "wanda": "MEMBER",
    },
    SOUTH: {
        "ana": "MEMBER",
        "ben": "MEMBER",
        "olga": "OBSERVER",
        "carol": "ADMIN",
        "dave": "AUDITOR",
        "wanda": "ADMIN",
    },
}


def uid(slug: str, *names: object) -> str:
    """The id of a thing of an organization, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(map(str, ("minutebook", slug, *names)))))


def timed(at: datetime, slug: str, *names: object) -> str:
    """The same as a version-7 id of that time, as rows of the logs have it."""
    chance = uuid.UUID(uid(slug, *names)).int & ((1 << 74) - 1)
    high, low = chance >> 62, chance & ((1 << 62) - 1)
    return str(uuid.UUID(int=int(at.timestamp() * 1_000) << 80 | 7 << 76 | high << 64 | 2 << 62 | low))


def user_id(slug: str, person: str) -> str:
    return WANDA if person == "wanda" else uid(slug, "user", person)


@dataclass(frozen=True)
class Principal:
    """Who asks: `who` as the test client names it, and what the request's context holds for it."""

    slug: str
    name: str
    who: str
    organization_id: str
    user_id: str | None
    actor_id: str
    role: Role

    def __str__(self) -> str:
        return f"{self.name} ({self.role.value.lower()}) of {self.slug}"

    @property
    def db_role(self) -> str:
        return DB_ROLES[self.role]

    @property
    def begin(self) -> str:
        """The call that makes a transaction this principal's."""
        values = (self.organization_id, self.user_id or "", self.actor_id, self.db_role, "req-1")
        literals = ", ".join(f"'{value}'" for value in values)
        return f"SELECT app.begin_request({literals}, 30000)"


def person_of(slug: str, name: str, role: str) -> Principal:
    found = user_id(slug, name)
    who = name if name == "wanda" else f"{name}.{slug}"
    return Principal(slug, name, who, uid(slug), found, found, Role(role))


def service_of(slug: str) -> Principal:
    who = f"service:{slug}"
    actor = uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, OWN_ISSUER), who)
    return Principal(slug, "service", who, uid(slug), None, str(actor), Role.SERVICE)


PRINCIPALS: Final = tuple(
    principal
    for slug, people in ROLES.items()
    for principal in (*(person_of(slug, name, role) for name, role in people.items()), service_of(slug))
)


def principal(slug: str, name: str) -> Principal:
    return next(each for each in PRINCIPALS if (each.slug, each.name) == (slug, name))
