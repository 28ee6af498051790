"""Enums on the wire: the stored vocabularies of `db/types.py`, each value described."""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

import strawberry

from db import types

E = TypeVar("E", bound=type[Enum])


def described(description: str, /, name: str | None = None, **values: str) -> Callable[[E], E]:
    """Make an enum a GraphQL enum. A value without a description, or the other way round, is an error at import."""

    def decorate(cls: E) -> E:
        if set(values) != set(cls.__members__):
            raise TypeError(f"{cls.__name__}: describe exactly {', '.join(cls.__members__)}")
        strawberry.enum(cls, name=name, description=description)
        for value in cls.__strawberry_definition__.values:  # type: ignore[attr-defined]
            value.description = values[value.name]
        return cls

    return decorate


@described("The direction of an order.", ASC="Least first.", DESC="Greatest first.")
class SortDirection(Enum):
    ASC = "ASC"
    DESC = "DESC"


ROLES = {
    "MEMBER": "A person who uses the assistant.",
    "OBSERVER": "A person who looks at the organization's shared material alone.",
    "ADMIN": "A member who also runs the organization.",
    "AUDITOR": "A person who checks the logs.",
    "SERVICE": "The product's AI backend.",
}
described("What a caller is inside its organization.", **ROLES)(types.Role)
described("Who acted, as the audit log has it.", **ROLES, OPERATOR="Whoever runs Minutebook, on the command line.")(
    types.ActorRole
)
described(
    "What kind of customer an organization is.",
    BUILDER="A building company.",
    TEAM="A team.",
    PERSONAL="One person alone.",
)(types.OrganizationKind)
described(
    "Who wrote a message.",
    USER="The person.",
    ASSISTANT="The assistant.",
    SYSTEM="Instructions of the product.",
    TOOL="What a tool answered.",
)(types.MessageRole)
described(
    "What a question was about.",
    SPENDING="What was spent.",
    SCHEDULE="Dates and delays.",
    BUDGET="The budget and what is left of it.",
    COMPARISON="One thing against another.",
    TREND="A development over time.",
    DOCUMENT="The content of a document.",
    OPEN_ENDED="Anything else.",
)(types.QueryType)
described(
    "What kind of finding an insight is.",
    COST_PATTERN="A pattern in costs.",
    SCHEDULE_RISK="A threat to the schedule.",
    EFFICIENCY="A way to do more with less.",
    ANOMALY="Something out of the ordinary.",
    RECOMMENDATION="A piece of advice.",
)(types.InsightType)
described(
    "How much an insight matters.",
    INFO="Good to know.",
    WARNING="Should be looked at.",
    CRITICAL="Must be looked at now.",
)(types.Severity)
described(
    "What a learned baseline describes.",
    CATEGORY_COST_BASELINE="What a category costs.",
    PHASE_DURATION_BASELINE="How long a phase takes.",
    COST_PER_UNIT_BASELINE="What a unit costs.",
)(types.PatternType)
described(
    "A person's plan.",
    FREE="10 requests a day.",
    BYOK="Bring your own key: no limit of requests.",
    PREMIUM="100 requests a day.",
)(types.Tier)
described(
    "Who runs the model.",
    OPENAI="OpenAI.",
    ANTHROPIC="Anthropic.",
    GOOGLE="Google.",
    OTHER="Anybody else.",
)(types.Provider)
described(
    "What a budget counts.",
    TOKENS="Tokens, in and out.",
    REQUESTS="Requests to a model.",
    COST="Cost, in micro-dollars.",
)(types.BudgetMetric)
described(
    "How long a budget's window lasts, in the organization's time zone.",
    DAY="From midnight to midnight.",
    MONTH="From the first of a month to the next.",
)(types.BudgetWindow)
described(
    "How a call to a model went.",
    PENDING="Not answered yet.",
    SUCCEEDED="Answered.",
    FAILED="Failed; errorCode says how.",
    CANCELLED="Given up by the caller.",
)(types.InteractionStatus)
described(
    "What a document or a search is about.",
    DOCUMENT="A document of the organization.",
    ROUTE="A driving route.",
    LEARNING_PATH="A learning path.",
    EXERCISE="An exercise.",
    SCHOOL="A driving school.",
    EVENT="An event.",
    INSTRUCTOR="An instructor.",
)(types.ContentType)
