"""Templates of the demo's texts: `{slot}` takes a fact of the scene, `[a|b]` chooses one wording.

The prose lives in `data/*.toml`; each template is parsed once, then rendered thousands of times.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
Scene = Mapping[str, str]
Part = Any  # a text, a slot as a tuple of one name, or a list of alternatives, each a tuple of parts

_LOOSE = re.compile(r" +(?=[,.])")
_STARTS = re.compile(r"(?:^|(?<=[.!?] )|(?<=[.!?]\n\n))[a-zåäöé]")
_PIECE = re.compile(r"(\{\w+\}|[\[\]|])")


@cache
def _parse(text: str) -> tuple[Part, ...]:
    pieces = [piece for piece in _PIECE.split(text) if piece]
    parts, rest = _sequence(pieces, 0, nested=False)
    if rest != len(pieces):
        raise ValueError(f"unbalanced brackets in {text!r}")
    return parts


def _sequence(pieces: Sequence[str], at: int, *, nested: bool) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    while at < len(pieces):
        piece = pieces[at]
        if nested and piece in "|]":
            break
        if piece == "[":
            options: list[tuple[Part, ...]] = []
            while pieces[at] != "]":
                option, at = _sequence(pieces, at + 1, nested=True)
                options.append(option)
            parts.append(options)
        elif piece[0] == "{":
            parts.append((piece[1:-1],))
        else:
            parts.append(piece)
        at += 1
    return tuple(parts), at


def _write(parts: tuple[Part, ...], scene: Scene, rng: Random, out: list[str]) -> None:
    for part in parts:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, tuple):
            out.append(scene[part[0]])
        else:
            _write(part[int(rng.random() * len(part))], scene, rng, out)


def render(text: str, scene: Scene, rng: Random) -> str:
    """The template's text with every slot filled; KeyError for a slot that the scene lacks."""
    out: list[str] = []
    _write(_parse(text), scene, rng, out)
    return "".join(out)


def tidy(text: str) -> str:
    """With capitals where sentences begin, since a slot may begin one, and no blank before a full stop."""
    return _STARTS.sub(lambda found: found[0].upper(), _LOOSE.sub("", text).replace("..", "."))


@cache
def read(name: str) -> dict[str, Any]:
    """The parsed `data/<name>.toml`."""
    return tomllib.loads(files("db.seed").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))


def pick(options: Sequence[T], rng: Random) -> T:
    """One of them: `Random.choice` at half its price."""
    return options[int(rng.random() * len(options))]
