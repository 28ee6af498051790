"""The tables as classes, one file per entity. At run time only their metadata is used: no ORM session is ever opened."""

from db.base import Base, table
from db.models.ai_settings import AiSettings, ProviderKey
from db.models.audit_event import AuditCheckpoint, AuditEvent, AuditHead, AuditPayload
from db.models.cache import CacheEntry, CacheStats
from db.models.category import Category
from db.models.content_search import ContentSearch
from db.models.conversation import Conversation
from db.models.document import Document, DocumentChunk
from db.models.feedback import Feedback
from db.models.idempotency import IdempotencyKey
from db.models.insight import Insight
from db.models.interaction import AiInteraction, AiInteractionPayload
from db.models.message import Message
from db.models.organization import Organization
from db.models.pattern import Pattern
from db.models.project import Project
from db.models.tool_call import Tool, ToolCall, ToolCallOutcome, ToolCallPayload
from db.models.usage import UsageBudget, UsageLedger, UsageLog, UsageReservation
from db.models.user import Identity, User

metadata = Base.metadata

__all__ = [
    "AiInteraction",
    "AiInteractionPayload",
    "AiSettings",
    "AuditCheckpoint",
    "AuditEvent",
    "AuditHead",
    "AuditPayload",
    "Base",
    "CacheEntry",
    "CacheStats",
    "Category",
    "ContentSearch",
    "Conversation",
    "Document",
    "DocumentChunk",
    "Feedback",
    "IdempotencyKey",
    "Identity",
    "Insight",
    "Message",
    "Organization",
    "Pattern",
    "Project",
    "ProviderKey",
    "Tool",
    "ToolCall",
    "ToolCallOutcome",
    "ToolCallPayload",
    "UsageBudget",
    "UsageLedger",
    "UsageLog",
    "UsageReservation",
    "User",
    "metadata",
    "table",
]
