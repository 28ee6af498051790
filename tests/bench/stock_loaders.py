"""Stock Strawberry's data access: one AsyncSession and one set of DataLoaders a request, ORM objects throughout."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from strawberry.dataloader import DataLoader

from db.actor import Actor
from tests.bench.stock_tables import Feedback, Message, Outcome, Project, User


@dataclass
class Request:
    """The context: who asks, the session, the loaders. A session runs one statement at a time, hence the lock."""

    actor: Actor
    session: AsyncSession
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    loaders: dict[Any, DataLoader[Any, Any]] = field(default_factory=dict)

    async def all(self, statement: Any) -> Sequence[Any]:
        """The rows of a statement; entities alone where it selects one."""
        async with self.lock:
            result = await self.session.execute(statement)
            rows: Sequence[Any] = result.scalars().all() if len(statement.column_descriptions) == 1 else result.all()
            return rows

    def loader(self, name: Any, load: Callable[[list[Any]], Any]) -> DataLoader[Any, Any]:
        if name not in self.loaders:
            self.loaders[name] = DataLoader(load_fn=load)
        return self.loaders[name]

    def by_id(self, model: Any) -> DataLoader[Any, Any]:
        """Rows of a table of this organization by id."""

        async def load(keys: list[str]) -> list[Any]:
            found = {
                row.id: row
                for row in await self.all(
                    select(model).where(model.organization_id == self.actor.organization_id, model.id.in_(keys))
                )
            }
            return [found.get(key) for key in keys]

        return self.loader(model, load)

    @property
    def users(self) -> DataLoader[Any, Any]:
        return self.by_id(User)

    @property
    def projects(self) -> DataLoader[Any, Any]:
        return self.by_id(Project)

    @property
    def my_feedback(self) -> DataLoader[Any, Any]:
        async def load(keys: list[str]) -> list[Any]:
            mine = (Feedback.organization_id == self.actor.organization_id, Feedback.user_id == self.actor.user_id)
            rows = await self.all(select(Feedback).where(*mine, Feedback.message_id.in_(keys)))
            found = {row.message_id: row for row in rows}
            return [found.get(key) for key in keys]

        return self.loader("my_feedback", load)

    @property
    def outcomes(self) -> DataLoader[Any, Any]:
        async def load(keys: list[tuple[str, Any]]) -> list[Any]:
            since = min(at for _, at in keys)
            wanted = (Outcome.tool_call_id.in_([key for key, _ in keys]), Outcome.created_at >= since)
            rows = await self.all(select(Outcome).where(Outcome.organization_id == self.actor.organization_id, *wanted))
            found = {row.tool_call_id: row for row in rows}
            return [found.get(key) for key, _ in keys]

        return self.loader("outcomes", load)

    def messages(self, size: int, *, is_last: bool) -> DataLoader[Any, Any]:
        """One row more than `size` of each conversation, from either end, in the direction of reading."""

        async def load(keys: list[str]) -> list[list[Any]]:
            order = (Message.created_at, Message.id)
            place = func.row_number().over(
                partition_by=Message.conversation_id, order_by=[each.desc() for each in order] if is_last else order
            )
            mine = (Message.organization_id == self.actor.organization_id, Message.user_id == self.actor.user_id)
            numbered = select(Message, place.label("place")).where(*mine, Message.conversation_id.in_(keys)).subquery()
            row = aliased(Message, numbered)
            rows = await self.all(select(row).where(numbered.c.place <= size + 1).order_by(numbered.c.place))
            found: dict[str, list[Any]] = {key: [] for key in keys}
            for each in rows:
                found[each.conversation_id].append(each)
            return [found[key] for key in keys]

        return self.loader(("messages", size, is_last), load)
