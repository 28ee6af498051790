import asyncio
import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from api.auth import OWN_ISSUER, AuthConfig, AuthConfigError, Authenticator, Issuer, Membership, mint
from api.errors import BadUserInputError, UnauthenticatedError, UnavailableError
from db.types import Role

SECRET = b"a shared secret of at least 32 bytes, for tests"
AUDIENCE = "minutebook"
IDP = "https://idp.example.com/"
JWKS_URL = "https://idp.example.com/.well-known/jwks.json"
A, B = (str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) for name in ("a", "b"))
ALICE, BOB = (str(uuid.uuid5(uuid.NAMESPACE_DNS, name)) for name in ("alice", "bob"))

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
RSA_2 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, kid: str | None, **members: Any) -> dict[str, Any]:
    algorithm = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256", ed25519.Ed25519PrivateKey: "EdDSA"}
    name = next(name for kind, name in algorithm.items() if isinstance(key, kind))
    data = jwt.get_algorithm_by_name(name).to_jwk(key.public_key(), as_dict=True)
    return {**data, **({"kid": kid} if kid else {}), **members}


@dataclass
class FakeDirectory:
    """Memberships by subject; counts what it is asked."""

    people: dict[str, list[Membership]] = field(default_factory=dict)
    asked: int = 0

    async def person(self, issuer: str, subject: str) -> Sequence[Membership]:  # noqa: ARG002 the protocol's
        self.asked += 1
        return self.people.get(subject, [])

    async def service(self, organization: str) -> Sequence[Membership]:
        self.asked += 1
        return [Membership(A, "acme", None, Role.SERVICE)] if organization in {"acme", A} else []


@dataclass
class FakeIssuer:
    """A JWKS endpoint whose answer, delay and number of calls a test sets and reads."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0
    urls: list[str] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        await asyncio.sleep(self.delay_s)
        content = self.body if self.body is not None else json.dumps({"keys": self.keys}).encode()
        return httpx.Response(self.status, content=content, headers=self.headers)


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


OWN = Issuer(name=OWN_ISSUER, audience=AUDIENCE, secret=SECRET)
EXTERNAL = Issuer(name=IDP, audience=AUDIENCE, jwks_url=JWKS_URL)


@pytest.fixture
def directory() -> FakeDirectory:
    alice = Membership(A, "acme", ALICE, Role.ADMIN, epoch=3)
    return FakeDirectory(
        {
            "alice": [alice],
            "auth0|5f7c": [alice],
            "both": [alice, Membership(B, "beta", BOB, Role.MEMBER)],
        }
    )


@pytest.fixture
def issuer() -> FakeIssuer:
    return FakeIssuer([jwk(RSA, "one"), jwk(EC, "two", alg="ES256"), jwk(ED, "three")])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock()


@pytest.fixture
def authenticate(directory: FakeDirectory, issuer: FakeIssuer, clock: Clock) -> Authenticator:
    config = AuthConfig(issuers=(OWN, EXTERNAL))
    return Authenticator(config, directory, transport=httpx.MockTransport(issuer), clock=clock)


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    made = {"iss": IDP, "aud": AUDIENCE, "sub": "alice", "iat": now, "exp": now + 600, **changed}
    return {name: value for name, value in made.items() if value is not ...}


def signed(
    key: Any = RSA, algorithm: str = "RS256", kid: str | None = "one", headers: Any = None, **changed: Any
) -> str:
    named = {**({"kid": kid} if kid else {}), **(headers or {})}
    return jwt.encode(claims(**changed), key, algorithm=algorithm, headers=named)


def own(**changed: Any) -> str:
    return jwt.encode(claims(**{"iss": OWN_ISSUER, **changed}), SECRET, algorithm="HS256")


def unsigned(header: dict[str, Any], payload: Any, signature: str = "AAAA") -> str:
    def part(value: Any) -> str:
        text = value if isinstance(value, bytes) else json.dumps(value).encode()
        return jwt.utils.base64url_encode(text).decode()

    return f"{part(header)}.{part(payload)}.{signature}"


def public_pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def hs256_with_public_key() -> str:
    """The classic confusion: the public key taken for a shared secret."""
    text = unsigned({"alg": "HS256", "kid": "one", "typ": "JWT"}, claims()).rpartition(".")[0]
    signature = jwt.get_algorithm_by_name("HS256").sign(text.encode(), public_pem(RSA))
    return f"{text}.{jwt.utils.base64url_encode(signature).decode()}"


def tampered() -> str:
    head, _, signature = signed().split(".")
    return f"{head}.{jwt.utils.base64url_encode(json.dumps(claims(sub='both')).encode()).decode()}.{signature}"


FORGED: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "not a token": lambda: "abc",
    "two parts": lambda: "a.b",
    "not base64": lambda: "a!.b!.c!",
    "non-ascii": lambda: "ü.ü.ü",
    "header is a list": lambda: unsigned([], claims()),  # type: ignore[arg-type]
    "header is deep": lambda: unsigned({}, claims()).replace(
        "e30", jwt.utils.base64url_encode(b"[" * 3_000).decode(), 1
    ),
    "payload is a number": lambda: unsigned({"alg": "RS256", "kid": "one"}, 5),
    "payload is not utf-8": lambda: unsigned({"alg": "RS256", "kid": "one"}, b"\xff\xfe"),
    "alg none": lambda: unsigned({"alg": "none"}, claims(), ""),
    "alg none with a signature": lambda: unsigned({"alg": "none", "kid": "one"}, claims()),
    "alg NoNe": lambda: unsigned({"alg": "NoNe", "kid": "one"}, claims()),
    "alg missing": lambda: unsigned({"kid": "one"}, claims()),
    "alg is a list": lambda: unsigned({"alg": ["RS256"], "kid": "one"}, claims()),
    "alg of another key type": lambda: signed(EC, "ES256", kid="one"),
    "alg of the same key type": lambda: signed(RSA, "RS512"),
    "HS256 with the public key": hs256_with_public_key,
    "HS256 for an issuer with keys": lambda: jwt.encode(claims(), SECRET, algorithm="HS256", headers={"kid": "one"}),
    "RS256 for our own issuer": lambda: signed(iss=OWN_ISSUER),
    "another HS algorithm": lambda: jwt.encode(claims(iss=OWN_ISSUER), SECRET * 2, algorithm="HS512"),
    "another secret": lambda: jwt.encode(claims(iss=OWN_ISSUER), SECRET[::-1], algorithm="HS256"),
    "another key": lambda: signed(RSA_2),
    "tampered": tampered,
    "signature cut": lambda: signed()[:-4],
    "unknown kid": lambda: signed(kid="nine"),
    "no kid and several keys": lambda: signed(kid=None),
    "kid is a path": lambda: signed(kid="../../etc/passwd"),
    "kid is sql": lambda: signed(kid="' OR 1=1 --"),
    "kid is long": lambda: signed(kid="k" * 300),
    "key in the header": lambda: signed(RSA_2, kid="nine", headers={"jwk": jwk(RSA_2, "nine")}),
    "jku": lambda: signed(RSA_2, kid="nine", headers={"jku": "https://evil.example/jwks.json"}),
    "x5u": lambda: signed(RSA_2, headers={"x5u": "https://evil.example/cert.pem"}),
    "unknown crit": lambda: signed(headers={"crit": ["b64", "x"], "x": 1}),
    "foreign issuer": lambda: signed(iss="https://evil.example/"),
    "issuer with another case": lambda: signed(iss=IDP.upper()),
    "issuer missing": lambda: signed(iss=...),
    "audience missing": lambda: signed(aud=...),
    "foreign audience": lambda: signed(aud="another"),
    "audience list without us": lambda: signed(aud=["another", "third"]),
    "audience is an object": lambda: signed(aud={"minutebook": True}),
    "exp missing": lambda: signed(exp=...),
    "expired": lambda: signed(exp=int(time.time()) - 40),
    "exp is a word": lambda: signed(exp="soon"),
    "exp is infinite": lambda: signed(exp=float("inf")),
    "exp is null": lambda: signed(exp=None),
    "not yet": lambda: signed(nbf=int(time.time()) + 40),
    "issued in the future": lambda: signed(iat=int(time.time()) + 40),
    "sub missing": lambda: signed(sub=...),
    "sub empty": lambda: signed(sub=""),
    "sub with nul": lambda: signed(sub="alice\x00"),
    "sub long": lambda: signed(sub="a" * 300),
    "nobody here": lambda: signed(sub="mallory"),
    "organization is a list": lambda: signed(organization=["acme"]),
    "organization of others": lambda: signed(organization="beta"),
    "service without an organization": lambda: signed(scope="service"),
    "service of no organization": lambda: signed(scope="service", organization="none"),
    "huge": lambda: signed(padding="x" * 9_000),
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_bad_token_is_refused(name: str, authenticate: Authenticator) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        await authenticate.actor(FORGED[name]())
    assert refused.value.extensions == {"code": "UNAUTHENTICATED"}


async def test_a_token_that_fails_its_checks_takes_no_connection(
    authenticate: Authenticator, directory: FakeDirectory
) -> None:
    behind_the_checks = {"nobody here", "organization of others", "service of no organization"}
    for name in FORGED.keys() - behind_the_checks:
        with pytest.raises(UnauthenticatedError):
            await authenticate.actor(FORGED[name]())
    assert directory.asked == 0


async def test_a_good_token_gives_the_role_that_we_keep(authenticate: Authenticator) -> None:
    for token in (
        signed(role="service", scope="admin"),
        signed(EC, "ES256", "two"),
        signed(ED, "EdDSA", "three"),
        signed(aud=["another", AUDIENCE]),
        signed(exp=int(time.time()) - 20),
        signed(nbf=int(time.time()) + 20),
        signed(sub="auth0|5f7c"),
        own(),
        mint(SECRET, subject="alice", audience=AUDIENCE, organization="acme"),
    ):
        actor = await authenticate.actor(token)
        assert (actor.organization_id, actor.user_id, actor.actor_id) == (A, ALICE, ALICE)
        assert (actor.role, actor.epoch) == (Role.ADMIN, 3)


async def test_the_header_is_read_by_its_scheme(authenticate: Authenticator) -> None:
    assert await authenticate({}) is None
    actor = await authenticate({"authorization": f"bearer {own()}"})
    assert actor is not None
    assert actor.user_id == ALICE
    for header in ("", "Bearer", "Basic YTpi", own(), f"Bearer {own()}, Bearer {own()}", f"Token {own()}"):
        with pytest.raises(UnauthenticatedError):
            await authenticate({"authorization": header})


async def test_a_person_in_two_organizations_chooses_by_header(authenticate: Authenticator) -> None:
    token = own(sub="both")
    for chosen, organization in (("acme", A), (B, B), (B.upper(), B)):
        assert (await authenticate.actor(token, chosen)).organization_id == organization
    with pytest.raises(BadUserInputError) as refused:
        await authenticate.actor(token)
    assert (refused.value.extensions or {})["argument"] == "X-Organization"
    for foreign in ("gamma", str(uuid.uuid4())):
        with pytest.raises(UnauthenticatedError):
            await authenticate.actor(token, foreign)
    for malformed in ("", "a\x00", "a" * 300):
        with pytest.raises(BadUserInputError):
            await authenticate.actor(token, malformed)


async def test_a_token_that_names_an_organization_is_bound_to_it(authenticate: Authenticator) -> None:
    token = own(sub="both", organization="beta")
    assert (await authenticate.actor(token)).organization_id == B
    assert (await authenticate.actor(token, B)).organization_id == B
    with pytest.raises(UnauthenticatedError):
        await authenticate.actor(token, "acme")


async def test_no_header_costs_a_statement(authenticate: Authenticator, directory: FakeDirectory) -> None:
    token = own(sub="both")
    await authenticate.actor(token, "acme")
    for number in range(20):
        with pytest.raises(UnauthenticatedError):
            await authenticate.actor(token, f"guess-{number}")
    assert directory.asked == 1


@pytest.mark.parametrize(
    ("path", "claim"),
    [
        ("app_metadata.organization", {"app_metadata": {"organization": "beta"}}),
        ("https://minutebook.example/organization", {"https://minutebook.example/organization": "beta"}),
        ("a.b", {"a.b": "beta", "a": {"b": "acme"}}),
        ("organization", {"organization": B}),
    ],
)
async def test_claims_are_found_by_exact_name_then_by_path(
    path: str, claim: dict[str, Any], directory: FakeDirectory
) -> None:
    supabase = Issuer(
        name="https://ref.supabase.co/auth/v1", audience="authenticated", secret=SECRET, organization_claim=path
    )
    authenticate = Authenticator(AuthConfig(issuers=(supabase,)), directory)
    token = own(iss=supabase.name, aud="authenticated", sub="both", **claim)
    assert (await authenticate.actor(token)).organization_id == B


async def test_a_service_acts_without_a_user_under_a_lasting_id(authenticate: Authenticator) -> None:
    for organization in ("acme", A):
        token = mint(SECRET, subject="ingest", audience=AUDIENCE, organization=organization, service=True)
        actor = await authenticate.actor(token)
        assert (actor.organization_id, actor.user_id, actor.role) == (A, None, Role.SERVICE)
        assert actor.actor_id == str(uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, OWN_ISSUER), "ingest"))
    assert (await authenticate.actor(token, "acme")).organization_id == A
    with pytest.raises(UnauthenticatedError):
        await authenticate.actor(token, "beta")
    with pytest.raises(AuthConfigError):
        mint(SECRET, subject="ingest", audience=AUDIENCE, service=True)


async def test_membership_is_believed_for_five_seconds_or_until_it_changes(
    authenticate: Authenticator, directory: FakeDirectory, clock: Clock
) -> None:
    token = own()
    for _ in range(3):
        await authenticate.actor(token)
    assert directory.asked == 1
    directory.people["alice"] = []
    await authenticate.actor(token)
    clock.now += 5.1
    with pytest.raises(UnauthenticatedError):
        await authenticate.actor(token)
    directory.people["alice"] = [Membership(A, "acme", ALICE, Role.MEMBER)]
    clock.now += 5.1
    assert (await authenticate.actor(token)).role is Role.MEMBER
    directory.people["alice"] = [Membership(A, "acme", ALICE, Role.AUDITOR)]
    authenticate.forget(A, BOB)
    assert (await authenticate.actor(token)).role is Role.MEMBER
    authenticate.forget(A, ALICE)
    assert (await authenticate.actor(token)).role is Role.AUDITOR


async def test_a_verified_token_ends_when_it_expires(authenticate: Authenticator, clock: Clock) -> None:
    token = own(exp=int(time.time()) + 2)
    await authenticate.actor(token)
    verified = authenticate._verifier._known
    assert len(verified) == 1
    assert next(iter(verified.values()))[1] <= time.time() + 2
    clock.now += 61
    await authenticate.actor(own(exp=int(time.time()) - 20))
    assert len(verified) == 1  # in its leeway a token is good, but not remembered


async def test_remembered_tokens_are_bounded(directory: FakeDirectory) -> None:
    authenticate = Authenticator(AuthConfig(issuers=(OWN,), verified_most=3, membership_most=2), directory)
    for number in range(10):
        with pytest.raises(UnauthenticatedError):
            await authenticate.actor(own(sub=f"nobody {number}"))
    assert len(authenticate._verifier._known) == 3
    assert len(authenticate._known) == 2


@pytest.fixture
def key_clock(authenticate: Authenticator) -> Clock:
    clock = Clock()
    authenticate._verifier._key_sets[IDP]._clock = clock
    return clock


async def test_keys_are_fetched_once_for_everybody(authenticate: Authenticator, issuer: FakeIssuer) -> None:
    issuer.delay_s = 0.01
    await asyncio.gather(*(authenticate.actor(signed(jti=str(number))) for number in range(50)))
    assert issuer.urls == [JWKS_URL]


async def test_a_thousand_unknown_keys_cost_one_fetch_in_thirty_seconds(
    authenticate: Authenticator, issuer: FakeIssuer, key_clock: Clock
) -> None:
    await authenticate.actor(signed())
    key_clock.now += 31
    forged = signed().split(".", 1)[1]
    tokens = [
        f"{jwt.utils.base64url_encode(json.dumps({'alg': 'RS256', 'kid': str(n)}).encode()).decode()}.{forged}"
        for n in range(1_000)
    ]
    results = await asyncio.gather(*map(authenticate.actor, tokens), return_exceptions=True)
    assert all(isinstance(each, UnauthenticatedError) for each in results)
    assert len(issuer.urls) == 2


async def test_a_new_key_is_found_and_an_old_one_forgotten(
    authenticate: Authenticator, issuer: FakeIssuer, key_clock: Clock
) -> None:
    old = signed()
    await authenticate.actor(old)
    issuer.keys = [jwk(RSA_2, "next")]
    await authenticate.actor(old)
    key_clock.now += 31
    await authenticate.actor(signed(RSA_2, kid="next"))
    with pytest.raises(UnauthenticatedError):
        await authenticate.actor(old)  # the memory of tokens went with the key


async def test_known_keys_serve_while_their_issuer_is_down_but_not_for_ever(
    authenticate: Authenticator, issuer: FakeIssuer, key_clock: Clock
) -> None:
    await authenticate.actor(signed())
    issuer.status = 500
    for hours in (0.2, 1, 12, 22):
        key_clock.now += 3_600 * (hours - (key_clock.now - time.time()) / 3_600)
        await authenticate.actor(signed(jti=str(hours)))
    key_clock.now += 3 * 3_600
    with pytest.raises(UnavailableError):
        await authenticate.actor(signed(jti="late"))


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 302, "headers": {"location": "http://169.254.169.254/"}},
        {"status": 404},
        {"body": b"x" * 300_000},
        {"body": b"not json"},
        {"body": b"[]"},
        {"body": b'{"keys": 5}'},
        {"body": b"\xff" * 10},
        {"delay_s": 5},
    ],
)
async def test_an_issuer_that_answers_badly_is_unavailable(
    answer: dict[str, Any], authenticate: Authenticator, issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.auth.jwks.TIMEOUT_S", 0.05)
    for name, value in answer.items():
        setattr(issuer, name, value)
    with pytest.raises(UnavailableError):
        await authenticate.actor(signed())
    assert issuer.urls == [JWKS_URL]


async def test_keys_that_must_not_verify_are_left_out(authenticate: Authenticator, issuer: FakeIssuer) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 that is the point
    issuer.keys = [
        {"kty": "oct", "kid": "oct", "k": jwt.utils.base64url_encode(SECRET).decode(), "alg": "HS256"},
        jwk(RSA, "enc", use="enc"),
        jwk(RSA, "wrap", key_ops=["wrapKey"]),
        jwk(RSA, "odd", alg="RSA-OAEP"),
        jwk(short, "short"),
        {"kty": "RSA", "kid": "broken", "n": "!!"},
        {"kty": "EC", "kid": "curve", "crv": "P-999"},
        {"kid": 5},
        "text",  # type: ignore[list-item]
        jwk(RSA, "ps", alg="PS256"),
    ]
    with pytest.raises(UnauthenticatedError):
        await authenticate.actor(jwt.encode(claims(), SECRET, algorithm="HS256", headers={"kid": "oct"}))
    for kid in ("enc", "wrap", "odd", "short", "broken", "ps"):
        with pytest.raises(UnauthenticatedError):
            await authenticate.actor(signed(kid=kid))
    assert set(authenticate._verifier._key_sets[IDP]._keys) == {"ps"}
    await authenticate.actor(signed(RSA, "PS256", "ps"))


async def test_a_lone_key_needs_no_name(authenticate: Authenticator, issuer: FakeIssuer) -> None:
    for name in (None, "one"):
        issuer.keys = [jwk(RSA, name)]
        actor = await authenticate.actor(signed(kid=None))
        assert (actor.issuer, actor.subject) == (IDP, claims()["sub"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": b"short"},
        {"secret": SECRET, "jwks_url": JWKS_URL},
        {},
        {"jwks_url": "http://idp.example.com/jwks"},
        {"jwks_url": "https://evil.example/jwks"},
        {"jwks_url": "https://user:password@idp.example.com/jwks"},
        {"jwks_url": "file:///etc/passwd"},
        {"jwks_url": "http://127.0.0.1.evil.example/jwks", "jwks_host": "127.0.0.1.evil.example"},
    ],
)
def test_a_configuration_that_trusts_too_much_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AuthConfigError):
        Issuer(name=IDP, audience=AUDIENCE, **wrong)


def test_a_loopback_issuer_may_speak_http_and_no_secret_is_shown() -> None:
    Issuer(name="http://127.0.0.1:9000/", audience=AUDIENCE, jwks_url="http://127.0.0.1:9000/jwks")
    Issuer(name=IDP, audience=AUDIENCE, jwks_url="https://keys.example.com/jwks", jwks_host="keys.example.com")
    assert SECRET.decode() not in repr(AuthConfig(issuers=(OWN,)))
    with pytest.raises(AuthConfigError):
        AuthConfig(issuers=(OWN, OWN))
    with pytest.raises(AuthConfigError):
        mint(b"short", subject="alice", audience=AUDIENCE)
