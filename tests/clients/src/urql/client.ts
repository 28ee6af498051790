import { Client, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';

import possible from '../gql/possible-types.ts';
import { optimistic, updates } from './changes.ts';

const embedded = () => null;

export function connect(url: string, token: () => string, fetch = globalThis.fetch): Client {
  const cache = cacheExchange({
    possibleTypes: possible.possibleTypes,
    // What has no id lives inside of what it belongs to.
    keys: { Count: embedded, UsageSummary: embedded, UserError: embedded, Viewer: embedded },
    resolvers: {
      Query: { conversations: relayPagination(), insights: relayPagination() },
      Conversation: { messages: relayPagination() },
    },
    updates,
    optimistic,
  });
  return new Client({
    url,
    fetch,
    preferGetMethod: false,
    fetchOptions: () => ({ headers: { authorization: `Bearer ${token()}` } }),
    exchanges: [cache, fetchExchange],
  });
}
