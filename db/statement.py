"""A statement: written in SQLAlchemy Core, compiled once per shape and role, run on asyncpg with bind parameters.

Building and compiling costs 1 to 4 ms, running 0.2 ms, so shapes are cached. The role stands in the text: PostgreSQL
would otherwise plan the prepared statement anew at each change of role on the connection.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql import asyncpg

from db.types import Role

_DIALECT: Final = asyncpg.dialect()  # type: ignore[no-untyped-call]
_CACHE_SIZE: Final = 2_000


class Statement:
    """SQL text with `$n` binds and the names that fill them."""

    __slots__ = ("defaults", "names", "sql")

    def __init__(self, core: Executable, db_role: str) -> None:
        compiled = core.compile(dialect=_DIALECT)  # type: ignore[attr-defined]
        self.sql: str = f"/* {db_role} */ {compiled}"
        self.names: tuple[str, ...] = tuple(compiled.positiontup or ())
        self.defaults: Mapping[str, Any] = dict(compiled.params)

    def arguments(self, values: Mapping[str, Any]) -> list[Any]:
        """The values in the text's order; KeyError names a bind that nobody filled."""
        defaults = self.defaults
        return [values[name] if name in values else _default(defaults, name) for name in self.names]


def _default(defaults: Mapping[str, Any], name: str) -> Any:
    value = defaults[name]
    if value is None:
        raise KeyError(name)
    return value


class Shapes:
    """Statements by shape, the least recently used leaving first."""

    def __init__(self, size: int = _CACHE_SIZE) -> None:
        self._size = size
        self._known: OrderedDict[Hashable, Statement] = OrderedDict()

    def get(self, shape: Hashable, role: Role, db_role: str, build: Callable[[], Executable]) -> Statement:
        """The compiled statement of `shape` for this role; `build` runs only when it is new."""
        key = (shape, role)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Statement(build(), db_role)
            if len(self._known) > self._size:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found


shapes: Final = Shapes()
