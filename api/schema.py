"""The schema: the one list of entities, put together to Query, and its text.

Attributes are read straight: Strawberry's wrapper around a plain attribute costs more than the attribute.
"""

from copy import copy
from typing import Annotated, Any, Final, cast

import strawberry
from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema, lexicographic_sort_schema
from strawberry.printer import print_schema
from strawberry.schema.config import StrawberryConfig

from api import changes, permissions, registry
from api.change import idempotent
from api.context import Info
from api.entities import (
    ai_settings,
    audit_event,
    audit_proof,
    budget,
    cache,
    category,
    content_search,
    conversation,
    document,
    feedback,
    insight,
    interaction,
    message,
    organization,
    pattern,
    project,
    search,
    tool,
    tool_call,
    usage,
    user,
    viewer,
)
from api.errors import BadUserInputError
from api.node import Node, parse_id
from api.node_and_list import node_and_list
from api.scalars import SCALARS

MAX_IDS: Final = 100

ENTITIES: Final = (
    organization,
    user,
    project,
    category,
    tool,
    conversation,
    message,
    feedback,
    insight,
    pattern,
    ai_settings,
    budget,
    usage,
    interaction,
    cache,
    tool_call,
    audit_event,
    document,
    content_search,
)


@strawberry.type
class NodeQuery:
    @strawberry.field(description="The object with this id; null when there is none that the caller may see.")
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="A global id.")],
    ) -> Node | None:
        type_name, database_id = parse_id(id, "id")
        source = registry.SOURCES.get(type_name)
        found = await node_and_list(info, source, database_id) if source else []
        return found[0] if found else await registry.load(info.context, type_name, database_id)

    @strawberry.field(description="The objects with these ids in the same order, null where `node` would give null.")
    async def nodes(
        self,
        info: Info,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="At most 100 global ids.")],
    ) -> list[Node | None]:
        if len(ids) > MAX_IDS:
            raise BadUserInputError(f"`ids` takes at most {MAX_IDS} ids.", argument="ids")
        return await registry.load_all(info.context, ids)


@strawberry.type(description="What can be asked.")
class Query(
    viewer.ViewerQuery,
    NodeQuery,
    conversation.ConversationQuery,
    feedback.FeedbackQuery,
    insight.InsightQuery,
    pattern.PatternQuery,
    ai_settings.AiSettingsQuery,
    usage.UsageQuery,
    interaction.InteractionQuery,
    tool_call.ToolCallQuery,
    audit_event.AuditEventQuery,
    audit_proof.AuditProofQuery,
    document.DocumentQuery,
    search.SearchQuery,
    content_search.ContentSearchQuery,
    cache.CacheQuery,
):
    pass


@strawberry.type(description="What can be changed. Every change is on the audit chain of its organization.")
class Mutation(
    changes.conversation.ConversationMutation,
    changes.feedback.FeedbackMutation,
    changes.insight.InsightMutation,
    changes.content_search.ContentSearchMutation,
    changes.ai_settings.AiSettingsMutation,
    changes.provider_key.ProviderKeyMutation,
    changes.budget.BudgetMutation,
    changes.organization.OrganizationMutation,
    changes.project.ProjectMutation,
    changes.tool.ToolMutation,
):
    pass


def build_schema() -> GraphQLSchema:
    """The executable schema. Registers every entity's nodes."""
    sources = tuple(source for module in ENTITIES for source in getattr(module, "SOURCES", (module.SOURCE,)))
    registry.register(sources)
    config = StrawberryConfig(scalar_map=SCALARS)
    schema = strawberry.Schema(
        query=Query,
        mutation=Mutation,
        types=[source.node for source in sources],
        directives=[idempotent],
        config=config,
    )
    core = schema._schema
    _read_attributes_straight(core)
    return core


def _read_attributes_straight(schema: GraphQLSchema) -> None:
    for named in schema.type_map.values():
        if isinstance(named, GraphQLObjectType) and not named.name.startswith("__"):
            for field in named.fields.values():
                definition = field.extensions.get("strawberry-definition")
                if definition is not None and definition.base_resolver is None:
                    _read_straight(field, definition.python_name)


def _read_straight(field: GraphQLField, name: str) -> None:
    def read(source: Any, _info: object) -> Any:
        return getattr(source, name)

    field.resolve = read


def schema_text(schema: GraphQLSchema) -> str:
    """The schema as SDL, sorted, so that a difference is a change, and with the permissions, which nothing executes."""
    printed = copy(cast("Any", schema)._strawberry_schema)
    printed._schema = lexicographic_sort_schema(schema)
    permissions.annotate(printed._schema, registry.SOURCES)
    return print_schema(printed) + "\n"
