"""`minutebook token`: a credential to try the API with, printed alone so that a shell can catch it."""

from typing import Final

import rich_click as click

from api.settings import OWN_AUDIENCE, Settings, load

SERVICE: Final = "service"
DAY_S: Final = 86_400


@click.command()
@click.argument("who", metavar="WHO")
@click.option("--organization", help="Slug; required for a service, for a person it picks among several.")
@click.option(
    "--lifetime", type=click.IntRange(60, 30 * DAY_S), default=DAY_S, show_default=True, help="Seconds it is valid."
)
def token(who: str, organization: str | None, lifetime: int) -> None:
    """Print a token for a person of the demo world (alice, erik, vera …) or for a service.

    \b
    minutebook token alice
    minutebook token service --organization northwind
    """
    click.echo(mint_token(load(), who, organization, lifetime))


def mint_token(settings: Settings, who: str, organization: str | None, lifetime: int = DAY_S) -> str:
    """A signed token; UsageError when nobody could use it."""
    if who == SERVICE:
        if not organization:
            raise click.UsageError("a service acts for one organization: add --organization SLUG")
        return _service_token(settings, organization, lifetime)
    if not settings.is_dev:
        raise click.UsageError("tokens of demo people exist only in dev: ask your identity provider for one")
    from db.seed.world import ORGANIZATIONS

    homes = {person.slug: home.slug for home in ORGANIZATIONS for person in home.people}
    if who not in homes:
        raise click.BadParameter(f"there is no {who!r}; one of {', '.join(homes)}, {SERVICE}", param_hint="WHO")
    if organization not in {None, homes[who]}:
        raise click.BadParameter(f"{who} belongs to {homes[who]}", param_hint="--organization")
    from api.auth.tokens import mint

    return mint(
        settings.own_secret().encode(), subject=who, audience=OWN_AUDIENCE, organization=organization, ttl_s=lifetime
    )


def _service_token(settings: Settings, organization: str, lifetime: int) -> str:
    """Signed by ourselves in dev, else by the issuer whose secret we share."""
    from api.auth.tokens import OWN_ISSUER, mint

    auth = settings.auth
    if settings.is_dev:
        secret, issuer, audience, scope = settings.own_secret(), OWN_ISSUER, OWN_AUDIENCE, SERVICE
    elif auth.jwt_secret and (auth.organization_claim, auth.scope_claim) == ("organization", "scope"):
        secret, issuer, audience, scope = auth.jwt_secret, auth.issuer or "", auth.audience or "", auth.service_scope
    else:
        raise click.UsageError("without a JWT_SECRET whose claims are the default ones, ask your identity provider")
    return mint(
        secret.encode(),
        subject=SERVICE,
        audience=audience,
        organization=organization,
        service=True,
        ttl_s=lifetime,
        issuer=issuer,
        service_scope=scope,
    )
