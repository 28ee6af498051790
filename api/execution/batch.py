"""How a field declares that it resolves all its parents at once, and what graphql-core sees of that."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast, get_args

F = TypeVar("F", bound=Callable[..., Awaitable[list[Any]]])


def batched(function: F) -> F:
    """A resolver of all parents at once, `(parents, …) → list of results in their order`; an exception stands for one.

    Put it on a static method under `strawberry.field`. The engine calls it once per level; for graphql-core it becomes
    a resolver of one parent, so that what it awaits should be a loader.
    """
    together: Callable[..., Awaitable[list[Any]]] = getattr(function, "__func__", function)
    signature = inspect.signature(together)
    _, *parameters = signature.parameters.values()
    (result,) = get_args(signature.return_annotation)

    async def alone(self: Any, **arguments: Any) -> Any:
        (value,) = await together([self], **arguments)
        if isinstance(value, Exception):
            raise value
        return value

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(alone, name, getattr(together, name))
    me = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    alone.__signature__ = inspect.Signature([me, *parameters], return_annotation=result)  # type: ignore[attr-defined]
    alone.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": result}
    alone.together = together  # type: ignore[attr-defined]
    return cast("F", alone)
