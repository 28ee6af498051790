"""Who may change what by which mutation, written by hand from domain.md §6: the oracle of test_matrix.py.

Nothing here is derived from db/policies.py. A row is somebody's own, a colleague's, of another organization, or invented.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from api.node import global_id, parse_id
from db.types import Role
from tests.security.people import AT, NEVER_ISSUED, NORTH, SOUTH, Principal, timed, uid, user_id

Input: TypeAlias = dict[str, Any]
DONE: Final = "DONE"


class Side(StrEnum):
    OWN = "own"
    COLLEAGUE = "a colleague's"
    FOREIGN = "another organization's"
    INVENTED = "nobody's"


OWN, COLLEAGUE, FOREIGN, INVENTED = Side
OURS: Final = frozenset({OWN, COLLEAGUE})
Target: TypeAlias = Callable[[str, str], str]
"""The global id of the row of (an organization's slug, a person's name)."""


@dataclass(frozen=True)
class Case:
    """One mutation: what to ask for, and which roles may do it to whose row.

    `target` is None where the input names no row: the caller can only mean its own. `sees` are the rows that a role with
    the right sees beyond those it may change (FORBIDDEN there, not NOT_FOUND); a role without any such right is FORBIDDEN
    whatever it names. `before` puts everybody's rows into the state that the change starts from, `path` is where
    NOT_FOUND points.
    """

    given: Callable[[Principal, str], Input]
    may: Mapping[Role, frozenset[Side]]
    target: Target | None = None
    path: tuple[str, ...] = ()
    sees: Mapping[Role, frozenset[Side]] = field(default_factory=dict)
    before: str = ""
    is_shared: bool = False
    """Whether the row is the organization's, so that there is no colleague's."""

    def sides(self, who: Principal) -> list[Side]:
        """The sides that this caller can ask for: a service owns nothing but what is the organization's."""
        if self.target is None:
            return [OWN]
        left_out = COLLEAGUE if self.is_shared else OWN if who.user_id is None else None
        return [side for side in Side if side is not left_out]

    def row(self, who: Principal, side: Side) -> str:
        """The global id of the row on that side of the caller; '' where none is named."""
        if self.target is None:
            return ""
        here, there = who.slug, SOUTH if who.slug == NORTH else NORTH
        mine = who.name if who.user_id is not None else "ana"
        if side is INVENTED:
            return invented_like(self.target(here, mine))
        return self.target(*{OWN: (here, mine), COLLEAGUE: (here, "ben"), FOREIGN: (there, mine)}[side])

    def due(self, who: Principal, side: Side) -> str:
        """DONE, or the code of the refusal."""
        sides = self.may.get(who.role)
        if sides is None:
            return "FORBIDDEN"
        if side in sides:
            return DONE
        return "FORBIDDEN" if side in self.sees.get(who.role, frozenset()) else "NOT_FOUND"


def invented_like(row: str) -> str:
    """An id of the same type as this one, that was never issued."""
    return global_id(parse_id(row, "row")[0], NEVER_ISSUED)


def of(type_name: str, *names: str) -> Target:
    """A row of a person's: the last names of its id in the world."""
    return lambda slug, person: global_id(type_name, uid(slug, names[0], person, *names[1:]))


def shared(type_name: str, *names: str) -> Target:
    """A row of the organization as a whole."""
    return lambda slug, _person: global_id(type_name, uid(slug, *names))


def user(slug: str, person: str) -> str:
    return global_id("User", user_id(slug, person))


def search(slug: str, person: str) -> str:
    return global_id("ContentSearch", timed(AT, slug, "search", person, "open"))


def by_id(_who: Principal, row: str) -> Input:
    return {"id": row}


def by_ids(_who: Principal, row: str) -> Input:
    return {"ids": [row]}


MEMBER, ADMIN, SERVICE = Role.MEMBER, Role.ADMIN, Role.SERVICE
PERSONS_OWN: Final = {MEMBER: frozenset({OWN}), ADMIN: frozenset({OWN})}  # an admin is a member too
EVERYBODYS: Final = {MEMBER: OURS, ADMIN: OURS}
ADMINS: Final = {ADMIN: OURS}
# A service's scope is the organization.
CONVERSATIONS: Final = {**PERSONS_OWN, SERVICE: OURS}
UNDISMISSED = "UPDATE app.ai_insights SET is_dismissed = false, dismissed_by = NULL, dismissed_at = NULL"
DISMISSED = "UPDATE app.ai_insights SET is_dismissed = true, dismissed_at = created_at"

CASES: Final[dict[str, Case]] = {
    # conversations: own: insert, update; service: update; others' content is private, an admin's eyes included
    "createConversation": Case(
        lambda who, row: {"title": f"About {who.name}", "projectId": row},
        {MEMBER: OURS, ADMIN: OURS},
        shared("Project", "project", "kitchen"),
        ("projectId",),
        is_shared=True,
    ),
    "updateConversation": Case(
        lambda who, row: {"id": row, "title": f"By {who.name}"},
        CONVERSATIONS,
        of("Conversation", "conversation", "live"),
        ("id",),
    ),
    "deleteConversation": Case(by_id, CONVERSATIONS, of("Conversation", "conversation", "live"), ("id",)),
    "restoreConversation": Case(by_id, CONVERSATIONS, of("Conversation", "conversation", "deleted"), ("id",)),
    # messages: own: insert; a service's go in by ingest
    "sendMessage": Case(
        lambda who, row: {"conversationId": row, "content": f"Says {who.name}"},
        PERSONS_OWN,
        of("Conversation", "conversation", "live"),
        ("conversationId",),
    ),
    # feedback: own: insert, update, delete
    "submitFeedback": Case(
        lambda _who, row: {"messageId": row, "thumb": "DOWN"},
        PERSONS_OWN,
        of("Message", "answer", "live"),
        ("messageId",),
    ),
    "withdrawFeedback": Case(
        lambda _who, row: {"messageId": row}, PERSONS_OWN, of("Message", "answer", "live"), ("messageId",)
    ),
    # insights: update(dismissal) by members and admins; the service updates, but not that
    "dismissInsights": Case(
        by_ids,
        EVERYBODYS,
        shared("Insight", "insight", "open"),
        ("ids", "0"),
        before=UNDISMISSED,
        is_shared=True,
    ),
    "restoreInsights": Case(
        by_ids,
        EVERYBODYS,
        shared("Insight", "insight", "open"),
        ("ids", "0"),
        before=DISMISSED,
        is_shared=True,
    ),
    # AI settings: own: insert, update(preferred_provider); the tier is the admin's
    "setPreferredProvider": Case(lambda _who, _row: {"provider": "GOOGLE"}, PERSONS_OWN),
    "setUserTier": Case(lambda _who, row: {"userId": row, "tier": "PREMIUM"}, ADMINS, user, ("userId",)),
    # provider keys: own: insert, update, delete
    "setProviderKey": Case(lambda _who, _row: {"provider": "GOOGLE", "key": "sk-of-the-matrix-0001"}, PERSONS_OWN),
    "removeProviderKey": Case(lambda _who, _row: {"provider": "ANTHROPIC"}, PERSONS_OWN),
    # content searches: own: update(selected_content_id); an admin reads the others'
    "selectSearchResult": Case(
        lambda _who, row: {"searchId": row, "contentId": uid("both", "content", "exam")},
        PERSONS_OWN,
        search,
        ("searchId",),
        sees={ADMIN: frozenset({COLLEAGUE})},
    ),
    # budgets: limit by the admin
    "setBudgetLimit": Case(
        lambda _who, row: {"subjectId": row, "metric": "COST", "window": "DAY", "limit": "7"},
        ADMINS,
        user,
        ("subjectId",),
    ),
    # organizations: admin: update name, timezone; projects: admin and service; tools: admin
    "updateOrganization": Case(lambda _who, _row: {"name": "Renamed", "timezone": "Asia/Tokyo"}, ADMINS),
    "upsertProject": Case(
        lambda who, row: {"id": row, "name": f"By {who.name}"},
        {ADMIN: OURS, SERVICE: OURS},
        shared("Project", "project", "kitchen"),
        ("id",),
        is_shared=True,
    ),
    "upsertTool": Case(lambda who, _row: {"name": f"tool of {who.name}"}, ADMINS),
}
