"""Column types and stored vocabularies. An enum-like column is text + CHECK: enum operators are not LEAKPROOF.

A uuid is canonical text, jsonb is JSON text: statements run on asyncpg, so no processor of SQLAlchemy ever does. The
types are here for the casts that they make the compiler write.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

from sqlalchemy import TIMESTAMP, BigInteger, Boolean, Date, Double, Integer, SmallInteger, Text, Uuid, text
from sqlalchemy.dialects.postgresql import BYTEA, INET, JSONB, TSVECTOR
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import UserDefinedType

UUID: Final = Uuid(as_uuid=False)
TIMESTAMPTZ: Final = TIMESTAMP(timezone=True)

# Models whose vectors have an HNSW index, with their dimension; any other is searched exactly.
EMBEDDING_MODELS: Final = {"all-MiniLM-L6-v2": 384, "text-embedding-ada-002": 1536}


class Vector(UserDefinedType[str]):
    """pgvector's `vector` without a dimension, as text: `[0.1,0.2]`. Operators and casts are written out in SQL."""

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_: Any) -> str:
        return "ext.vector"


class Inet(INET):
    """INET with its cast: without one an INSERT … SELECT takes the bind for text."""

    render_bind_cast = True


# ── columns ───────────────────────────────────────────────────────────────────────────────────────────────────────
TYPE_OF: Final = {
    str: Text(),
    int: BigInteger(),
    bool: Boolean(),
    float: Double(),
    bytes: BYTEA(),
    date: Date(),
    datetime: TIMESTAMPTZ,
}

Uid = Annotated[str, mapped_column(UUID)]
# Part of the primary key, whose columns stand in the order of the class.
KeyUid = Annotated[str, mapped_column(UUID, primary_key=True)]
RowId = Annotated[str, mapped_column(UUID, primary_key=True, server_default=text("app.uuidv7()"))]
Small = Annotated[int, mapped_column(SmallInteger)]
Int = Annotated[int, mapped_column(Integer)]
Count = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]
MicroUsd = Annotated[int, mapped_column(BigInteger)]
MicroUsdTotal = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]
No = Annotated[bool, mapped_column(Boolean, server_default=text("false"))]
Yes = Annotated[bool, mapped_column(Boolean, server_default=text("true"))]
Json = Annotated[str, mapped_column(JSONB)]
Embedding = Annotated[str, mapped_column(Vector)]
SearchVector = Annotated[str, mapped_column(TSVECTOR)]
IpAddress = Annotated[str, mapped_column(Inet)]
# clock_timestamp() and not now(): rows of one transaction keep their order.
Stamp = Annotated[datetime, mapped_column(TIMESTAMPTZ, server_default=text("clock_timestamp()"))]
PartitionStamp = Annotated[
    datetime, mapped_column(TIMESTAMPTZ, primary_key=True, server_default=text("clock_timestamp()"))
]


# ── vocabularies: the wire's names, upper-case, in the wire's order ───────────────────────────────────────────────
class OrganizationKind(StrEnum):
    BUILDER = "BUILDER"
    TEAM = "TEAM"
    PERSONAL = "PERSONAL"


class UserRole(StrEnum):
    """What a person is; stored in `users`."""

    MEMBER = "MEMBER"
    OBSERVER = "OBSERVER"
    ADMIN = "ADMIN"
    AUDITOR = "AUDITOR"


class Role(StrEnum):
    """What a caller is: a person's role, or the product's AI backend."""

    MEMBER = "MEMBER"
    OBSERVER = "OBSERVER"
    ADMIN = "ADMIN"
    AUDITOR = "AUDITOR"
    SERVICE = "SERVICE"


class ActorRole(StrEnum):
    """Who acted, in the audit log: a caller, or the operator on the command line."""

    MEMBER = "MEMBER"
    OBSERVER = "OBSERVER"
    ADMIN = "ADMIN"
    AUDITOR = "AUDITOR"
    SERVICE = "SERVICE"
    OPERATOR = "OPERATOR"


class MessageRole(StrEnum):
    USER = "USER"
    ASSISTANT = "ASSISTANT"
    SYSTEM = "SYSTEM"
    TOOL = "TOOL"


class QueryType(StrEnum):
    SPENDING = "SPENDING"
    SCHEDULE = "SCHEDULE"
    BUDGET = "BUDGET"
    COMPARISON = "COMPARISON"
    TREND = "TREND"
    DOCUMENT = "DOCUMENT"
    OPEN_ENDED = "OPEN_ENDED"


class InsightType(StrEnum):
    COST_PATTERN = "COST_PATTERN"
    SCHEDULE_RISK = "SCHEDULE_RISK"
    EFFICIENCY = "EFFICIENCY"
    ANOMALY = "ANOMALY"
    RECOMMENDATION = "RECOMMENDATION"


class Severity(StrEnum):
    """In ascending order: `severity_rank` is the place, from 1."""

    INFO = "INFO"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"


class PatternType(StrEnum):
    CATEGORY_COST_BASELINE = "CATEGORY_COST_BASELINE"
    PHASE_DURATION_BASELINE = "PHASE_DURATION_BASELINE"
    COST_PER_UNIT_BASELINE = "COST_PER_UNIT_BASELINE"


class Tier(StrEnum):
    FREE = "FREE"
    BYOK = "BYOK"
    PREMIUM = "PREMIUM"


class Provider(StrEnum):
    OPENAI = "OPENAI"
    ANTHROPIC = "ANTHROPIC"
    GOOGLE = "GOOGLE"
    OTHER = "OTHER"


class BudgetMetric(StrEnum):
    TOKENS = "TOKENS"
    REQUESTS = "REQUESTS"
    COST = "COST"


class BudgetWindow(StrEnum):
    DAY = "DAY"
    MONTH = "MONTH"


class SubjectType(StrEnum):
    """Whose budget it is."""

    ORGANIZATION = "ORGANIZATION"
    USER = "USER"


class LedgerKind(StrEnum):
    """A movement of a budget; `used` is the sum of the SETTLE amounts of its window."""

    RESERVE = "RESERVE"
    SETTLE = "SETTLE"
    RELEASE = "RELEASE"
    EXPIRE = "EXPIRE"


class ReservationState(StrEnum):
    HELD = "HELD"
    SETTLED = "SETTLED"
    RELEASED = "RELEASED"
    EXPIRED = "EXPIRED"


class InteractionStatus(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class OutcomeStatus(StrEnum):
    """How a tool call ended. The wire's PENDING is a call without an outcome."""

    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


class PayloadPart(StrEnum):
    """Which half of a tool call a payload holds: its parameters, or its result and error."""

    CALL = "CALL"
    OUTCOME = "OUTCOME"


class ContentType(StrEnum):
    DOCUMENT = "DOCUMENT"
    ROUTE = "ROUTE"
    LEARNING_PATH = "LEARNING_PATH"
    EXERCISE = "EXERCISE"
    SCHOOL = "SCHOOL"
    EVENT = "EVENT"
    INSTRUCTOR = "INSTRUCTOR"
