"""Environment → one frozen dataclass, read once. The only reader of os.environ; secrets never reach a repr.

`environment` is dev only on a loopback address: dev brings demo tokens, GraphiQL and introspection.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from api.settings.limits import Limits
from api.settings.secret import AUDIT, KEYRING, own_audit_key, own_keyring, own_secret
from api.settings.variables import (
    MaskedRepr,
    Row,
    SettingsError,
    audit_key_of,
    https_url,
    integer,
    is_loopback,
    keyring_of,
    masked_url,
    one_of,
    origins,
    path,
    postgres_url,
    read,
    rows,
    seconds,
    shared_secret,
    switch,
    text,
    variable,
    web_url,
)

if TYPE_CHECKING:
    from api.auth.config import AuthConfig
    from audit_verifier.note import PrivateKey
    from db.crypto import Keyring

__all__ = [
    "OWN_AUDIENCE",
    "Auth",
    "Embedder",
    "Limits",
    "Row",
    "Settings",
    "SettingsError",
    "docs",
    "load",
    "masked_url",
]

OWN_AUDIENCE: Final = "minutebook"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Auth(MaskedRepr):
    """Whose tokens are believed: one issuer, by a shared secret (HS256) or by the keys that it publishes."""

    jwt_secret: str | None = variable(
        "JWT_SECRET", None, shared_secret, "shared secret of HS256 tokens, at least 32 bytes", secret=True
    )
    jwks_url: str | None = variable("JWT_JWKS_URL", None, https_url, "where the issuer publishes its keys, https only")
    jwks_host: str | None = variable("JWT_JWKS_HOST", None, text, "host of JWT_JWKS_URL if it is not the issuer's own")
    issuer: str | None = variable("JWT_ISSUER", None, text, "the `iss` that a token must carry")
    audience: str | None = variable("JWT_AUDIENCE", None, text, "the `aud` that a token must carry")
    subject_claim: str = variable("JWT_SUBJECT_CLAIM", "sub", text, "the claim that names the person")
    organization_claim: str = variable(
        "JWT_ORGANIZATION_CLAIM", "organization", text, "name or dotted path of the claim with a slug or an id"
    )
    scope_claim: str = variable("JWT_SCOPE_CLAIM", "scope", text, "the claim that lists a token's scopes")
    service_scope: str = variable("JWT_SERVICE_SCOPE", "service", text, "the scope that makes the bearer a service")
    leeway_s: int = variable("JWT_LEEWAY", "30", integer(0, 300), "seconds of clock difference allowed")

    def __post_init__(self) -> None:
        if not self.is_configured:
            return
        if self.jwt_secret and self.jwks_url:
            raise SettingsError("JWT_SECRET", "and JWT_JWKS_URL exclude each other")
        given = "JWT_SECRET" if self.jwt_secret else "JWT_JWKS_URL"
        for name, value in (("JWT_ISSUER", self.issuer), ("JWT_AUDIENCE", self.audience)):
            if not value:
                raise SettingsError(name, f"is required with {given}")

    @property
    def is_configured(self) -> bool:
        """Whether an issuer other than ourselves is believed."""
        return bool(self.jwt_secret or self.jwks_url)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Embedder(MaskedRepr):
    """What turns text into vectors. `auto` is EMBEDDER_URL if set, else the small local model if installed, else none."""

    kind: str = variable(
        "EMBEDDER",
        "auto",
        one_of("auto", "minilm", "openai", "none"),
        "auto, minilm (local), openai (any such API), none",
    )
    url: str | None = variable("EMBEDDER_URL", None, web_url, "base URL of an OpenAI-compatible API, ending in /v1")
    model: str | None = variable("EMBEDDER_MODEL", None, text, "model to ask it for")
    dimensions: int | None = variable("EMBEDDER_DIMENSIONS", None, integer(1, 16_000), "dimensions of that model")
    api_key: str | None = variable("EMBEDDER_API_KEY", None, text, "key sent to it as a bearer token", secret=True)

    def __post_init__(self) -> None:
        if self.kind == "auto" and self.url:
            object.__setattr__(self, "kind", "openai")
        if self.kind == "openai":
            for name, value in (
                ("EMBEDDER_URL", self.url),
                ("EMBEDDER_MODEL", self.model),
                ("EMBEDDER_DIMENSIONS", self.dimensions),
            ):
                if not value:
                    raise SettingsError(name, "is required with an OpenAI-compatible embedder")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings(MaskedRepr):
    """Everything configurable. URLs are libpq's; None means that the variable is not set."""

    environment: str = variable(
        "ENVIRONMENT", "", one_of("dev", "prod"), "dev or prod", shown="dev on a loopback HOST, else prod"
    )
    host: str = variable("HOST", "127.0.0.1", text, "address to listen on")
    port: int = variable("PORT", "8000", integer(0, 65_535), "port to listen on")
    home: Path = variable(
        "MINUTEBOOK_HOME", "./.minutebook", path, "folder of the embedded server's data and of generated credentials"
    )
    database_url: str | None = variable("DATABASE_URL", None, postgres_url, "connection of the API's login", url=True)
    ingest_database_url: str | None = variable(
        "INGEST_DATABASE_URL", None, postgres_url, "connection of the services' login", url=True
    )
    operator_database_url: str | None = variable(
        "OPERATOR_DATABASE_URL", None, postgres_url, "connection of the command line's login", url=True
    )
    migrator_database_url: str | None = variable(
        "MIGRATOR_DATABASE_URL", None, postgres_url, "connection of `minutebook migrate`", url=True
    )
    bootstrap_database_url: str | None = variable(
        "BOOTSTRAP_DATABASE_URL",
        None,
        postgres_url,
        "a login that may create roles and extensions; from it `migrate` and `run` make the four above and the database"
        " that it names (`minutebook` if that is `postgres`)",
        url=True,
    )
    pooler: Literal["session", "transaction"] = variable(
        "POOLER", "session", one_of("session", "transaction"), "transaction behind PgBouncer in that mode"
    )
    pool_size: int = variable("POOL_SIZE", "10", integer(1, 1000), "connections of the API's pool")
    ingest_pool_size: int = variable("INGEST_POOL_SIZE", "5", integer(1, 1000), "connections of the services' pool")
    pool_timeout_s: float = variable("POOL_TIMEOUT", "5", seconds(0.1, 60), "seconds to wait for a connection")
    statement_timeout_ms: int = variable(
        "STATEMENT_TIMEOUT_MS", "5000", integer(10, 600_000), "milliseconds of one statement"
    )
    auth: Auth = field(default_factory=Auth)
    keyring: "Keyring | None" = variable(
        "KEYRING",
        None,
        keyring_of,
        "keys that wrap people's own provider keys, `id:key,id:key`, each 32 random bytes in base64"
        " (`openssl rand -base64 32`); the first seals, all open",
        shown="one made in dev, else none",
        secret=True,
    )
    audit_signing_key: "PrivateKey | None" = variable(
        "AUDIT_SIGNING_KEY",
        None,
        audit_key_of,
        "key that signs checkpoints of the audit chains (`minutebook audit key --new NAME`); without one none are made",
        shown="one made in dev, else none",
        secret=True,
    )
    audit_checkpoint_file: Path | None = variable(
        "AUDIT_CHECKPOINT_FILE",
        None,
        path,
        "file outside the database that checkpoints are appended to; best on another disk",
        shown="checkpoints.log in MINUTEBOOK_HOME",
    )
    embedder: Embedder = field(default_factory=Embedder)
    limits: Limits = field(default_factory=Limits)
    graphiql: bool | None = variable("GRAPHIQL", None, switch, "the explorer at GET /graphql", shown="on in dev")
    introspection: str = variable(
        "INTROSPECTION",
        "",
        one_of("on", "off", "authenticated"),
        "who may introspect; suggestions in errors go with it",
        shown="on in dev, else authenticated",
    )
    allowed_origins: tuple[str, ...] = variable(
        "ALLOWED_ORIGINS", "", origins, "origins of browsers that may call, comma-separated"
    )
    log_level: str = variable("LOG_LEVEL", "info", one_of("debug", "info", "warning", "error"), "least level logged")
    log_format: str = variable("LOG_FORMAT", "", one_of("text", "json"), "text or json", shown="text in dev, else json")

    def __post_init__(self) -> None:
        chosen = self.environment or ("dev" if is_loopback(self.host) else "prod")
        if chosen == "dev" and not is_loopback(self.host):
            raise SettingsError("ENVIRONMENT", "may be dev only while HOST is a loopback address")
        is_dev = chosen == "dev"
        if self.limits.page_default > self.limits.page:
            raise SettingsError("LIMIT_PAGE_DEFAULT", "must not be larger than LIMIT_PAGE")
        if self.database_url and not self.ingest_database_url:
            raise SettingsError("INGEST_DATABASE_URL", "is required with DATABASE_URL")
        for name, value in {
            "environment": chosen,
            "graphiql": is_dev if self.graphiql is None else self.graphiql,
            "introspection": self.introspection or ("on" if is_dev else "authenticated"),
            "log_format": self.log_format or ("text" if is_dev else "json"),
        }.items():
            object.__setattr__(self, name, value)

    @property
    def is_dev(self) -> bool:
        """Whether demo tokens are believed: this machine alone can reach the server."""
        return self.environment == "dev"

    def own_secret(self) -> str:
        """What signs demo tokens in dev: kept in `home`, 64 characters, made when first asked for."""
        return own_secret(self.home)

    def sealing_keys(self, *, make: bool = True) -> "Keyring | None":
        """KEYRING; without it in dev the keyring kept in `home`, made when first asked for; elsewhere None."""
        from db.crypto import KeyringError

        if self.keyring is not None or not self.is_dev or not (make or (self.home / KEYRING).exists()):
            return self.keyring
        try:
            return keyring_of(own_keyring(self.home))
        except KeyringError as error:
            raise SettingsError("MINUTEBOOK_HOME", f"holds a {KEYRING} that {error}") from None

    @property
    def checkpoint_file(self) -> Path:
        """Where checkpoints are kept outside the database."""
        return self.audit_checkpoint_file or self.home / "checkpoints.log"

    def audit_key(self, *, make: bool = True) -> "PrivateKey | None":
        """AUDIT_SIGNING_KEY; without it in dev the key kept in `home`, made when first asked for; elsewhere None."""
        if self.audit_signing_key is not None or not self.is_dev or not (make or (self.home / AUDIT).exists()):
            return self.audit_signing_key
        try:
            return audit_key_of(own_audit_key(self.home))
        except ValueError as problem:
            raise SettingsError("MINUTEBOOK_HOME", f"holds an {AUDIT} that {problem}") from None

    def auth_config(self) -> "AuthConfig":
        """Whom to believe: ourselves in dev, the configured issuer anywhere. Raises SettingsError."""
        from api.auth.config import AuthConfig, AuthConfigError, Issuer
        from api.auth.tokens import OWN_ISSUER

        auth, issuers = self.auth, []
        try:
            if self.is_dev:
                issuers.append(Issuer(name=OWN_ISSUER, audience=OWN_AUDIENCE, secret=self.own_secret().encode()))
            if auth.is_configured:
                issuers.append(
                    Issuer(
                        name=auth.issuer or "",
                        audience=auth.audience or "",
                        secret=auth.jwt_secret.encode() if auth.jwt_secret else None,
                        jwks_url=auth.jwks_url,
                        jwks_host=auth.jwks_host,
                        subject_claim=auth.subject_claim,
                        organization_claim=auth.organization_claim,
                        scope_claim=auth.scope_claim,
                        service_scope=auth.service_scope,
                    )
                )
            return AuthConfig(issuers=tuple(issuers), leeway_s=auth.leeway_s)
        except AuthConfigError as error:
            raise SettingsError("JWT_JWKS_URL" if auth.jwks_url else "JWT_ISSUER", f"is unsafe: {error}") from None

    def check_serving(self) -> None:
        """Refuse to serve what nobody could sign in to. Raises SettingsError."""
        if not self.is_dev and not self.auth.is_configured:
            raise SettingsError("JWT_SECRET", "or JWT_JWKS_URL is required when ENVIRONMENT is prod")


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of this process, or of `environ`. Raises SettingsError for the first bad variable."""
    return Settings(**read(Settings, os.environ if environ is None else environ))


def docs() -> Iterator[Row]:
    """The configuration table of the README: variable, default, meaning."""
    yield from rows(Settings)
