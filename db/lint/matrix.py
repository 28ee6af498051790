"""A rule of the matrix itself: an admin is a member too, and sees the same columns of others' rows as of its own."""

from collections.abc import Mapping
from typing import Final

from db.lint.rule import Connection, Found, Rule
from db.policies import POLICIES
from db.policy import TablePolicy


def unequal(policies: Mapping[str, TablePolicy]) -> list[tuple[str, str]]:
    """Commands of which an admin has other columns than a member: one rule serves both its own rows and others'."""
    found = []
    for name, block in policies.items():
        for command, own in block.rules.get("member", {}).items():
            whole = block.rule("admin", command)
            if whole is None:
                found.append((name, f"an admin may not {command}, a member may"))
            elif own.granted(block.table) != whole.granted(block.table):
                found.append((name, f"{command}: the columns of a member and of an admin differ"))
    return found


async def _ask(_connection: Connection) -> Found:
    return unequal(POLICIES)


RULES: Final = (Rule("admin_has_the_columns_of_a_member", _ask),)
