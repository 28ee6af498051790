"""The catalogue lint: what every table, key, role, grant, policy and function of a migrated database must be like.

The design's rules as queries, so that a later migration cannot break one unseen. What no catalogue can tell is left to
review: SKIP LOCKED across organizations, DETACH … CONCURRENTLY, how a migration brackets a step that must see rows.
"""

from typing import Final, NamedTuple

from db.lint import functions, keys, matrix, partitions, policies, roles
from db.lint.rule import Connection, Rule

RULES: Final[tuple[Rule, ...]] = (
    *keys.RULES,
    *partitions.RULES,
    *roles.RULES,
    *policies.RULES,
    *functions.RULES,
    *matrix.RULES,
)


class Violation(NamedTuple):
    """One object that breaks one rule."""

    rule: str
    object: str
    detail: str


async def lint(connection: Connection) -> list[Violation]:
    """Everything that breaks a rule, in the order of the rules. Changes nothing.

    The connection is the operator's or a superuser's: whether foreign keys hold can only be told from the rows.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        # Expressions are printed with every name qualified, bounds of partitions in one zone.
        await connection.execute("SET LOCAL search_path = ''; SET LOCAL timezone = 'UTC'")
        return [
            Violation(rule.name, name, detail) for rule in RULES for name, detail in sorted(await rule.ask(connection))
        ]
    finally:
        await transaction.rollback()


__all__ = ["RULES", "Violation", "lint"]
