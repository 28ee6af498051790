"""Who and what has a fixed id: organizations, people, projects, categories and tools of the demo world.

Ids have version 4's form and read `<kind>-<organization>-4000-8000-<number>`; D4's three learners keep theirs.
"""

from dataclasses import dataclass
from typing import Final

ISSUER: Final = "minutebook"
EMBEDDING_MODEL: Final = "all-MiniLM-L6-v2"


def fixed_id(kind: int, organization: int, number: int) -> str:
    """A readable id that never changes: kinds are 1 organization, 2 person, 3 project, 4 category, 5 tool, 6 document, 7 product content."""
    return f"{kind:08x}-{organization:04x}-4000-8000-{number:012x}"


@dataclass(frozen=True)
class Person:
    """Somebody who signs in with `slug` as the token's subject."""

    id: str
    slug: str
    name: str
    role: str
    tier: str | None = None
    provider: str = "OPENAI"
    is_chatting: bool = True
    requests_today: int | None = None
    requests_month: int | None = None


@dataclass(frozen=True)
class Organization:
    """One tenant of the demo with everything that has a fixed id."""

    number: int
    slug: str
    name: str
    kind: str
    timezone: str
    people: tuple[Person, ...]
    project_names: tuple[str, ...] = ()
    category_names: tuple[str, ...] = ()
    conversations: int = 0
    token_limit: int = 100_000

    @property
    def id(self) -> str:
        """The organization's fixed id."""
        return fixed_id(1, self.number, 1)

    @property
    def projects(self) -> dict[str, str]:
        """Project names by id."""
        return {fixed_id(3, self.number, n): name for n, name in enumerate(self.project_names, 1)}

    @property
    def categories(self) -> dict[str, str]:
        """Budget category names by id."""
        return {fixed_id(4, self.number, n): name for n, name in enumerate(self.category_names, 1)}

    @property
    def tools(self) -> dict[str, str]:
        """Tool names by id."""
        return {fixed_id(5, self.number, n): name for n, name in enumerate(TOOLS, 1)}

    def person(self, slug: str) -> Person:
        """The person of that slug; StopIteration for a stranger."""
        return next(person for person in self.people if person.slug == slug)


TOOLS: Final = {
    "add_task": "Adds a task with a title, and optionally a due date, a priority and a list.",
    "list_tasks": "Lists tasks, filtered by status, list or due date.",
    "update_task": "Changes a task's title, due date, priority or list.",
    "complete_task": "Marks a task as done.",
    "delete_task": "Removes a task for good.",
}


def _people(organization: int, *people: Person) -> tuple[Person, ...]:
    return tuple(
        person if person.id else Person(**{**person.__dict__, "id": fixed_id(2, organization, number)})
        for number, person in enumerate(people, 1)
    )


NORTHWIND: Final = Organization(
    number=1,
    slug="northwind",
    name="Northwind Builders",
    kind="BUILDER",
    timezone="America/Chicago",
    people=_people(
        1,
        Person("", "alice", "Alice Moreno", "MEMBER", "PREMIUM", "ANTHROPIC"),
        Person("", "bob", "Bob Kowalski", "MEMBER"),
        Person("", "carol", "Carol Okafor", "ADMIN", "PREMIUM"),
        Person("", "dave", "Dave Lindqvist", "AUDITOR", is_chatting=False),
        Person("", "olga", "Olga Petrenko", "OBSERVER", is_chatting=False),
    ),
    project_names=(
        "Maple Street Renovation",
        "Harbor View Duplex",
        "Lakeside Kitchen and Bath",
        "Oak Ridge Custom Home",
        "Prairie Avenue Townhomes",
        "Union Mill Loft Conversion",
        "St. Anne Parish Hall Addition",
        "Birchwood Garden Cottage",
    ),
    category_names=(
        "Lumber and framing",
        "Concrete and foundations",
        "Electrical",
        "Plumbing",
        "HVAC",
        "Roofing",
        "Windows and doors",
        "Drywall and plaster",
        "Cabinets and countertops",
        "Flooring and tile",
        "Paint and finishes",
        "Permits and fees",
    ),
    conversations=930,
    token_limit=3_000_000,
)

VROMM: Final = Organization(
    number=2,
    slug="vromm",
    name="Vromm Körskola",
    kind="TEAM",
    timezone="Europe/Stockholm",
    people=_people(
        2,
        Person(
            "00000000-0000-0000-0000-000000000001",
            "erik",
            "Erik Sandberg",
            "MEMBER",
            "FREE",
            "OPENAI",
            requests_today=5,
            requests_month=120,
        ),
        Person(
            "00000000-0000-0000-0000-000000000002",
            "freja",
            "Freja Nyström",
            "MEMBER",
            "BYOK",
            "ANTHROPIC",
            requests_today=50,
            requests_month=1200,
        ),
        Person(
            "00000000-0000-0000-0000-000000000003",
            "gustav",
            "Gustav Åkesson",
            "MEMBER",
            "PREMIUM",
            "GOOGLE",
            requests_today=30,
            requests_month=850,
        ),
        Person("", "hanna", "Hanna Bergqvist", "ADMIN", "PREMIUM", "OPENAI"),
    ),
    project_names=("B licence 2025", "Risk education", "Winter driving weeks"),
    category_names=("Lessons", "Theory", "Vehicles", "Facilities"),
    conversations=620,
    token_limit=5_000_000,
)

TASKLINE: Final = Organization(
    number=3,
    slug="taskline",
    name="Taskline",
    kind="TEAM",
    timezone="UTC",
    people=_people(
        3,
        Person("", "ines", "Inês Carvalho", "MEMBER", "PREMIUM", "OPENAI"),
        Person("", "jon", "Jon Whitfield", "ADMIN", "BYOK", "GOOGLE"),
        Person("", "vera", "Vera Novak", "AUDITOR", is_chatting=False),
    ),
    project_names=("Spring release", "Customer onboarding", "Office move", "Website refresh"),
    category_names=("Cloud", "Contractors", "Travel", "Events"),
    conversations=480,
    token_limit=2_000_000,
)

PIA: Final = Organization(
    number=4,
    slug="pia",
    name="Pia's notebook",
    kind="PERSONAL",
    timezone="Europe/Berlin",
    people=_people(4, Person("", "pia", "Pia Hartmann", "ADMIN", "FREE", "OPENAI")),
    project_names=("Balcony garden", "Moving to Leipzig"),
    category_names=("Household", "Travel"),
    conversations=110,
)

ORGANIZATIONS: Final = (NORTHWIND, VROMM, TASKLINE, PIA)
