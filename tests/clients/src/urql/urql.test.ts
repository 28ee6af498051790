import { Client, fetchExchange } from '@urql/core';
import type { OperationResultSource, OperationResult, AnyVariables } from '@urql/core';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { Chat, Dismiss, Inbox, Rate, Send, Warnings } from '../documents.ts';
import type { ChatQuery } from '../gql/graphql.ts';
import { given, Line, longOne, tokenOf, url } from '../server.ts';
import { connect } from './client.ts';

const as = (person: string, line = new Line()) => connect(url, () => tokenOf(person), line.fetch);

// Graphcache says on the console which type has no key and what it cannot update.
const warned = vi.fn();
beforeEach(() => void vi.spyOn(console, 'warn').mockImplementation(warned));
afterEach(() => {
  expect(warned.mock.calls).toEqual([]);
  vi.restoreAllMocks();
});

/** Everything that a query shows from now on, latest last. */
function watching<Data, Shown>(
  source: OperationResultSource<OperationResult<Data, AnyVariables>>,
  show: (data: Data) => Shown,
): Shown[] {
  const seen: Shown[] = [];
  source.subscribe(({ data }) => {
    if (data) seen.push(show(data));
  });
  return seen;
}

function messagesOf({ node }: ChatQuery) {
  if (node?.__typename !== 'Conversation') throw new Error('no conversation came');
  return node.messages.edges.map((edge) => edge.node);
}

test('urql joins two pages of a list into one without a duplicate', async () => {
  const line = new Line();
  const client = as('erik', line);
  const first = given((await client.query(Warnings, { first: 4 })).data?.insights);
  const both = await client.query(Warnings, { first: 4, after: first.pageInfo.endCursor });
  const ids = given(both.data?.insights).edges.map((edge) => edge.node.id);
  expect(ids).toHaveLength(8);
  expect(line.sent).toBe(2);

  const atOnce = await as('erik').query(Warnings, { first: 8 });
  expect(ids).toEqual(given(atOnce.data?.insights).edges.map((edge) => edge.node.id));
});

test('urql shows a dismissal in the list that it has without asking again', async () => {
  const line = new Line();
  const client = as('erik', line);
  const { data } = await client.query(Warnings, { first: 3 });
  const ids = given(data?.insights).edges.map((edge) => edge.node.id);
  const seen = watching(client.query(Warnings, { first: 3 }), ({ insights }) =>
    given(insights).edges.map((edge) => edge.node.isDismissed),
  );
  const { data: done } = await client.mutation(Dismiss, { ids: ids.slice(1, 2) });
  expect(done?.dismissInsights.userErrors).toEqual([]);
  expect(seen).toEqual([
    [false, false, false],
    [false, true, false],
  ]);
  expect(line.sent).toBe(2);

  const anew = await as('erik').query(Warnings, { first: 3 });
  expect(given(anew.data?.insights).edges.map((edge) => edge.node.id)).not.toContain(ids[1]);
});

test('urql adds a message that was sent to the chat that it shows', async () => {
  const line = new Line();
  const client = as('erik', line);
  const id = longOne((await client.query(Inbox, { first: 20 })).data);
  const before = messagesOf(given((await client.query(Chat, { id, last: 3 })).data));
  const seen = watching(client.query(Chat, { id, last: 3 }), messagesOf);
  const { data } = await client.mutation(Send, { conversationId: id, content: 'Is the exam on Friday?' });
  const sent = given(data?.sendMessage.messageEdge).node;
  expect(sent.content).toBe('Is the exam on Friday?');
  expect(given(seen.at(-1)).map((each) => each.id)).toEqual([...before.map((each) => each.id), sent.id]);
  expect(line.sent).toBe(3);

  const anew = messagesOf(given((await as('erik').query(Chat, { id, last: 4 })).data));
  expect(anew.map((each) => each.id)).toEqual([...before.map((each) => each.id), sent.id]);
});

test('urql shows a rating before the server has it, and takes it back when the server refuses', async () => {
  const client = as('freja');
  const id = longOne((await client.query(Inbox, { first: 20 })).data);
  const messages = messagesOf(given((await client.query(Chat, { id, last: 6 })).data));
  const answer = given(messages.findLast((each) => each.viewerCanRate));
  const question = given(messages.findLast((each) => !each.viewerCanRate));
  const seen = watching(client.query(Chat, { id, last: 6 }), (data) =>
    Object.fromEntries(messagesOf(data).map((each) => [each.id, each.myFeedback?.thumb])),
  );
  const thumb = answer.myFeedback?.thumb === 'UP' ? 'DOWN' : 'UP';

  const rated = await client.mutation(Rate, { messageId: answer.id, thumb });
  expect(rated.data?.submitFeedback.userErrors).toEqual([]);
  expect(seen.map((each) => each[answer.id])).toEqual([answer.myFeedback?.thumb, thumb, thumb]);

  seen.length = 0;
  const refused = await client.mutation(Rate, { messageId: question.id, thumb: 'UP' });
  expect(refused.data?.submitFeedback.userErrors.map(({ code }) => code)).toEqual(['INVALID']);
  expect(seen.map((each) => each[question.id])).toEqual(['UP', undefined]);
});

test('urql gives an error with the code of what went wrong', async () => {
  const stranger = connect(url, () => 'nonsense');
  const refused = await stranger.query(Inbox, { first: 1 });
  expect(refused.error?.graphQLErrors.map(({ extensions }) => extensions)).toEqual([{ code: 'UNAUTHENTICATED' }]);
  const wrong = await as('erik').query(Inbox, { first: 1000 });
  const codes = wrong.error?.graphQLErrors.map(({ extensions }) => extensions);
  expect(codes).toEqual([{ code: 'BAD_USER_INPUT', argument: 'first' }]);
});

test('urql must be told not to use GET, and the server says so', async () => {
  const headers = { authorization: `Bearer ${tokenOf('erik')}` };
  const getting = new Client({ url, fetchOptions: { headers }, exchanges: [fetchExchange] });
  const { error } = await getting.query(Inbox, { first: 1 });
  expect(error?.response?.status).toBe(405);
  expect(error?.message).toContain('GraphQL is asked by POST.');
});
