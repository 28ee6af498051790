"""The keys that an issuer publishes: fetched from one configured address, cached, and refreshed at most every 30 s.

A token's `kid` is a key of a dictionary here and nothing else; its `jku`, `x5u` and `jwk` headers are never read.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx
import jwt
import orjson
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from api.errors import UnavailableError

log = structlog.get_logger(__name__)

FRESH_S: Final = 600.0
STALE_S: Final = 86_400.0
RETRY_S: Final = 30.0
TIMEOUT_S: Final = 3.0
MAX_BYTES: Final = 262_144
MAX_KEYS: Final = 100
MIN_RSA_BITS: Final = 2_048

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)


class JwksError(Exception):
    """The address did not answer with a set of keys."""


class KeySet:
    """One issuer's keys by `kid`. `on_change` is called when a key went or became another one."""

    def __init__(
        self,
        url: str,
        *,
        on_change: Callable[[], None] = lambda: None,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._on_change = on_change
        self._transport = transport
        self._clock = clock
        self._keys: Mapping[str | None, jwt.PyJWK] = {}
        self._published: Mapping[str | None, bytes] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._refresh: asyncio.Task[None] | None = None

    async def key(self, kid: str | None) -> jwt.PyJWK | None:
        """The key of that id, or the only key where the token names none. Raises UnavailableError without any keys."""
        age = self._clock() - self._fetched_at
        found = self._find(kid) if age < STALE_S else None
        if found is not None and age < FRESH_S:
            return found
        if self._may_try():
            self._refresh = asyncio.create_task(self._fetch())
            has_failed = self._tried_at > self._fetched_at
            self._tried_at = self._clock()
            if found is not None and has_failed:
                return found  # while the issuer is down nobody waits for it
        if self._refresh is not None:
            await asyncio.shield(self._refresh)
        if self._clock() - self._fetched_at >= STALE_S:
            raise UnavailableError("The issuer's keys cannot be had at the moment: try again.")
        return self._find(kid)

    def _find(self, kid: str | None) -> jwt.PyJWK | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)

    def _may_try(self) -> bool:
        is_running = self._refresh is not None and not self._refresh.done()
        return not is_running and self._clock() - self._tried_at >= RETRY_S

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                published = _published(await self._download())
        except (JwksError, httpx.HTTPError, httpx.InvalidURL, OSError, orjson.JSONDecodeError) as error:
            log.warning("issuer's keys not refreshed", error=type(error).__name__, reason=str(error)[:200])
            return
        keys = {kid: key for kid, data in published.items() if (key := _key(orjson.loads(data))) is not None}
        published = {kid: published[kid] for kid in keys}
        has_changed = any(published.get(kid) != data for kid, data in self._published.items())
        self._keys, self._published, self._fetched_at = keys, published, self._clock()
        if has_changed:
            self._on_change()

    async def _download(self) -> bytes:
        body = bytearray()
        async with (
            httpx.AsyncClient(transport=self._transport, follow_redirects=False, timeout=TIMEOUT_S) as client,
            client.stream("GET", self._url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise JwksError(f"status {response.status_code}")
            async for chunk in response.aiter_bytes(16_384):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise JwksError(f"more than {MAX_BYTES} bytes")
        return bytes(body)


def _published(body: bytes) -> dict[str | None, bytes]:
    """Each usable key's members by its `kid`, in one canonical form."""
    document = orjson.loads(body)
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise JwksError("no list of keys")
    found: dict[str | None, bytes] = {}
    for each in keys[:MAX_KEYS]:
        if isinstance(each, dict):
            kid = each.get("kid")
            if kid is None or isinstance(kid, str):
                found[kid] = orjson.dumps(each, option=orjson.OPT_SORT_KEYS)
    return found


def _key(data: dict[str, Any]) -> jwt.PyJWK | None:
    """A public signing key pinned to one algorithm; None for what must not verify a token."""
    if data.get("kty") == "oct" or data.get("use", "sig") != "sig" or "verify" not in data.get("key_ops", ["verify"]):
        return None
    try:
        key = jwt.PyJWK({name: value for name, value in data.items() if name != "d"})
    except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
        log.warning("a published key is not usable", error=type(error).__name__)
        return None
    if key.algorithm_name not in ALGORITHMS:
        return None
    is_short = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS
    return None if is_short else key
