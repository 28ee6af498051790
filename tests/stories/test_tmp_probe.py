import time
from pathlib import Path
S=Path('/work/main/tests/stories')
async def test_x(ask_world):
    from api.node import global_id
    async def show(name, who, **v):
        t=time.perf_counter(); a=await ask_world.ask((S/f'{name}.graphql').read_text(), who, **v); dt=time.perf_counter()-t
        print('=====',name,who,a.status,f'{dt*1000:.0f}ms', len(a.statements)); print(a.raw[:700].decode())
        for s in a.statements: print('   --', s.replace('\n',' ')[:1400])
        return a
    await show('01_inbox','alice')
    c=(await ask_world.ask('{conversations(first:1){edges{node{id}}}}')).data['conversations']['edges'][0]['node']['id']
    await show('02_open_a_chat','alice',id=c)
    await show('02_open_a_chat','bob',id=c)
    p=global_id('Project','00000003-0001-4000-8000-000000000001')
    await show('05_insight_badge','alice',p=p)
    for w in ('alice','carol','dave','olga','service:northwind','pia'): await show('09_settings_page',w)
    await show('11_ask_the_documents','alice',q='why is wood so expensive')
    await show('11_ask_the_documents','dave',q='why is wood so expensive')
    f,t='2026-11-15T00:00:00Z','2026-11-30T00:00:00Z'
    await show('13_cost_and_latency','carol',f=f,t=t)
    await show('14_slow_failures','jon',f=f,t=t)
    u=global_id('User','00000002-0003-4000-8000-000000000001')
    await show('16_recent_tool_calls','jon',u=u); await show('16_recent_tool_calls','vera',u=u)
    await show('17_tool_usage','vera',f=f,t=t); await show('18_prove_the_log','vera')
    for n in ('d4_people_by_tier','d4_most_active'): await show(n,'hanna')
    await show('d4_tokens_and_cost','hanna',f=f,t=t)
    await show('d2_recent_calls','jon',u=u); await show('d2_usage_by_tool','jon',f=f,t=t); await show('d2_failed_operations','jon',f=f)
    await show('d3_tokens_of_the_month','carol'); await show('d3_project_overview','alice',p=p)
