"""The look at a document before graphql-core validates it: memoised, so that its work is bounded by the document's length.

Selection sets are merged as execution merges them and shared between all places that spread the same fragment; what
would be exponential in the answer is a product of small numbers here. Stock limiters walk every spread again.
"""

from api.analysis.walk import OperationAnalysis, analyse

__all__ = ["OperationAnalysis", "analyse"]
