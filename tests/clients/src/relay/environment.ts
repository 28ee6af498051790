import { Environment, Network, RecordSource, Store, type GraphQLResponse } from 'relay-runtime';

export function connect(url: string, token: () => string, fetch = globalThis.fetch): Environment {
  const network = Network.create(async ({ text }, variables) => {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token()}` },
      body: JSON.stringify({ query: text, variables }),
    });
    return (await answer.json()) as GraphQLResponse;
  });
  return new Environment({ network, store: new Store(new RecordSource()) });
}
