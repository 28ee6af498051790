async def test_x(ask_world):
    a = await ask_world.ask("query($after:String){conversations(first:20,after:$after,orderBy:{field:UPDATED_AT,direction:DESC}){edges{cursor node{id title updatedAt messageCount messages(last:1){edges{node{role content(maxChars:120)}}}}}pageInfo{hasNextPage endCursor}}}")
    print(a.status, str(a.body)[:1500])
    for s in a.statements: print(s); print()
