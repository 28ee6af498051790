"""Which issuers are believed, how their signatures are checked, and where in their claims things stand."""

import ipaddress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

MIN_SECRET_BYTES: Final = 32


class AuthConfigError(ValueError):
    """The server was told to trust something that it should not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One `iss`, verified by a shared secret (HS256) or by the keys that it publishes, never by both.

    `jwks_host` pins the host of `jwks_url` where it is not the issuer's own. `organization_claim` is an exact claim
    name ("https://example.com/organization") or a dotted path ("app_metadata.organization").
    """

    name: str
    audience: str
    secret: bytes | None = field(default=None, repr=False)
    jwks_url: str | None = None
    jwks_host: str | None = None
    subject_claim: str = "sub"
    organization_claim: str = "organization"
    scope_claim: str = "scope"
    service_scope: str = "service"

    def __post_init__(self) -> None:
        if not self.name or not self.audience:
            raise AuthConfigError("an issuer needs a name and an audience")
        if (self.secret is None) == (self.jwks_url is None):
            raise AuthConfigError("an issuer has either a shared secret or a JWKS URL")
        if self.secret is not None and len(self.secret) < MIN_SECRET_BYTES:
            raise AuthConfigError(f"a shared secret has at least {MIN_SECRET_BYTES} bytes")
        if self.jwks_url is not None:
            _check_jwks_url(self.jwks_url, self.jwks_host or urlsplit(self.name).hostname)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthConfig:
    """Times are seconds."""

    issuers: tuple[Issuer, ...]
    leeway_s: int = 30
    max_token_chars: int = 8_192
    verified_for_s: float = 60.0
    verified_most: int = 4_096
    membership_for_s: float = 5.0
    membership_most: int = 4_096

    def __post_init__(self) -> None:
        names = [issuer.name for issuer in self.issuers]
        if len(set(names)) != len(names):
            raise AuthConfigError("an issuer is configured twice")


def _check_jwks_url(url: str, pinned: str | None) -> None:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.fragment:
        raise AuthConfigError("a JWKS URL has no credentials and no fragment")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise AuthConfigError("a JWKS URL is https, or http on a loopback address")
    if pinned is None or parts.hostname != pinned:
        raise AuthConfigError("a JWKS URL is on its issuer's host, or on the one that is pinned for it")


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
