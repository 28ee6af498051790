"""What one operation shares: the caller, its transaction, its loaders, its clock, and what it read on record."""

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime

import strawberry

from api.loader import Batch, Loader
from db.actor import Actor
from db.crypto import Keyring
from db.embedder import Embedder
from db.session import Session
from db.types import Role


@dataclass
class Context:
    """Made for one operation and thrown away with it; nothing in here outlives or is shared between two.

    `session` is the READ ONLY transaction that all loaders share; `open_session` makes the next one, `writing` a
    READ COMMITTED one around a change, whose commit begins the one that it is given.
    """

    actor: Actor
    session: Session
    request_id: str
    open_session: Callable[[], Session]
    writing: Callable[[Session], AbstractAsyncContextManager[Session]]
    embedder: Embedder | None = None
    keyring: Keyring | None = None
    reads: dict[str, set[str]] = field(default_factory=dict)
    _loaders: dict[Hashable, Loader] = field(default_factory=dict)

    @property
    def now(self) -> datetime:
        """The operation's one moment: its fields and its statements agree on it."""
        return self.session.now

    async def end_reading(self) -> None:
        """Before a change: what is read after it is read anew, from a snapshot that holds it."""
        before, self.session = self.session, self.open_session()
        self.session.statements = before.statements
        self._loaders.clear()
        await before.finish(failed=False)

    def close(self) -> None:
        """The operation is over. A loader's function knows this context: in a circle, only the collector would free them."""
        self._loaders.clear()

    def loader(self, key: Hashable, batch: Callable[[], Batch]) -> Loader:
        """The operation's loader of this name; `batch` makes its function when it is first asked for."""
        found = self._loaders.get(key)
        if found is None:
            found = self._loaders[key] = Loader(batch())
        return found

    def on_record(self, type_name: str, database_id: str) -> None:
        """Remember that a person was shown this payload: one `payload.read` event follows before the answer leaves."""
        if self.actor.role is not Role.SERVICE:
            self.reads.setdefault(type_name, set()).add(database_id)


Info = strawberry.Info[Context, None]
