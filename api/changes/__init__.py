"""What people change: one file per entity, the same stems as `api/entities`: inputs, payloads, its part of Mutation."""

from api.changes import conversation

__all__ = ["conversation"]
