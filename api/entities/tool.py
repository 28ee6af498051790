"""Tools: the registry of what an organization's assistant may call."""

import strawberry

from api.node import Node, Source
from db import models

T = models.table(models.Tool)


@strawberry.type(description="A tool that an organization's assistant may call.")
class Tool(Node):
    name: str = strawberry.field(description="Its name, as calls have it.")
    description: str | None = strawberry.field(description="What it does.")
    is_enabled: bool = strawberry.field(description="Whether it may be called at present.")
    database_id: strawberry.Private[str]


SOURCE = Source(
    Tool,
    T,
    {"name": T.c.name, "description": T.c.description, "is_enabled": T.c.is_enabled, "database_id": T.c.id},
)
