"""Bearer token → verified claims. Everything that is wrong with one is a 401, and the reason stays with us."""

import hashlib
import re
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
import jwt
import structlog

from api.auth.config import MIN_SECRET_BYTES, AuthConfig, AuthConfigError, Issuer
from api.auth.jwks import KeySet
from api.errors import UnauthenticatedError

log = structlog.get_logger(__name__)

OWN_ISSUER: Final = "minutebook"
MAX_CLAIM_CHARS: Final = 255
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")
_REQUIRED: Final = ["iss", "aud", "exp", "sub"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified token says. `organization` is a slug or an id, as the issuer wrote it."""

    issuer: str
    subject: str
    organization: str | None
    is_service: bool
    expires_at: float

    @property
    def actor_id(self) -> str:
        """A service's own id: a person's is the user."""
        return str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, self.issuer), self.subject))


class Verifier:
    """Checks tokens; remembers the good ones by their hash for at most a minute."""

    def __init__(
        self,
        config: AuthConfig,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._clock = clock
        self._issuers = {issuer.name: issuer for issuer in config.issuers}
        self._key_sets = {
            issuer.name: KeySet(issuer.jwks_url, on_change=self.forget, transport=transport)
            for issuer in config.issuers
            if issuer.jwks_url is not None
        }
        self._known: OrderedDict[bytes, tuple[Identity, float]] = OrderedDict()

    def forget(self) -> None:
        """Drop what was verified with keys that may be gone."""
        self._known.clear()

    async def verify(self, token: str) -> Identity:
        """Raises UnauthenticatedError, or UnavailableError while an issuer's keys cannot be had."""
        if len(token) > self._config.max_token_chars:
            raise UnauthenticatedError
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        now = self._clock()
        known = self._known.get(digest)
        if known is not None:
            if now < known[1]:
                return known[0]
            del self._known[digest]
        if not _COMPACT.match(token):
            raise UnauthenticatedError
        identity = await self._verify(token)
        until = min(identity.expires_at, now + self._config.verified_for_s)
        if now < until:
            self._known[digest] = (identity, until)
            if len(self._known) > self._config.verified_most:
                self._known.popitem(last=False)
        return identity

    async def _verify(self, token: str) -> Identity:
        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
            issuer = self._issuers.get(str(unverified.get("iss")))
            if issuer is None:
                raise jwt.InvalidIssuerError("an issuer that is not ours")
            key, algorithm = await self._key(issuer, header)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=issuer.audience,
                issuer=issuer.name,
                leeway=self._config.leeway_s,
                options={"require": _REQUIRED},
            )
            return _identity(issuer, claims)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            log.info("token refused", reason=type(error).__name__)
            raise UnauthenticatedError("The token is not valid or has expired.") from None

    async def _key(self, issuer: Issuer, header: Mapping[str, Any]) -> tuple[jwt.PyJWK | bytes, str]:
        if issuer.secret is not None:
            return issuer.secret, "HS256"
        kid = header.get("kid")
        if kid is not None and not (isinstance(kid, str) and len(kid) <= MAX_CLAIM_CHARS):
            raise jwt.InvalidKeyError("not a key id")
        key = await self._key_sets[issuer.name].key(kid)
        if key is None or header.get("alg") != key.algorithm_name:
            raise jwt.InvalidKeyError("no such key for this algorithm")
        return key, key.algorithm_name


def mint(
    secret: bytes,
    *,
    subject: str,
    audience: str,
    organization: str | None = None,
    service: bool = False,
    ttl_s: int = 3_600,
    issuer: str = OWN_ISSUER,
    service_scope: str = "service",
) -> str:
    """A token of our own issuer. A service names its organization (slug or id); a person may."""
    if len(secret) < MIN_SECRET_BYTES:
        raise AuthConfigError(f"a shared secret has at least {MIN_SECRET_BYTES} bytes")
    if service and not organization:
        raise AuthConfigError("a service token names one organization")
    now = int(time.time())
    claims: dict[str, Any] = {"iss": issuer, "aud": audience, "sub": subject, "iat": now, "exp": now + ttl_s}
    if organization:
        claims["organization"] = organization
    if service:
        claims["scope"] = service_scope
    return jwt.encode(claims, secret, algorithm="HS256")


def claim_at(claims: Mapping[str, Any], path: str) -> Any:
    """A claim by its exact name (Auth0's are URLs), else by dotted path (Supabase's `app_metadata.organization`)."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def _identity(issuer: Issuer, claims: Mapping[str, Any]) -> Identity:
    subject = _text(claim_at(claims, issuer.subject_claim))
    if subject is None:
        raise jwt.InvalidTokenError("no subject")
    named = claim_at(claims, issuer.organization_claim)
    organization = _text(named)
    if named is not None and organization is None:
        raise jwt.InvalidTokenError("an organization that is not a text")
    scope = claim_at(claims, issuer.scope_claim)
    scopes = scope.split() if isinstance(scope, str) else scope if isinstance(scope, list) else []
    is_service = issuer.service_scope in scopes
    if is_service and organization is None:
        raise jwt.InvalidTokenError("a service without an organization")
    return Identity(issuer.name, subject, organization, is_service, float(int(claims["exp"])))


def _text(value: object) -> str | None:
    """A claim that PostgreSQL can compare: 1 to 255 printable characters."""
    return value if isinstance(value, str) and 0 < len(value) <= MAX_CLAIM_CHARS and value.isprintable() else None
