# ruff: noqa: TC004 - the names exist at run time too: as lazy references
"""The types of entities by name, for files that refer to each other: real ones for the type checker, lazy ones at run time."""

from typing import TYPE_CHECKING, Annotated

import strawberry

if TYPE_CHECKING:
    from api.entities.ai_settings import AiSettings
    from api.entities.audit_event import AuditEvent
    from api.entities.budget import UsageBudget, UsageSummary
    from api.entities.category import Category
    from api.entities.conversation import Conversation
    from api.entities.document import Document, DocumentChunk
    from api.entities.feedback import Feedback
    from api.entities.insight import InsightConnection
    from api.entities.interaction import AiInteraction
    from api.entities.message import Message
    from api.entities.organization import Organization
    from api.entities.pattern import Pattern
    from api.entities.project import Project
    from api.entities.tool_call import ToolCall
    from api.entities.user import User
else:
    _HOMES = {
        "AiInteraction": "interaction",
        "AiSettings": "ai_settings",
        "AuditEvent": "audit_event",
        "Category": "category",
        "Conversation": "conversation",
        "Document": "document",
        "DocumentChunk": "document",
        "Feedback": "feedback",
        "InsightConnection": "insight",
        "Message": "message",
        "Organization": "organization",
        "Pattern": "pattern",
        "Project": "project",
        "ToolCall": "tool_call",
        "UsageBudget": "budget",
        "UsageSummary": "budget",
        "User": "user",
    }
    for _name, _home in _HOMES.items():
        globals()[_name] = Annotated[_name, strawberry.lazy(f"api.entities.{_home}")]

__all__ = [
    "AiInteraction",
    "AiSettings",
    "AuditEvent",
    "Category",
    "Conversation",
    "Document",
    "DocumentChunk",
    "Feedback",
    "InsightConnection",
    "Message",
    "Organization",
    "Pattern",
    "Project",
    "ToolCall",
    "UsageBudget",
    "UsageSummary",
    "User",
]
