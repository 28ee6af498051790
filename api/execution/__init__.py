"""The breadth-first engine: a field is called once per level, over the column of all its parents.

It runs the same Strawberry schema as graphql-core and gives the same answers; what it does not take goes to graphql-core.
Nothing in here knows an entity. The parts in the order a request meets them: plans, variables (inputs), plan (batch, arguments),
run; then swift (compiled) for the ordinary answer, slots (complete) for every other; both fill columns by errands, and let
through what a resolver gives written.
"""

from api.execution.batch import batched
from api.execution.run import Engine

__all__ = ["Engine", "batched"]
