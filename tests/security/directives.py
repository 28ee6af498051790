"""What the printed schema says of permissions, and the lines in which it differs from the oracle and from PostgreSQL."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from graphql import GraphQLObjectType, GraphQLSchema, build_schema

from api.registry import SOURCES
from db.types import Role
from tests.changes.rights import CASES, COLLEAGUE
from tests.client import Client
from tests.security import oracle
from tests.security.fields import FIELDS
from tests.security.looking import Database
from tests.security.people import NORTH, PRINCIPALS, Principal
from tests.security.roots import ROOTS
from tests.security.routes import TYPES, view_of

Said: TypeAlias = dict[Role, str]
"""The rows of each role that is named."""

ARGUMENTS: Final = ("own", "shared", "ownAndShared", "organization")  # from the narrowest
WORDS: Final[dict[oracle.Test, str]] = {
    oracle.own: "own",
    oracle.the_organizations: "shared",
    oracle.subject: "ownAndShared",
    oracle.org: "organization",
    oracle.itself: "organization",
}
FOR_EVERYBODY: Final = {"viewer", "node", "nodes"}
# Root fields that list no nodes: the table that decides. The service calls a function for `usageActivity`.
ROOT_TABLES: Final = {
    "searchDocuments": "document_embeddings",
    "cacheStats": "ai_cache_stats",
    "toolUsage": "tool_calls",
    "aiMetrics": "ai_interactions",
    "usageMetrics": "ai_usage_logs",
    "usageActivity": "ai_usage_logs",
    "verifyAuditChain": "audit_events",
    "auditProof": "audit_events",
}
# Further fields that show what FIELDS shows.
ALSO: Final = {
    ("AiInteraction", "requestPreview"): "ai_interaction_payloads",
    ("AiInteraction", "responsePreview"): "ai_interaction_payloads",
    ("AiInteraction", "response"): "ai_interaction_payloads",
    ("ToolCall", "redactedAt"): "tool_call_payloads",
    ("AuditEvent", "redactedAt"): "audit_payloads",
}
SHOWN_BY: Final = ALSO | {
    (field.type_name, field.text.partition("{")[0]): table for table, fields in FIELDS.items() for field in fields
}
# A mutation whose oracle is about another row than the one that it makes: a project of everybody's.
MAKES: Final = {"createConversation": "own"}
MEMBERS: Final = {who.role: who for who in PRINCIPALS if who.slug == NORTH and who.name != "wanda"}


def said(element: Any, name: str) -> Said | None:
    """What the directive of this name on a type or field says; None where there is none."""
    directives = (element.ast_node and element.ast_node.directives) or ()
    for directive in directives:
        if directive.name.value == name:
            return {
                Role(role.value): argument.name.value
                for argument in directive.arguments
                for role in argument.value.values
            }
    return None


def types_of(schema: GraphQLSchema) -> Mapping[str, GraphQLObjectType]:
    return {name: kind for name, kind in schema.type_map.items() if isinstance(kind, GraphQLObjectType)}


def unsaid(text: str) -> list[str]:
    """Types that stand for a table, fields of Query and of Mutation that do not say whose they are; and what should not."""
    schema = build_schema(text)
    assert schema.query_type
    assert schema.mutation_type
    found = [name for name in SOURCES if said(schema.type_map[name], "readable") is None]
    for owner, name in ((schema.query_type, "readable"), (schema.mutation_type, "changeable")):
        for field_name, field in owner.fields.items():
            if (said(field, name) is None) != (field_name in FOR_EVERYBODY):
                found.append(f"{owner.name}.{field_name}")
    return found


# ── against the oracle ───────────────────────────────────────────────────────────────────────────────────────────────
def oracle_differences(text: str) -> list[str]:
    """Every type, field and mutation by role, as far as the text does not say what the oracle does."""
    schema = build_schema(text)
    return [*_types(schema), *_fields(schema), *_roots(schema), *_mutations(schema)]


def due_of(type_name: str) -> Said:
    """What the oracle says of a type."""
    route, found = TYPES[type_name], {}
    for role in Role:
        test = oracle.READS[route.table].of(role)
        if route.rows(view_of(defaultdict(list), MEMBERS[role])) is not None and test is not None:
            found[role] = WORDS[test]
    return found


def _types(schema: GraphQLSchema) -> list[str]:
    return [line for name in TYPES for line in _compared(name, said(schema.type_map[name], "readable"), due_of(name))]


def _fields(schema: GraphQLSchema) -> list[str]:
    found = []
    for name, kind in types_of(schema).items():
        for field_name, field in kind.fields.items():
            seen = said(field, "readable")
            table = SHOWN_BY.get((name, field_name))
            if table is not None:
                due = {role: word for role in due_of(name) if (word := _field_word(name, field_name, table, role))}
                found += _compared(f"{name}.{field_name}", seen or said(kind, "readable"), due)
            elif seen is not None and kind is not schema.query_type:
                found.append(f"{name}.{field_name} says who may read it, and nothing is known of that")
    return found


def _field_word(type_name: str, field_name: str, table: str, role: Role) -> str | None:
    test = oracle.READS[table].of(role)
    if test is None or (field_name == "ipAddress" and not oracle.is_legible(table, "ip_address", role)):
        return None
    return min(WORDS[test], due_of(type_name)[role], key=ARGUMENTS.index)


def _roots(schema: GraphQLSchema) -> list[str]:
    assert schema.query_type
    lists = {each.text.partition("(")[0]: name for name, route in TYPES.items() for each in route.lists}
    found = []
    for name, field in schema.query_type.fields.items():
        if name in FOR_EVERYBODY:
            continue
        if name in lists:
            due = due_of(lists[name])
        else:
            tests = {role: oracle.READS[ROOT_TABLES[name]].of(role) for role in Role}
            due = {role: WORDS[test] for role, test in tests.items() if test is not None}
        found += _compared(f"Query.{name}", said(field, "readable"), due)
    return found


def _mutations(schema: GraphQLSchema) -> list[str]:
    assert schema.mutation_type
    found = []
    for name, field in schema.mutation_type.fields.items():
        wide = {role: "organization" if COLLEAGUE in sides else "own" for role, sides in CASES[name].may.items()}
        due = {role: MAKES.get(name, word) for role, word in wide.items()}
        found += _compared(f"Mutation.{name}", said(field, "changeable"), due)
    return found


def _compared(place: str, seen: Said | None, due: Said) -> list[str]:
    return [
        f"{place}: {role.value} {(seen or {}).get(role)} instead of {due.get(role)}"
        for role in Role
        if (seen or {}).get(role) != due.get(role)
    ]


# ── against PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────────────
async def database_differences(text: str, connection: Database) -> list[str]:
    """Every type by role, as far as it does not say what policies and grants do."""
    schema, found = build_schema(text), []
    rows = await connection.fetch(
        "SELECT tablename, role::text, qual FROM pg_policies, unnest(roles) AS role WHERE schemaname = 'app' AND cmd = 'SELECT'"
    )
    policies = {(row["tablename"], row["role"]): row["qual"] for row in rows}
    for name, source in SOURCES.items():
        due = {}
        for role in Role:
            db_role = f"app_{role.value.lower()}"
            quals = [policies.get((table, db_role)) for table in source.needs]
            if all(quals) and await _may_select(connection, db_role, source.needs):
                due[role] = min((_word(str(qual)) for qual in quals), key=ARGUMENTS.index)
        found += _compared(name, said(schema.type_map[name], "readable"), due)
    return found


def _word(qual: str) -> str:
    if "subject_id = ANY" in qual:
        return "ownAndShared" if "app.user_id" in qual else "shared"
    return "own" if "app.user_id" in qual else "organization"


async def _may_select(connection: Database, role: str, needs: Mapping[str, frozenset[str]]) -> bool:
    pairs = [(table, column) for table, columns in needs.items() for column in columns or {"organization_id"}]
    tables, columns = zip(*pairs, strict=True)
    return bool(
        await connection.fetchval(
            "SELECT bool_and(has_column_privilege($3, 'app.' || t, c, 'SELECT')) FROM unnest($1::text[], $2::text[]) AS g (t, c)",
            list(tables),
            list(columns),
            role,
        )
    )


# ── against the API ──────────────────────────────────────────────────────────────────────────────────────────────────
async def answer_differences(text: str, client: Client, who: Principal, event: str) -> list[str]:
    """Fields of Query that are refused although the text names the role, or answered although it does not."""
    schema, found = build_schema(text), []
    assert schema.query_type
    asked = {each.text.partition("(")[0]: each.text % "first: 1" + "{edges{node{id}}}" for each in _lists()}
    asked |= {name: each for name, (each, _) in ROOTS.items() if name not in asked and name not in FOR_EVERYBODY}
    asked["auditProof"] = f'auditProof(id: "{event}") {{leafHash}}'
    for name, field in schema.query_type.fields.items():
        if name in FOR_EVERYBODY:
            continue
        answer = await client.ask(f"{{it: {asked[name]}}}", who.who, organization=who.slug)
        refused = answer.codes == ["FORBIDDEN"] and answer.body["data"] == {"it": None}
        if refused == (who.role in (said(field, "readable") or {})) or (answer.errors and not refused):
            found.append(f"{who} asks {name}: {answer.codes or 'answered'}")
    return found


def _lists() -> list[Any]:
    return [listed for route in TYPES.values() for listed in route.lists[::-1]]
