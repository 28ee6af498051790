import type { OptimisticMutationConfig, UpdatesConfig } from '@urql/exchange-graphcache';

import { Chat } from '../documents.ts';
import type { RateMutationVariables, SendMutation, SendMutationVariables } from '../gql/graphql.ts';

export const updates: UpdatesConfig = {
  Mutation: {
    /** A message that was sent is added to the chat that shows the latest messages, whatever its length. */
    sendMessage({ sendMessage }: SendMutation, { input }: { input: SendMutationVariables }, cache) {
      const edge = sendMessage.messageEdge;
      if (!edge) return;
      const id = input.conversationId;
      for (const { fieldName, arguments: page } of cache.inspectFields({ __typename: 'Conversation', id })) {
        if (fieldName !== 'messages' || typeof page?.['last'] !== 'number' || page['before']) continue;
        cache.updateQuery({ query: Chat, variables: { id, last: page['last'] } }, (chat) => {
          if (chat?.node?.__typename === 'Conversation') chat.node.messages.edges.push(edge);
          return chat;
        });
      }
    },
  },
};

export const optimistic: OptimisticMutationConfig = {
  /** The thumb is shown at once; what the server answers takes its place, and so does a refusal. */
  submitFeedback: ({ input: { messageId, thumb } }: { input: RateMutationVariables }) => ({
    __typename: 'SubmitFeedbackPayload',
    message: {
      __typename: 'Message',
      id: messageId,
      myFeedback: { __typename: 'Feedback', id: `mine:${messageId}`, thumb },
    },
    userErrors: [],
  }),
};
