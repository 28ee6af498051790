from tests.security.worlds import PRINCIPALS
async def test_x(house):
    d = await house.dump()
    for t, rows in d.items(): print(t, len(rows))
    for p in PRINCIPALS:
        a = await house.client.ask("{viewer{role user{id displayName} organization{slug}}}", p.who, organization=p.slug)
        print(p, a.body)
