"""Rows of a statement as objects: a function written for the statement's columns, made once for each set of them."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

_KEPT: Final = 4_096

Rows = Iterable[Sequence[Any]]


@lru_cache(_KEPT)
def objects(
    kind: type, names: tuple[str, ...], joined: tuple[tuple[str, type], ...] = ()
) -> Callable[[Rows], list[Any]]:
    """A function from rows to objects with these attributes. Bypasses __init__, which costs more than a whole row.

    `joined` are attributes that hold an object of another class, made of the values named `attribute__…`; None where the
    first of these is NULL.
    """
    values = {name: f"v{at}" for at, name in enumerate(names)}
    known: dict[str, Any] = {"new": object.__new__, "kind": kind}
    lines = ["def made_of(rows):", " made = []; add = made.append", f" for ({', '.join(values.values())},) in rows:"]
    for attribute, other in joined:
        prefix = f"{attribute}__"
        own = {name.removeprefix(prefix): values.pop(name) for name in names if name.startswith(prefix)}
        first, made, made_kind = next(iter(own.values())), f"o{len(known)}", f"k{len(known)}"
        known[made_kind], values[attribute] = other, made
        lines += [f"  {made} = None if {first} is None else new({made_kind})"]
        lines += [f"  if {made} is not None: {made}.__dict__ = {_display(own)}"]
    lines += ["  each = new(kind)", f"  each.__dict__ = {_display(values)}", "  add(each)", " return made"]
    exec(compile("\n".join(lines), "<rows>", "exec"), known)  # noqa: S102 - attributes alone vary, as literals
    function: Callable[[Rows], list[Any]] = known["made_of"]
    return function


def _display(values: dict[str, str]) -> str:
    # repr: whatever the names are, they stay string literals.
    return f"{{{', '.join(f'{name!r}: {value}' for name, value in values.items())}}}"
