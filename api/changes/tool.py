"""Changing the registry of tools: what the assistant may call. A tool's name is its key, since calls point at it."""

from typing import Annotated, Any

import strawberry
from sqlalchemy import Executable, Select, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from api.change import Change, Done, changed
from api.context import Info
from api.entities import tool
from api.entities.tool import Tool
from api.loaders import by_id
from api.payload import MutationPayload, UserErrorCode, refused
from api.permissions import right, takes
from api.rows import allowed, text_of
from db import mirror

T = tool.T
MAX_NAME = 100
MAX_DESCRIPTION = 2_000

UPSERT = right(T, "insert", "update", columns=("description", "is_enabled"))


@strawberry.input(description="A tool to register or to change. What is left out stays; null empties.")
class UpsertToolInput:
    name: str = strawberry.field(description="Its name, as calls have it: at most 100 characters.")
    description: str | None = strawberry.field(
        default=strawberry.UNSET, description="What it does, at most 2,000 characters."
    )
    is_enabled: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether it may be called; a new one may unless this says otherwise."
    )


@strawberry.type(description="The tool as it is after the change.")
class UpsertToolPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The tool; null when nothing was done.")
    async def tool(self, info: Info) -> Tool | None:
        return await by_id(info.context, tool.SOURCE, self.done.ids.get("tool"))


def _insert(names: tuple[str, ...]) -> Executable:
    values = {name: bindparam(name, type_=T.c[name].type) for name in ("organization_id", "name", *names)}
    key = ["organization_id", "name"]
    return insert(T).values(values).on_conflict_do_nothing(index_elements=key).returning(T.c.id)


def _find(change: Change) -> Select[Any]:
    named = T.c.name == bindparam("name", type_=T.c.name.type)
    found = select(T.c.id, T.c.description, T.c.is_enabled).where(mirror.where(change.actor.role, T, "update"), named)
    return found.with_for_update(key_share=True)


def _update(names: tuple[str, ...], change: Change) -> Executable:
    values = {name: bindparam(f"new_{name}", type_=T.c[name].type) for name in names}
    wanted = T.c.id == bindparam("id", type_=T.c.id.type)
    return update(T).where(mirror.where(change.actor.role, T, "update"), wanted).values(values)


def _values_of(given: UpsertToolInput) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if given.description is not strawberry.UNSET:
        values["description"] = text_of(given.description, "description", most=MAX_DESCRIPTION)
    if given.is_enabled is not strawberry.UNSET:
        if given.is_enabled is None:
            raise refused(UserErrorCode.INVALID, "isEnabled", message="It is enabled or not.")
        values["is_enabled"] = given.is_enabled
    return values


async def _upsert(change: Change, given: UpsertToolInput) -> dict[str, Any]:
    allowed(change, UPSERT)
    name = text_of(given.name, "name", most=MAX_NAME)
    values = _values_of(given)
    names = tuple(sorted(values))
    session = change.session
    made = await session.fetch(("insert_tool", names), lambda: _insert(names), name=name, **values)
    if made:
        change.record("tool.created", "Tool", made[0]["id"])
        return {"tool": made[0]["id"]}
    [row] = await session.fetch("find_tool", lambda: _find(change), name=name)
    values = {column: value for column, value in values.items() if value != row[column]}
    if values:
        names = tuple(sorted(values))
        binds = {f"new_{column}": value for column, value in values.items()}
        await session.fetch(("update_tool", names), lambda: _update(names, change), id=row["id"], **binds)
        change.record("tool.updated", "Tool", row["id"], changed=list(names))
    return {"tool": row["id"]}


@strawberry.type
class ToolMutation:
    @strawberry.mutation(
        description="Register a tool, or change the one of that name. For admins.", metadata=takes(UPSERT)
    )
    async def upsert_tool(
        self,
        info: Info,
        input: Annotated[UpsertToolInput, strawberry.argument(description="The tool.")],
    ) -> UpsertToolPayload:
        done = await changed(info, input, lambda change: _upsert(change, input))
        return UpsertToolPayload(done=done, user_errors=done.errors)
