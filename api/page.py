"""The page for browsers at GET /graphql: GraphiQL as it was built into `graphiql/assets`, or a plain page without it.

Everything comes from our own origin. In the demo the page is also told who lives there and given their tokens: on a
loopback address, to that page alone.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api.auth.tokens import mint
from api.http import Headers, Reply
from api.settings import OWN_AUDIENCE, Settings
from api.settings.variables import is_loopback
from db.types import Role

SOURCES: Final = Path(__file__).with_name("graphiql")
ASSETS: Final = SOURCES / "assets"
BUILT: Final = "index.html"
PLAIN: Final = SOURCES / "plain.html"
DAY_S: Final = 86_400
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".ttf": "font/ttf", ".woff2": "font/woff2"}
_NAMES_A_VERSION: Final = re.compile(r"-[\w-]{8}\.\w+\Z")
_PORT: Final = re.compile(r":\d+\Z")
_MODE: Final = (b'name="minutebook" content="token"', b'name="minutebook" content="demo"')

# Monaco, the editor in GraphiQL, makes style elements and attributes as it goes, without a nonce: hence that one word.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


@dataclass(frozen=True)
class Asset:
    path: Path
    media_type: str
    packed: Path | None

    @property
    def headers(self) -> dict[str, str]:
        names_a_version = _NAMES_A_VERSION.search(self.path.name)
        kept = "public, max-age=31536000, immutable" if names_a_version else "no-cache"
        return {"cache-control": kept, "x-content-type-options": "nosniff", "vary": "accept-encoding"}


def is_built(folder: Path = ASSETS) -> bool:
    """Whether there is a GraphiQL to serve."""
    return (folder / BUILT).is_file()


def page_of(settings: Settings, folder: Path = ASSETS) -> Callable[[Headers], Awaitable[Reply]]:
    """The page, read once; which of the two it is was settled when the server started."""
    body = (folder / BUILT).read_bytes() if is_built(folder) else _plain(settings.port)
    if has_personas(settings):
        body = body.replace(*_MODE)

    async def page(_headers: Headers) -> Reply:
        return Reply(200, "text/html; charset=utf-8", body, _HEADERS)

    return page


def _plain(port: int) -> bytes:
    """The page without GraphiQL; its first question is asked where this server listens."""
    return PLAIN.read_bytes().replace(b"127.0.0.1:8000", b"127.0.0.1:%d" % port)


def page_routes(settings: Settings, folder: Path = ASSETS) -> list[HTTPRouteHandler]:
    """What the page loads: its assets, and in the demo the personas."""
    assets = _assets_in(folder)

    @get("/graphql/assets/{name:str}", include_in_schema=False, sync_to_thread=True)
    def asset(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
        found = assets.get(name)
        if found is None:
            raise NotFoundException
        if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            headers = {**found.headers, "content-encoding": "gzip"}
            return Response(found.packed.read_bytes(), media_type=found.media_type, headers=headers)
        return Response(found.path.read_bytes(), media_type=found.media_type, headers=found.headers)

    @get("/graphql/personas", include_in_schema=False, sync_to_thread=False)
    def personas(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        peer = request.client.host if request.client else ""
        if not _is_our_page(peer, request.headers):
            raise NotFoundException
        return Response({"personas": _personas(settings)}, headers={"cache-control": "no-store"})

    return [asset, personas] if has_personas(settings) else [asset]


def has_personas(settings: Settings) -> bool:
    """Whether this is the demo: dev, on a database that `minutebook run` started itself."""
    given = (
        settings.database_url,
        settings.operator_database_url,
        settings.migrator_database_url,
        settings.bootstrap_database_url,
    )
    return settings.is_dev and not any(given)


def _is_our_page(peer: str, headers: Mapping[str, str]) -> bool:
    """Tokens stay on this machine: not for pages of other origins, nor through a name or a tunnel that leads here."""
    host = headers.get("host", "")
    return (
        is_loopback(peer)
        and is_loopback(_PORT.sub("", host).strip("[]"))
        and headers.get("origin", f"http://{host}") == f"http://{host}"
        and headers.get("sec-fetch-site", "same-origin") == "same-origin"
        and not any(name in headers for name in ("forwarded", "x-forwarded-for", "x-forwarded-host"))
    )


def _personas(settings: Settings) -> list[dict[str, str]]:
    """People and services of the demo world with a token each, good for a day."""
    from db.seed.world import ORGANIZATIONS

    secret = settings.own_secret().encode()
    found: list[dict[str, str]] = []
    for organization in ORGANIZATIONS:
        home = {"organization": organization.name}
        for person in organization.people:
            token = mint(secret, subject=person.slug, audience=OWN_AUDIENCE, ttl_s=DAY_S)
            found.append({"name": person.slug, "displayName": person.name, "role": person.role, "token": token, **home})
        if len(organization.people) > 1:
            token = mint(
                secret,
                subject="service",
                audience=OWN_AUDIENCE,
                organization=organization.slug,
                service=True,
                ttl_s=DAY_S,
            )
            name = f"service of {organization.name}"
            found.append({"name": name, "displayName": "AI backend", "role": Role.SERVICE, "token": token, **home})
    return found


def _assets_in(folder: Path) -> dict[str, Asset]:
    """The built files by name: what is not among them is not there, whatever a path says."""
    if not folder.is_dir():
        return {}
    names = {path.name: path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    names.pop(BUILT, None)
    return {
        name: Asset(path, _TYPES.get(path.suffix, "application/octet-stream"), names.get(f"{name}.gz"))
        for name, path in names.items()
        if path.suffix != ".gz"
    }
