import type { ApolloClient } from '@apollo/client';

import { Rate } from '../documents.ts';
import type { Thumb } from '../gql/graphql.ts';

/** Shows the thumb at once, then what the server made of it. Gives what it refused: then the thumb is as it was. */
export async function rate(client: ApolloClient, messageId: string, thumb: Thumb): Promise<string[]> {
  const { data } = await client.mutate({
    mutation: Rate,
    variables: { messageId, thumb },
    optimisticResponse: {
      __typename: 'Mutation',
      submitFeedback: {
        __typename: 'SubmitFeedbackPayload',
        message: {
          __typename: 'Message',
          id: messageId,
          myFeedback: { __typename: 'Feedback', id: `mine:${messageId}`, thumb },
        },
        userErrors: [],
      },
    },
  });
  return data?.submitFeedback.userErrors.map(({ message }) => message) ?? [];
}
