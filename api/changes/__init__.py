"""What people change: one file per entity, the same stems as `api/entities`: inputs, payloads, its part of Mutation."""

from api.changes import (
    ai_settings,
    budget,
    content_search,
    conversation,
    feedback,
    insight,
    organization,
    project,
    provider_key,
    tool,
)

__all__ = [
    "ai_settings",
    "budget",
    "content_search",
    "conversation",
    "feedback",
    "insight",
    "organization",
    "project",
    "provider_key",
    "tool",
]
