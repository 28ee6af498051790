"""What a person chose from the results of a search: recorded once, by that person."""

from typing import Annotated, Any, Final

import strawberry
from sqlalchemy import ColumnElement, Executable, Select, bindparam, select, update

from api.change import Change, Done, changed
from api.context import Info
from api.entities import content_search
from api.entities.content_search import ContentSearch
from api.loaders import by_id, created_bounds, created_within
from api.node import id_of
from api.payload import MutationPayload, UserErrorCode, refused
from api.permissions import right, takes
from api.rows import allowed
from api.scalars import UUID
from db import mirror
from db.policy import Command
from db.types import Role

T = content_search.T
CHOICE: Final = frozenset({"selected_content_id"})

CHOOSE: Final = right(T, "update", columns=CHOICE)


@strawberry.input(description="What was chosen from the results of a search.")
class SelectSearchResultInput:
    search_id: strawberry.ID = strawberry.field(description="The search.")
    content_id: UUID = strawberry.field(description="The product's id of the chosen result.")


@strawberry.type(description="The search with what was chosen, by this change or, where it is IMMUTABLE, before.")
class SelectSearchResultPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The search; null when there is none of the viewer's own.")
    async def search(self, info: Info) -> ContentSearch | None:
        return await by_id(info.context, content_search.SOURCE, self.done.ids.get("search"))


def _tests(role: Role, command: Command, *, is_dated: bool) -> tuple[ColumnElement[bool], ...]:
    wanted = T.c.id == bindparam("id", type_=T.c.id.type)
    return (mirror.where(role, T, command), wanted, *(created_within(T.c.created_at) if is_dated else ()))


def _choose(role: Role, *, is_dated: bool) -> Executable:
    choice = bindparam("content_id", type_=T.c.selected_content_id.type)
    row = update(T).where(*_tests(role, "update", is_dated=is_dated), T.c.selected_content_id.is_(None))
    return row.values(selected_content_id=choice).returning(T.c.id)


def _see(role: Role, *, is_dated: bool) -> Select[Any]:
    return select(T.c.user_id).where(*_tests(role, "select", is_dated=is_dated))


async def _select(change: Change, given: SelectSearchResultInput) -> dict[str, Any]:
    database_id = id_of(given.search_id, "ContentSearch", "searchId")
    allowed(change, CHOOSE)
    role, session = change.actor.role, change.session
    bounds = created_bounds([database_id])  # the months to look in follow from the id
    is_dated = bounds is not None
    values: dict[str, Any] = {"id": database_id}
    if bounds:
        values |= {"created_from": bounds[0], "created_to": bounds[1]}
    chosen = await session.fetch(
        ("choose", is_dated), lambda: _choose(role, is_dated=is_dated), **values, content_id=given.content_id
    )
    if chosen:
        change.record("content_search.selected", "ContentSearch", database_id, selected_content_id=given.content_id)
        return {"search": database_id}
    seen = await session.fetch(("see_search", is_dated), lambda: _see(role, is_dated=is_dated), **values)
    if not seen:
        raise refused(UserErrorCode.NOT_FOUND, "searchId")
    if seen[0]["user_id"] != change.actor.user_id:  # an admin's look at somebody else's
        raise refused(UserErrorCode.FORBIDDEN, "searchId")
    change.refuse(UserErrorCode.IMMUTABLE, "searchId")
    return {"search": database_id}


@strawberry.type
class ContentSearchMutation:
    @strawberry.mutation(
        description="Record what was chosen from the results of one's own search. It is recorded once.",
        metadata=takes(CHOOSE),
    )
    async def select_search_result(
        self,
        info: Info,
        input: Annotated[SelectSearchResultInput, strawberry.argument(description="What, from which.")],
    ) -> SelectSearchResultPayload:
        done = await changed(info, input, lambda change: _select(change, input))
        return SelectSearchResultPayload(done=done, user_errors=done.errors)
