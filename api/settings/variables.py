"""One environment variable = one dataclass field that knows its name, default, parser and meaning.

From the field come the value, the error that names the variable (never its value) and the README's table.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from audit_verifier.note import PrivateKey
    from db.crypto import Keyring

MASK: Final = "***"


class SettingsError(ValueError):
    """A variable that cannot be used: its name and what is wrong with it, never its value."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}")
        self.variable = variable


class Row(NamedTuple):
    """One line of the configuration table."""

    variable: str
    default: str
    meaning: str


def variable(
    name: str,
    default: str | None,
    parse: Callable[[str], Any],
    meaning: str,
    *,
    shown: str | None = None,
    secret: bool = False,
    url: bool = False,
) -> Any:
    """A field filled from `name`; `default` is text, read by the same `parse`; `shown` replaces it in the table."""
    documented = Row(name, shown if shown is not None else default or "", meaning)
    metadata = {"row": documented, "parse": parse, "secret": secret, "url": url}
    if default is None:
        return field(default=None, metadata=metadata)
    return field(default_factory=lambda: parse(default), metadata=metadata)


def read(group: type[Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Keyword arguments of `group`: what the environment sets; an empty variable counts as unset."""
    values: dict[str, Any] = {}
    for each in fields(group):
        if "row" not in each.metadata:
            if is_dataclass(each.type):
                nested = cast("type[Any]", each.type)
                values[each.name] = nested(**read(nested, environ))
            continue
        name = each.metadata["row"].variable
        text = environ.get(name, "").strip()
        if not text:
            continue
        try:
            values[each.name] = each.metadata["parse"](text)
        except ValueError as problem:
            raise SettingsError(name, str(problem)) from None
    return values


def rows(group: type[Any]) -> Iterator[Row]:
    for each in fields(group):
        if "row" in each.metadata:
            yield each.metadata["row"]
        elif is_dataclass(each.type):
            yield from rows(cast("type[Any]", each.type))


class MaskedRepr:
    """A repr, and so a str and a log line, without a secret or a connection's password."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{each.name}={_shown(self, each)}" for each in fields(cast("Any", self)))
        return f"{type(self).__name__}({shown})"


def _shown(owner: object, each: Field[Any]) -> str:
    value = getattr(owner, each.name)
    if value is None or not (each.metadata.get("secret") or each.metadata.get("url")):
        return repr(value)
    return repr(masked_url(value)) if each.metadata.get("url") else f"'{MASK}'"


def masked_url(url: str) -> str:
    """A connection's URL fit for a log: no password, no query (libpq takes a password there too)."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:{MASK}"
    return f"{parts.scheme}://{user}{at}{host}{parts.path}" + (f"?{MASK}" if parts.query else "")


def text(value: str) -> str:
    return value


def path(value: str) -> Path:
    return Path(value).expanduser().absolute()


def integer(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 12 or not low <= int(value) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(value)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise ValueError(f"must be a number of seconds from {low:g} to {high:g}")
        return number

    return parse


def one_of(*allowed: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value and value.lower() not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value.lower()

    return parse


def switch(value: str) -> bool:
    words = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}
    if value.lower() not in words:
        raise ValueError("must be on or off")
    return words[value.lower()]


def words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def origins(value: str) -> tuple[str, ...]:
    for origin in words(value):
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query or "*" in origin:
            raise ValueError(
                "must be a comma-separated list of origins such as https://app.example.com, without wildcards"
            )
    return words(value)


def postgres_url(value: str) -> str:
    if urlsplit(value).scheme not in {"postgresql", "postgres"}:
        raise ValueError("must start with postgresql://")
    return value


def https_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError("must be an https:// URL")
    return value


def web_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http:// or https:// URL")
    return value


def shared_secret(value: str) -> str:
    if len(value.encode()) < 32:
        raise ValueError("must be at least 32 bytes long")
    return value


def keyring_of(value: str) -> "Keyring":
    from db.crypto import Keyring

    return Keyring.parse(value)


def audit_key_of(value: str) -> "PrivateKey":
    from audit_verifier.note import KeyFormatError, PrivateKey

    try:
        return PrivateKey.parse(value)
    except KeyFormatError as error:
        raise ValueError(f"cannot be used: {error}") from None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
