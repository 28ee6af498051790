import { ApolloClient, HttpLink, InMemoryCache } from '@apollo/client';
import { SetContextLink } from '@apollo/client/link/context';
import { relayStylePagination } from '@apollo/client/utilities';

import possible from '../gql/possible-types.ts';

export function connect(url: string, token: () => string, fetch = globalThis.fetch): ApolloClient {
  const authorized = new SetContextLink(() => ({ headers: { authorization: `Bearer ${token()}` } }));
  const cache = new InMemoryCache({
    possibleTypes: possible.possibleTypes,
    typePolicies: {
      Query: {
        fields: {
          conversations: relayStylePagination(['filter', 'orderBy']),
          insights: relayStylePagination(['filter', 'orderBy']),
        },
      },
      Conversation: { fields: { messages: relayStylePagination(['filter']) } },
      Viewer: { merge: true },
    },
  });
  return new ApolloClient({ link: authorized.concat(new HttpLink({ uri: url, fetch })), cache });
}
