"""The eight operations, spelled for each side so that the same rows, ids, cursors and counts come back.

Ours and stock Strawberry take one document; the peer's has aliases that give its answer the same shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tests.bench.world import Person, World

OURS, STOCK, PEER, ROWS, SQL = "ours", "stock", "postgraphile", "handwritten-rows", "handwritten-sql"
SIDES: Final = (OURS, PEER, ROWS, SQL, STOCK)
GRAPHQL: Final = (OURS, STOCK)

_PAGE: Final = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
_PEER_CONVERSATIONS: Final = """conversations: allAiConversations(
    first: 20, orderBy: [UPDATED_AT_DESC, ROW_ID_DESC], condition: {organizationId: $organization, userId: $user, deletedAt: null}
  )"""
_PEER_OF: Final = "OrganizationIdAnd"
_MESSAGES: Final = f"messages: aiMessagesBy{_PEER_OF}ConversationIdAndUserId"
_FEEDBACK: Final = f"aiFeedbackBy{_PEER_OF}MessageIdAndUserId"

DOCUMENTS: Final[Mapping[str, str]] = {
    "O1": f"""{{
  conversations(first: 20) {{ edges {{ cursor node {{ id title updatedAt messageCount }} }} {_PAGE} }}
}}""",
    "O2": """{
  conversations(first: 20) { edges { node { id title updatedAt messageCount
    messages(first: 20) { edges { node { id role content createdAt myFeedback { rating } } } }
  } } }
}""",
    "O3": f"""query ($id: ID!) {{
  node(id: $id) {{ ... on Conversation {{ id title updatedAt messageCount
    messages(last: 50) {{
      edges {{ cursor node {{ id role content createdAt sources {{ kind title }} myFeedback {{ rating text }} }} }} {_PAGE}
    }}
  }} }}
}}""",
    "O4": f"""{{
  insights(first: 20, filter: {{severity: [WARNING, CRITICAL]}}) {{
    totalCount {{ value }}
    facets {{ bySeverity {{ severity count }} byType {{ type count }} }}
    edges {{ cursor node {{ id severity type title createdAt project {{ name }} }} }} {_PAGE}
  }}
}}""",
    "O5": f"""{{
  toolCalls(first: 100) {{
    edges {{ cursor node {{ id toolName timestamp status completedAt aiConfidence user {{ id displayName }} }} }} {_PAGE}
  }}
}}""",
    "O6": """{
  viewer {
    user { id displayName } role organization { id name timezone } aiSettings { tier preferredProvider }
    usage { budgets { metric window limit used reserved } }
  }
}""",
    "O7": """mutation ($input: SubmitFeedbackInput!) {
  submitFeedback(input: $input) { feedback { id rating text } userErrors { code } }
}""",
    "O8": """query ($range: TimeRange!) {
  aiMetrics(range: $range, groupBy: [MODEL], granularity: DAY, limit: 10000) {
    rows { bucket keys { value } count errors tokens cost latencyP50Ms latencyP95Ms latencyP99Ms }
  }
}""",
}

PEER_DOCUMENTS: Final[Mapping[str, str]] = {
    "O1": f"""query ($organization: UUID!, $user: UUID!) {{
  {_PEER_CONVERSATIONS} {{ edges {{ cursor node {{ id: rowId title updatedAt messageCount }} }} {_PAGE} }}
}}""",
    "O2": f"""query ($organization: UUID!, $user: UUID!) {{
  {_PEER_CONVERSATIONS} {{ edges {{ node {{ id: rowId title updatedAt messageCount
    {_MESSAGES}(first: 20, orderBy: [CREATED_AT_ASC, ROW_ID_ASC]) {{
      edges {{ node {{ id: rowId role content createdAt myFeedback: {_FEEDBACK} {{ rating }} }} }}
    }}
  }} }} }}
}}""",
    "O3": f"""query ($organization: UUID!, $id: UUID!) {{
  node: aiConversationBy{_PEER_OF}RowId(organizationId: $organization, rowId: $id) {{ id: rowId title updatedAt messageCount
    {_MESSAGES}(last: 50, orderBy: [CREATED_AT_ASC, ROW_ID_ASC]) {{
      edges {{ cursor node {{ id: rowId role content createdAt sources myFeedback: {_FEEDBACK} {{ rating text: feedbackText }} }} }} {_PAGE}
    }}
  }}
}}""",
    "O4": f"""query ($severities: [String]!) {{
  insights: peerOpenInsights(severities: $severities, first: 20, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) {{
    totalCount
    edges {{ cursor node {{
      id: rowId severity type: insightType title createdAt project: projectBy{_PEER_OF}ProjectId {{ name }}
    }} }} {_PAGE}
  }}
  facets: peerOpenInsightFacets(severities: $severities) {{ nodes {{ dimension value count }} }}
}}""",
    "O5": f"""query ($organization: UUID!) {{
  toolCalls: allToolCalls(first: 100, orderBy: [TIMESTAMP_DESC, ROW_ID_DESC], condition: {{organizationId: $organization}}) {{
    edges {{ cursor node {{
      id: rowId toolName timestamp aiConfidence user: userBy{_PEER_OF}UserId {{ id: rowId displayName }}
      outcome: toolCallOutcomeBy{_PEER_OF}ToolCallIdAndUserIdAndCreatedAt {{ status completedAt }}
    }} }} {_PAGE}
  }}
}}""",
    "O6": f"""query ($organization: UUID!, $user: UUID!) {{
  user: userBy{_PEER_OF}RowId(organizationId: $organization, rowId: $user) {{ id: rowId displayName role }}
  organization: organizationByRowId(rowId: $organization) {{ id: rowId name timezone }}
  aiSettings: userAiSettingBy{_PEER_OF}UserId(organizationId: $organization, userId: $user) {{ tier preferredProvider }}
  budgets: peerMyBudgets {{ nodes {{ metric window: budgetWindow limit: limitValue used reserved }} }}
}}""",
    "O7": """mutation ($message: UUID!, $rating: Int!, $text: String) {
  peerSubmitFeedback(input: {message: $message, rating: $rating, text: $text}) { feedback: result { id: rowId rating text: feedbackText } }
}""",
    "O8": """query ($since: Datetime!, $until: Datetime!) {
  peerAiMetrics(since: $since, until: $until) {
    nodes { bucket model count errors tokens costMicroUsd latencyP50Ms latencyP95Ms latencyP99Ms }
  }
}""",
}


@dataclass(frozen=True)
class Operation:
    """What is asked, as whom, and with which variables by side; several sets of variables are sent in turn.

    A slow one has fewer connections and longer cells.
    """

    name: str
    title: str
    person: Person
    variables: Mapping[str, list[dict[str, Any]]]
    connections: int | None = None
    times_longer: int = 1

    def path(self, side: str) -> str:
        """Where a side takes it."""
        return f"/{side.removeprefix('handwritten-')}/{self.name}" if side in {ROWS, SQL} else "/graphql"

    def bodies(self, side: str) -> list[bytes]:
        """The JSON bodies to send in turn."""
        if side in {ROWS, SQL}:
            return [orjson.dumps(each) for each in self.variables["plain"]]
        document = (PEER_DOCUMENTS if side == PEER else DOCUMENTS)[self.name]
        return [
            orjson.dumps({"query": document, "variables": each})
            for each in self.variables["peer" if side == PEER else "graphql"]
        ]

    def headers(self, side: str) -> dict[str, str]:
        """A real token; the peer is told who it is."""
        person, common = self.person, {"Content-Type": "application/json", "Accept": "application/json"}
        if side == PEER:
            return common | {"X-Role": person.role, "X-Organization": person.organization_id, "X-User": person.id}
        return common | {"Authorization": f"Bearer {person.token}"}


def operations_of(world: World) -> list[Operation]:
    """O1 to O8 over one world."""
    member, auditor, admin = world.member, world.auditor, world.admin
    where = {"organization": member.organization_id, "user": member.id}
    severities = ["WARNING", "CRITICAL"]
    since, until = world.since, world.until
    return [
        Operation("O1", "page of 20 conversations, cursors, pageInfo", member, _same(peer=where)),
        Operation("O2", "20 conversations × 20 messages × feedback", member, _same(peer=where)),
        Operation(
            "O3",
            "one conversation, last 50 messages, sources, my feedback",
            member,
            {
                "graphql": [{"id": world.global_id("Conversation", world.conversation)}],
                "peer": [{"organization": member.organization_id, "id": world.conversation}],
                "plain": [{"id": world.conversation}],
            },
        ),
        Operation(
            "O4",
            "insight badge: filtered page + facets + total",
            member,
            {"graphql": [{}], "peer": [{"severities": severities}], "plain": [{"severities": severities}]},
        ),
        Operation(
            "O5",
            "auditor's page of 100 tool calls with users and outcomes",
            auditor,
            _same(peer={"organization": auditor.organization_id}),
        ),
        Operation("O6", "viewer + settings + budgets (small query)", member, _same(peer=where)),
        Operation("O7", "submitFeedback (write; all but the peer's are audited)", member, _feedback(world)),
        Operation(
            "O8",
            f"metrics by model and day over {world.interactions:,} interactions",
            admin,
            {
                "graphql": [{"range": {"from": since, "to": until}}],
                "peer": [{"since": since, "until": until}],
                "plain": [{"since": since, "until": until}],
            },
            connections=2,
            times_longer=4,
        ),
    ]


def _same(*, peer: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {"graphql": [{}], "peer": [peer], "plain": [{}]}


def _feedback(world: World) -> dict[str, list[dict[str, Any]]]:
    """Up and down in turn, on many messages: connections meet on the organization's chain and not on one row."""
    given = [(each, number % 2 == 0, f"because {number}") for number, each in enumerate(world.answers)]
    return {
        "graphql": [
            {"input": {"messageId": world.global_id("Message", each), "thumb": "UP" if up else "DOWN", "text": text}}
            for each, up, text in given
        ],
        "peer": [{"message": each, "rating": 5 if up else 1, "text": text} for each, up, text in given],
        "plain": [{"message": each, "rating": 5 if up else 1, "text": text} for each, up, text in given],
    }
