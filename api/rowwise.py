"""Row after row as dictionaries with fixed keys: functions written for their keys, made once for each set of them.

`{"a": a, "b": b}` costs a third of `dict(zip(keys, row))`, and an answer has one for each of its objects.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

_KEPT: Final = 4_096

Rows = Iterable[Sequence[Any]]


@lru_cache(_KEPT)
def dictionaries(keys: tuple[str, ...]) -> Callable[[Rows], list[dict[str, Any]]]:
    """A function from rows to dictionaries: the n-th value of each row under the n-th key."""
    return _compiled(f"return [{_display(keys)} for {_target(keys)} in rows]", {})


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
    lines: list[str] = []
    for number, (attribute, other) in enumerate(joined):
        own = {name: values.pop(name) for name in names if name.startswith(f"{attribute}__")}
        entries = ", ".join(f"{name.removeprefix(f'{attribute}__')!r}: {value}" for name, value in own.items())
        lines.append(f"o{number} = None")
        lines.append(
            f"if {next(iter(own.values()))} is not None: o{number} = new(k{number}); o{number}.__dict__ = {{{entries}}}"
        )
        known[f"k{number}"], values[attribute] = other, f"o{number}"
    display = ", ".join(f"{name!r}: {value}" for name, value in values.items())
    made = "".join(f"        {line}\n" for line in lines)
    body = f"""made = []
    add = made.append
    for {_target(names)} in rows:
{made}        each = new(kind)
        each.__dict__ = {{{display}}}
        add(each)
    return made"""
    return _compiled(body, known)


def _target(names: tuple[str, ...]) -> str:
    return f"({', '.join(f'v{at}' for at in range(len(names)))},)"


def _display(names: tuple[str, ...]) -> str:
    # repr: whatever the keys are, they stay string literals.
    return f"{{{', '.join(f'{name!r}: v{at}' for at, name in enumerate(names))}}}"


def _compiled(body: str, known: dict[str, Any]) -> Callable[[Rows], Any]:
    exec(compile(f"def made_of(rows):\n    {body}\n", "<rows>", "exec"), known)  # noqa: S102 - keys alone vary, as literals
    made: Callable[[Rows], Any] = known["made_of"]
    return made
