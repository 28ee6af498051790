"""Changing projects: begin one, or rename one."""

from typing import Annotated, Any

import strawberry
from sqlalchemy import Executable, bindparam, insert, update

from api.change import Change, Done, changed
from api.context import Info
from api.entities import project
from api.entities.project import Project
from api.filters import present
from api.loaders import by_id
from api.node import id_of
from api.payload import MutationPayload
from api.permissions import right, takes
from api.rows import allowed, locked, text_of
from db import mirror

T = project.T
MAX_NAME = 255

UPSERT = right(T, "insert", "update", columns=("name",))


@strawberry.input(description="A project to begin, or one to rename.")
class UpsertProjectInput:
    id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The project to rename; without it a new one is made."
    )
    name: str = strawberry.field(description="Its name, at most 255 characters.")


@strawberry.type(description="The project as it is after the change.")
class UpsertProjectPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The project; null when nothing was done.")
    async def project(self, info: Info) -> Project | None:
        return await by_id(info.context, project.SOURCE, self.done.ids.get("project"))


def _insert() -> Executable:
    names = ("organization_id", "name")
    return insert(T).values({name: bindparam(name, type_=T.c[name].type) for name in names}).returning(T.c.id)


def _rename(change: Change) -> Executable:
    wanted = T.c.id == bindparam("id", type_=T.c.id.type)
    return update(T).where(mirror.where(change.actor.role, T, "update"), wanted).values(name=bindparam("new_name"))


async def _upsert(change: Change, given: UpsertProjectInput) -> dict[str, Any]:
    wanted = present(given.id)
    database_id = None if wanted is None else id_of(wanted, "Project", "id")
    allowed(change, UPSERT)
    name = text_of(given.name, "name", most=MAX_NAME)
    if database_id is None:
        [row] = await change.session.fetch("insert_project", _insert, name=name)
        change.record("project.created", "Project", row["id"])
        return {"project": row["id"]}
    row = await locked(change, T, database_id, "id", columns=(T.c.name,))
    if name != row["name"]:
        await change.session.fetch("rename_project", lambda: _rename(change), id=database_id, new_name=name)
        change.record("project.updated", "Project", database_id, changed=["name"])
    return {"project": database_id}


@strawberry.type
class ProjectMutation:
    @strawberry.mutation(description="Begin a project, or rename one. For admins and services.", metadata=takes(UPSERT))
    async def upsert_project(
        self,
        info: Info,
        input: Annotated[UpsertProjectInput, strawberry.argument(description="The project.")],
    ) -> UpsertProjectPayload:
        done = await changed(info, input, lambda change: _upsert(change, input))
        return UpsertProjectPayload(done=done, user_errors=done.errors)
