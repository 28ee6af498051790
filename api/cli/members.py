"""Organizations and people: what only an operator may create. Each change appends its audit event in its transaction."""

import re
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

import orjson
import rich_click as click

from api.cli.connections import connected, opened, run_async
from api.settings import Settings, load

if TYPE_CHECKING:
    import asyncpg

KINDS: Final = ("BUILDER", "TEAM", "PERSONAL")
ROLES: Final = ("MEMBER", "OBSERVER", "ADMIN", "AUDITOR")

_SLUG: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")


@click.group()
def organization() -> None:
    """Create organizations."""


@organization.command("create")
@click.argument("slug")
@click.option("--name", required=True, help="The name people read.")
@click.option("--kind", type=click.Choice(KINDS, case_sensitive=False), default="TEAM", show_default=True)
@click.option("--timezone", default="UTC", show_default=True, help="IANA name; decides when its day begins.")
def create(slug: str, name: str, kind: str, timezone: str) -> None:
    """Create an organization and print its id."""
    if not _SLUG.match(slug):
        raise click.BadParameter("a slug is 1 to 63 small letters, digits and inner hyphens", param_hint="SLUG")
    if timezone not in available_timezones():
        raise click.BadParameter(f"{timezone!r} is no IANA time zone", param_hint="--timezone")
    with opened(load()) as database:
        click.echo(run_async(_create(database.url("operator"), slug, name, kind, timezone)))


async def _create(url: str, slug: str, name: str, kind: str, timezone: str) -> str:
    import asyncpg

    async with connected(url) as connection, connection.transaction():
        try:
            created: str = await connection.fetchval(
                "INSERT INTO app.organizations (slug, name, kind, timezone) VALUES ($1, $2, $3, $4) RETURNING id",
                slug, name, kind, timezone,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise click.ClickException(f"organization {slug} exists already") from None
        await _record(connection, created, "organization.created", "Organization", created, {"kind": kind})
    return created


@click.group()
def member() -> None:
    """Add people to an organization, change their role, take their access away."""


_organization = click.argument("organization", metavar="ORGANIZATION")
_subject = click.option("--subject", help="The token's subject that signs this person in.")
_email = click.option("--email", help="The same, where the issuer's subject claim is an e-mail address.")
_issuer = click.option("--issuer", help="The token's issuer; default JWT_ISSUER, or the demo's.")


@member.command()
@_organization
@_subject
@_email
@_issuer
@click.option("--role", type=click.Choice(ROLES, case_sensitive=False), help="Default MEMBER; ADMIN of a PERSONAL one.")
@click.option("--name", help="The name people read.")
def add(
    organization: str, subject: str | None, email: str | None, issuer: str | None, role: str | None, name: str | None
) -> None:
    """Add a person, or update the role and name of one who is there; print the user's id."""
    settings = load()
    identity = _identity(settings, subject, email, issuer)
    with opened(settings) as database:
        click.echo(run_async(_add(database.url("operator"), organization, identity, role, name)))


async def _add(url: str, organization: str, identity: tuple[str, str], role: str | None, name: str | None) -> str:
    async with connected(url) as connection, connection.transaction():
        home = await _find_organization(connection, organization)
        # One writer per identity: two adds at once would make two people, of whom one could never sign in.
        await connection.execute("SELECT FROM app.organizations WHERE id = $1 FOR UPDATE", home["id"])
        user_id = await _find_user(connection, home["id"], identity)
        if user_id is not None:
            return await _change(connection, home["id"], user_id, role, name)
        chosen = role or ("ADMIN" if home["kind"] == "PERSONAL" else "MEMBER")
        if home["kind"] == "PERSONAL":
            await _refuse_second(connection, home["id"])
        created: str = await connection.fetchval(
            "INSERT INTO app.users (organization_id, display_name, role) VALUES ($1, $2, $3) RETURNING id",
            home["id"], name, chosen,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO app.identities (organization_id, issuer, subject, user_id) VALUES ($1, $2, $3, $4)",
            home["id"], *identity, created,
        )  # fmt: skip
        await _record(connection, home["id"], "user.created", "User", created, {"role": chosen})
    return created


async def _change(
    connection: "asyncpg.Connection[Any]", organization_id: str, user_id: str, role: str | None, name: str | None
) -> str:
    before = await connection.fetchrow(
        "SELECT role, display_name FROM app.users WHERE organization_id = $1 AND id = $2 FOR UPDATE",
        organization_id, user_id,
    )  # fmt: skip
    changed = {
        column: value
        for column, value in (("role", role), ("display_name", name))
        if value is not None and before is not None and before[column] != value
    }
    if before is None or not changed:
        return user_id
    await connection.execute(
        "UPDATE app.users SET role = $3, display_name = $4, epoch = epoch + 1 WHERE organization_id = $1 AND id = $2",
        organization_id, user_id, changed.get("role", before["role"]), changed.get("display_name", before["display_name"]),
    )  # fmt: skip
    details: dict[str, Any] = {"changed": sorted(changed)}
    if "role" in changed:
        details |= {"old": {"role": before["role"]}, "new": {"role": role}}
    await _record(connection, organization_id, "user.updated", "User", user_id, details)
    return user_id


@member.command("role")
@_organization
@_subject
@_email
@_issuer
@click.argument("role", metavar="ROLE", type=click.Choice(ROLES, case_sensitive=False))
def set_role(organization: str, subject: str | None, email: str | None, issuer: str | None, role: str) -> None:
    """Change a person's role; it counts within five seconds."""
    settings = load()
    identity = _identity(settings, subject, email, issuer)
    with opened(settings) as database:
        run_async(_set_role(database.url("operator"), organization, identity, role))


async def _set_role(url: str, organization: str, identity: tuple[str, str], role: str) -> None:
    async with connected(url) as connection, connection.transaction():
        home = await _find_organization(connection, organization)
        user_id = await _known_user(connection, home, identity)
        await _change(connection, home["id"], user_id, role, None)


@member.command()
@_organization
@_subject
@_email
@_issuer
def remove(organization: str, subject: str | None, email: str | None, issuer: str | None) -> None:
    """Take a person's access away. What the person wrote, and the record of it, stays."""
    settings = load()
    identity = _identity(settings, subject, email, issuer)
    with opened(settings) as database:
        run_async(_remove(database.url("operator"), organization, identity))


async def _remove(url: str, organization: str, identity: tuple[str, str]) -> None:
    async with connected(url) as connection, connection.transaction():
        home = await _find_organization(connection, organization)
        user_id = await _known_user(connection, home, identity)
        await connection.execute(
            "DELETE FROM app.identities WHERE organization_id = $1 AND user_id = $2", home["id"], user_id
        )
        await connection.execute(
            "UPDATE app.users SET epoch = epoch + 1 WHERE organization_id = $1 AND id = $2", home["id"], user_id
        )
        await _record(connection, home["id"], "user.removed", "User", user_id, {})


def _identity(settings: Settings, subject: str | None, email: str | None, issuer: str | None) -> tuple[str, str]:
    if (subject is None) == (email is None):
        raise click.UsageError("name the person by --subject or by --email, one of them")
    who = issuer or settings.auth.issuer
    if not who:
        from db.seed.world import ISSUER

        who = ISSUER
    return who, str(subject or email)


async def _find_organization(connection: "asyncpg.Connection[Any]", organization: str) -> Mapping[str, Any]:
    try:
        wanted = str(uuid.UUID(organization))
    except ValueError:
        wanted = None
    row = await connection.fetchrow(
        "SELECT id, kind FROM app.organizations WHERE slug = $1 OR id = $2::uuid", organization, wanted
    )
    if row is None:
        raise click.BadParameter(f"there is no organization {organization!r}", param_hint="ORGANIZATION")
    return dict(row)


async def _find_user(
    connection: "asyncpg.Connection[Any]", organization_id: str, identity: tuple[str, str]
) -> str | None:
    found: str | None = await connection.fetchval(
        "SELECT user_id FROM app.identities WHERE organization_id = $1 AND issuer = $2 AND subject = $3",
        organization_id, *identity,
    )  # fmt: skip
    return found


async def _known_user(connection: "asyncpg.Connection[Any]", home: Mapping[str, Any], identity: tuple[str, str]) -> str:
    user_id = await _find_user(connection, home["id"], identity)
    if user_id is None:
        raise click.UsageError(f"nobody there has the subject {identity[1]!r} of issuer {identity[0]!r}")
    return user_id


async def _refuse_second(connection: "asyncpg.Connection[Any]", organization_id: str) -> None:
    if await connection.fetchval("SELECT EXISTS (SELECT FROM app.users WHERE organization_id = $1)", organization_id):
        raise click.UsageError("a PERSONAL organization has one person")


async def _record(
    connection: "asyncpg.Connection[Any]",
    organization_id: str,
    action: str,
    target_type: str,
    target_id: str,
    details: dict[str, Any],
) -> None:
    """The audit event, last in the transaction: the head of the organization's chain is locked for this call alone."""
    from db.actor import operator_context_sql

    event = {
        "action": action,
        "actor_role": "OPERATOR",
        "target_type": target_type,
        "target_id": target_id,
        "details": details,
    }
    await connection.execute(operator_context_sql(organization_id))
    await connection.fetch("SELECT seq FROM app.audit_append($1::jsonb)", orjson.dumps([event]).decode())
