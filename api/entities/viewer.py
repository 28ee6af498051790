"""The viewer: who the caller is, in which organization, and what is left of its budgets."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import orjson
import strawberry
from sqlalchemy import ColumnElement, Select, bindparam

from api.context import Context, Info
from api.entities import ai_settings, budget, organization
from api.entities import user as users
from api.entities.references import AiSettings, Organization, UsageSummary, User
from api.execution.complete import Written
from api.execution.plan import Field, Selection
from api.execution.written import wanted_here
from api.json_text import Part, joined
from api.loaders import put, to_one
from api.node import Joined, Source
from api.scalars import UUID
from api.selection import selected
from api.written import Shape, node_parts, object_parts, other_parts, shape_of
from db.types import OrganizationKind, Role


@strawberry.type(description="An organization that the caller belongs to.")
class ViewerOrganization:
    database_id: UUID = strawberry.field(description="The raw id, for the header X-Organization.")
    slug: str = strawberry.field(description="Its short name, for the same header.")
    name: str = strawberry.field(description="Its name.")
    kind: OrganizationKind = strawberry.field(description="What kind of customer it is.")
    role: Role = strawberry.field(description="What the caller is there.")
    is_current: bool = strawberry.field(description="Whether this request acts in it.")


@strawberry.type(description="The caller, as this API knows it.")
class Viewer:
    role: Role = strawberry.field(description="What the caller is in this organization.")
    user_id: strawberry.Private[str | None]

    user: User | None = to_one(
        lambda: users.SOURCE, "user_id", description="The caller as a person; null for a service."
    )

    @strawberry.field(description="The organization that this request acts in.")
    async def organization(self, info: Info) -> Organization:
        return await organization.current(info.context)

    @strawberry.field(description="Every organization that the caller belongs to.")
    async def organizations(self, info: Info) -> list[ViewerOrganization]:
        actor = info.context.actor
        if actor.role is Role.SERVICE:
            own = await organization.current(info.context)
            return [_membership(own.database_id, own.slug, own.name, own.kind, actor.role, is_current=True)]
        rows = await info.context.session.fetch_text(
            "SELECT organization_id, slug, name, kind, role FROM app.my_organizations() ORDER BY slug"
        )
        return [_membership(*row, is_current=row["organization_id"] == actor.organization_id) for row in rows]

    @strawberry.field(description="The caller's AI settings; null for who has none.")
    async def ai_settings(self, info: Info) -> AiSettings | None:
        return await ai_settings.of_user(info.context, self.user_id)

    @strawberry.field(description="What the caller used and what is left; of the organization, where it is no member.")
    async def usage(self, info: Info) -> UsageSummary | None:
        return await budget.summary(info)


def _membership(
    organization_id: str, slug: str, name: str, kind: str, role: str, *, is_current: bool
) -> ViewerOrganization:
    return ViewerOrganization(
        database_id=UUID(organization_id),
        slug=slug,
        name=name,
        kind=OrganizationKind(kind),
        role=Role(role),
        is_current=is_current,
    )


@strawberry.type
class ViewerQuery:
    @strawberry.field(description="The caller.")
    async def viewer(self, info: Info) -> Viewer:
        actor = info.context.actor
        if actor.user_id is not None:
            if written := await _written(info):
                return written  # type: ignore[return-value] # the engine, which has told what is wanted, lets it through
            if len(selected(info) & TOGETHER) > 1:
                await _read_together(info.context)
        return Viewer(role=actor.role, user_id=actor.user_id)


async def _written(info: Info) -> Written | None:
    """The viewer as PostgreSQL writes it in one statement, budgets among it; None where it cannot."""
    wanted, context = wanted_here(info), info.context
    if wanted is None:
        return None
    lasting, role = info.lasting, context.actor.role  # type: ignore[attr-defined]
    key = ("written", role)
    if key not in lasting:
        lasting[key] = _writing(wanted, role)
    writing: _Writing | None = lasting[key]
    if writing is None:
        return None

    def build() -> Select[Any]:
        along = tuple((attribute, ()) for attribute in writing.along)
        return ME.select(role, writing.text, columns=(), along=along).where(_IS_ME)

    rows = await context.session.fetch(("written viewer", writing.shape), build)
    return Written(rows[0][0]) if rows and rows[0][0] is not None else None


class _Writing(NamedTuple):
    """The JSON of the viewer, and which of the others are read along for it."""

    shape: Shape
    text: ColumnElement[str]
    along: tuple[str, ...]


def _writing(wanted: Selection, role: Role) -> _Writing | None:
    names = {each.name for each in wanted.fields}
    if len(names & {*TOGETHER, USAGE}) < 2:  # one part is one statement anyhow, and its own
        return None
    readable = {
        each.field: (attribute, each.source())
        for attribute, each in ME.joined.items()
        if each.field in names and each.source().is_readable(role)
    }

    def value_of(field: Field) -> Sequence[Part] | None:
        if field.nodes[0].arguments:
            return None
        if field.name == "user":
            return node_parts(field.selection(field.object), users.SOURCE) if field.object else None
        if field.name in readable:
            return other_parts(field, readable[field.name][1])
        if field.name == "role" and field.leaf:
            return (orjson.dumps(field.leaf.coerce(role)).decode(),)
        return budget.summary_parts(field, role) if field.name == USAGE else None

    parts = object_parts(wanted, value_of)
    along = tuple(attribute for attribute, _ in readable.values())
    return _Writing(shape_of(wanted), joined(parts), along) if parts else None


async def _read_together(context: Context) -> None:
    """The caller's person, organization and settings in one statement, for the fields that ask for them."""
    role = context.actor.role
    along = tuple(
        (attribute, tuple(each.source().columns))
        for attribute, each in ME.joined.items()
        if each.source().is_readable(role)
    )

    def build() -> Select[Any]:
        return ME.select(role, along=along).where(_IS_ME)

    rows = await context.session.fetch("viewer", build)
    for person in ME.build_all(rows):
        put(context, users.SOURCE, person)
        for attribute, _ in along:
            if other := vars(person)[attribute]:
                put(context, ME.joined[attribute].source(), other)


ME: Source[User] = replace(
    users.SOURCE,
    joined={
        "own_organization": Joined(
            "organization", lambda: organization.SOURCE, organization.T.c.id, users.T.c.organization_id
        ),
        "own_settings": Joined(
            "aiSettings", lambda: ai_settings.SOURCE, ai_settings.T.c.user_id, users.T.c.id, ai_settings.T
        ),
    },
)
_IS_ME = ME.id_column == bindparam("user_id", type_=ME.id_column.type)
USAGE = "usage"
TOGETHER = frozenset({"user", *(each.field for each in ME.joined.values())})
