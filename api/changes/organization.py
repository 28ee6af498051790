"""Changing the organization: its name and its time zone.

A window of a budget only moves forward, so another zone neither gives back what was used in it nor opens it twice.
"""

from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import strawberry
from sqlalchemy import Executable, bindparam, update

from api.change import Change, Done, changed
from api.context import Info
from api.entities import organization
from api.entities.organization import Organization
from api.filters import present
from api.loaders import by_id
from api.payload import MutationPayload, UserErrorCode, refused
from api.permissions import right, takes
from api.rows import allowed, locked, text_of, unchanged_since
from api.scalars import DateTime, clean_text
from db import mirror

T = organization.T
MAX_NAME = 255
MAX_ZONE = 64

EDIT = right(T, "update", columns=("name", "timezone"))


@strawberry.input(description="What to change of the viewer's organization. What is left out stays.")
class UpdateOrganizationInput:
    name: str | None = strawberry.field(default=strawberry.UNSET, description="Its name, at most 255 characters.")
    timezone: str | None = strawberry.field(default=strawberry.UNSET, description="Its time zone, by its IANA name.")
    expected_updated_at: DateTime | None = strawberry.field(
        default=strawberry.UNSET, description="Change it only if it was last changed then; otherwise CONFLICT."
    )


@strawberry.type(
    description="The organization as it is after the change, or as it is instead where there was a CONFLICT."
)
class UpdateOrganizationPayload(MutationPayload):
    done: strawberry.Private[Done]

    @strawberry.field(description="The organization; null when nothing was done.")
    async def organization(self, info: Info) -> Organization | None:
        return await by_id(info.context, organization.SOURCE, self.done.ids.get("organization"))


def _zone_of(value: str | None) -> str:
    """A zone that both Python and, after it, the table's trigger know. Raises RefusedError."""
    if value is not None and len(clean_text(value, "timezone")) <= MAX_ZONE:
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):  # not there, no name at all, a folder of names
            pass
    raise refused(UserErrorCode.INVALID, "timezone", message="This is no IANA time zone.")


def _values_of(given: UpdateOrganizationInput) -> dict[str, str]:
    values = {}
    if given.name is not strawberry.UNSET:
        name = text_of(given.name, "name", most=MAX_NAME)
        if name is None:
            raise refused(UserErrorCode.INVALID, "name", message="An organization has a name.")
        values["name"] = name
    if given.timezone is not strawberry.UNSET:
        values["timezone"] = _zone_of(given.timezone)
    return values


def _update(names: tuple[str, ...], change: Change) -> Executable:
    values = {name: bindparam(f"new_{name}", type_=T.c[name].type) for name in names}
    return update(T).where(mirror.where(change.actor.role, T, "update")).values(values)


async def _change(change: Change, given: UpdateOrganizationInput) -> dict[str, Any]:
    allowed(change, EDIT)
    wanted = _values_of(given)
    database_id = change.actor.organization_id
    row = await locked(change, T, database_id, columns=(T.c.name, T.c.timezone, T.c.updated_at))
    done = {"organization": database_id}
    if not unchanged_since(change, present(given.expected_updated_at), row["updated_at"]):
        return done
    values = {name: value for name, value in wanted.items() if value != row[name]}
    if values:
        names = tuple(sorted(values))
        change.paths["INVALID"] = ("timezone",)
        binds = {f"new_{name}": value for name, value in values.items()}
        await change.session.fetch(("update_organization", names), lambda: _update(names, change), **binds)
        details: dict[str, Any] = {"changed": list(names)}
        if "timezone" in values:
            details |= {"old": {"timezone": row["timezone"]}, "new": {"timezone": values["timezone"]}}
        change.record("organization.updated", "Organization", database_id, **details)
    return done


@strawberry.type
class OrganizationMutation:
    @strawberry.mutation(
        description="Rename the viewer's organization, or move it to another time zone. For admins.",
        metadata=takes(EDIT),
    )
    async def update_organization(
        self,
        info: Info,
        input: Annotated[UpdateOrganizationInput, strawberry.argument(description="What to change.")],
    ) -> UpdateOrganizationPayload:
        done = await changed(info, input, lambda change: _change(change, input))
        return UpdateOrganizationPayload(done=done, user_errors=done.errors)
