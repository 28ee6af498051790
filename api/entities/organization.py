"""Organizations: the tenants. A caller sees exactly one, its own."""

import strawberry

from api.child_pages import to_many
from api.connection import Connection
from api.context import Context, Info
from api.entities import budget, category, project, user
from api.entities.references import Category, Project, UsageBudget, User
from api.entities.tool import SOURCE as TOOLS
from api.entities.tool import Tool
from api.loaders import by_id
from api.node import Node, Source
from api.scalars import UUID, DateTime
from db import mirror, models
from db.types import OrganizationKind

T = models.table(models.Organization)


@strawberry.type(description="A customer of the product: everything else belongs to exactly one.")
class Organization(Node):
    database_id: UUID = strawberry.field(description="The raw id.")
    slug: str = strawberry.field(description="Its short name: unique, for addresses and headers.")
    name: str = strawberry.field(description="Its name.")
    kind: OrganizationKind = strawberry.field(description="What kind of customer it is.")
    timezone: str = strawberry.field(description="The IANA time zone that decides when its day and month begin.")
    created_at: DateTime = strawberry.field(description="When it was created.")
    updated_at: DateTime = strawberry.field(description="When it last changed.")
    embedding_model: strawberry.Private[str]

    users: Connection[User] = to_many(
        lambda: user.LISTING, "organization_id", description="Its people, in the order of joining."
    )

    projects: Connection[Project] = to_many(
        lambda: project.LISTING, "organization_id", description="Its projects by name."
    )

    categories: Connection[Category] = to_many(
        lambda: category.LISTING, "organization_id", description="Its budget categories by name."
    )

    @strawberry.field(description="The tools that its assistant may call, by name.")
    async def tools(self, info: Info) -> list[Tool]:
        context = info.context
        rows = await context.session.fetch(
            ("tools", TOOLS), lambda: TOOLS.select(context.actor.role).order_by(TOOLS.table.c.name)
        )
        return TOOLS.build_all(rows)

    @strawberry.field(description="Its budgets; with its people's for who may see them. Null for who may see none.")
    async def budgets(self, info: Info) -> list[UsageBudget] | None:
        return await budget.of_organization(info.context)

    @strawberry.field(description="Whether the viewer may change its name and time zone.")
    def viewer_can_update(self, info: Info) -> bool:
        return mirror.can(info.context.actor, T.name, "update", {"id": self.database_id})


async def current(context: Context) -> Organization:
    """The caller's own organization, read once per operation."""
    found = await by_id(context, SOURCE, context.actor.organization_id)
    if found is None:  # an actor's organization was verified when the actor was made
        raise LookupError("the caller's organization is gone")
    return found


SOURCE = Source(
    Organization,
    T,
    {
        "database_id": T.c.id,
        "slug": T.c.slug,
        "name": T.c.name,
        "kind": T.c.kind,
        "timezone": T.c.timezone,
        "created_at": T.c.created_at,
        "updated_at": T.c.updated_at,
        "embedding_model": T.c.embedding_model,
    },
)
