"""Identity → Actor: which organization, which user, which role. The role is ours, never a header's or a token's.

Nothing here takes a connection before the token has been verified; what the database said is believed for 5 s.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import asyncpg
import httpx

from api.auth.config import AuthConfig
from api.auth.tokens import MAX_CLAIM_CHARS, Identity, Verifier
from api.errors import BadUserInputError, UnauthenticatedError, UnavailableError
from db.actor import Actor
from db.pool import Pool, PoolExhaustedError
from db.types import Role

ORGANIZATION_HEADER: Final = "X-Organization"
_PERSON: Final = "SELECT organization_id, user_id, role, epoch, slug FROM app.authenticate($1, $2, NULL)"
_SERVICE: Final = "SELECT organization_id, slug FROM app.authenticate_service($1)"


@dataclass(frozen=True, slots=True)
class Membership:
    """One organization that an identity may act in. `user_id` is None for a service."""

    organization_id: str
    slug: str
    user_id: str | None
    role: Role
    epoch: int = 0


class Directory(Protocol):
    """Who belongs where, asked with verified values alone."""

    async def person(self, issuer: str, subject: str) -> Sequence[Membership]: ...

    async def service(self, organization: str) -> Sequence[Membership]: ...


class _PoolDirectory:
    def __init__(self, api: Pool, ingest: Pool, acquire_s: float) -> None:
        self._api = api
        self._ingest = ingest
        self._acquire_s = acquire_s

    async def person(self, issuer: str, subject: str) -> Sequence[Membership]:
        rows = await self._rows(self._api, _PERSON, issuer, subject)
        return [
            Membership(row["organization_id"], row["slug"], row["user_id"], Role(row["role"]), row["epoch"])
            for row in rows
        ]

    async def service(self, organization: str) -> Sequence[Membership]:
        rows = await self._rows(self._ingest, _SERVICE, organization)
        return [Membership(row["organization_id"], row["slug"], None, Role.SERVICE) for row in rows]

    async def _rows(self, pool: Pool, sql: str, *values: str) -> Sequence[asyncpg.Record]:
        try:
            async with pool.acquire(timeout_s=self._acquire_s) as connection:
                rows: Sequence[asyncpg.Record] = await connection.fetch(sql, *values)
                return rows
        except PoolExhaustedError:
            raise UnavailableError from None


def directory_of(api: Pool, ingest: Pool, *, acquire_s: float = 5.0) -> Directory:
    """The directory in the database: people through the API's login, services through the ingest login."""
    return _PoolDirectory(api, ingest, acquire_s)


class Authenticator:
    """`Authorization` and `X-Organization` → Actor."""

    def __init__(
        self,
        config: AuthConfig,
        directory: Directory,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._directory = directory
        self._verifier = Verifier(config, transport=transport, clock=clock)
        self._clock = clock
        self._known: OrderedDict[tuple[str, ...], tuple[Sequence[Membership], float]] = OrderedDict()

    async def __call__(self, headers: Mapping[str, str]) -> Actor | None:
        """The caller, or None when the request carries no credential. Header names are in lower case.

        Raises UnauthenticatedError, BadUserInputError (which organization?) or UnavailableError.
        """
        authorization = headers.get("authorization")
        if authorization is None:
            return None
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthenticatedError
        return await self.actor(token.strip(), headers.get(ORGANIZATION_HEADER.lower()))

    async def actor(self, token: str, wanted: str | None = None) -> Actor:
        """The caller that a bare token stands for; `wanted` is the slug or id of an organization."""
        identity = await self._verifier.verify(token)
        if wanted is not None and not (0 < len(wanted) <= MAX_CLAIM_CHARS and wanted.isprintable()):
            raise BadUserInputError(f"{ORGANIZATION_HEADER} is not a slug or an id.", argument=ORGANIZATION_HEADER)
        memberships = await self._memberships(identity)
        return _actor(identity, _chosen(memberships, identity.organization, wanted))

    def forget(self, organization_id: str, user_id: str | None = None) -> None:
        """Drop what is known of a member, or of everybody in an organization, when it changed."""
        stale = [
            key
            for key, (memberships, _) in self._known.items()
            if any(each.organization_id == organization_id and user_id in (None, each.user_id) for each in memberships)
        ]
        for key in stale:
            del self._known[key]

    async def _memberships(self, identity: Identity) -> Sequence[Membership]:
        """All of an identity's, so that nothing a header says costs a statement."""
        named = (identity.organization or "",) if identity.is_service else ()
        key = (identity.issuer, identity.subject, *named)
        known = self._known.get(key)
        if known is not None and self._clock() < known[1]:
            return known[0]
        until = self._clock() + self._config.membership_for_s
        directory = self._directory
        asked = directory.service(*named) if named else directory.person(identity.issuer, identity.subject)
        memberships = await asked
        self._known[key] = (memberships, until)
        self._known.move_to_end(key)
        if len(self._known) > self._config.membership_most:
            self._known.popitem(last=False)
        return memberships


def _chosen(memberships: Sequence[Membership], bound: str | None, wanted: str | None) -> Membership:
    """A token that names an organization is bound to it: the header may then only agree."""
    for name in (bound, wanted):
        if name is not None:
            memberships = [each for each in memberships if name.lower() in (each.slug.lower(), each.organization_id)]
    if not memberships:
        raise UnauthenticatedError("The token belongs to nobody here.")
    if len(memberships) > 1:
        raise BadUserInputError(
            f"You belong to several organizations: choose one with the header {ORGANIZATION_HEADER}.",
            argument=ORGANIZATION_HEADER,
        )
    return memberships[0]


@lru_cache(4_096)
def _actor(identity: Identity, membership: Membership) -> Actor:
    return Actor(
        organization_id=membership.organization_id,
        user_id=membership.user_id,
        actor_id=membership.user_id or identity.actor_id,
        role=membership.role,
        epoch=membership.epoch,
        issuer=identity.issuer,
        subject=identity.subject,
    )
