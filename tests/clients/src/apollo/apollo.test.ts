import { expect, test } from 'vitest';

import type { ObservableQuery, OperationVariables } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { filter, firstValueFrom, map } from 'rxjs';

import { Chat, Dismiss, Inbox, Warnings } from '../documents.ts';
import type { Thumb } from '../gql/graphql.ts';
import { given, Line, longOne, tokenOf, url } from '../server.ts';
import { connect } from './client.ts';
import { rate } from './rate.ts';

const as = (person: string, line = new Line()) => connect(url, () => tokenOf(person), line.fetch);

/** The first whole result of a list that is watched. */
function arrived<Data, Variables extends OperationVariables>(list: ObservableQuery<Data, Variables>): Promise<Data> {
  const whole = list.pipe(
    filter((result) => result.dataState === 'complete'),
    map((result) => result.data as Data),
  );
  return firstValueFrom(whole);
}

test('Apollo joins two pages of a list into one without a duplicate', async () => {
  const line = new Line();
  const list = as('alice', line).watchQuery({ query: Warnings, variables: { first: 4 } });
  const first = given((await arrived(list)).insights);
  await list.fetchMore({ variables: { after: first.pageInfo.endCursor } });
  const shown = given(list.getCurrentResult().data?.insights);
  const ids = shown.edges?.map((edge) => edge?.node?.id);
  expect(ids).toHaveLength(8);
  expect(line.sent).toBe(2);

  const atOnce = await as('alice').query({ query: Warnings, variables: { first: 8 } });
  expect(ids).toEqual(given(atOnce.data?.insights).edges.map((edge) => edge.node.id));
});

test('Apollo shows a dismissal in the list that it has without asking again', async () => {
  const line = new Line();
  const client = as('alice', line);
  const seen: (string | null | undefined)[][] = [];
  const list = client.watchQuery({ query: Warnings, variables: { first: 5 } });
  list.subscribe(({ data }) => {
    const edges = data?.insights?.edges;
    if (edges) seen.push(edges.map((edge) => edge?.node?.dismissedBy?.displayName));
  });
  const { edges } = given((await arrived(list)).insights);
  const ids = [given(edges[1]).node.id, given(edges[3]).node.id];

  const { data } = await client.mutate({ mutation: Dismiss, variables: { ids } });
  expect(data?.dismissInsights.userErrors).toEqual([]);
  expect(seen).toEqual([
    [undefined, undefined, undefined, undefined, undefined],
    [undefined, 'Alice Moreno', undefined, 'Alice Moreno', undefined],
  ]);
  expect(line.sent).toBe(2);

  const anew = await as('alice').query({ query: Warnings, variables: { first: 5 } });
  const listed = given(anew.data?.insights).edges.map((edge) => edge.node.id);
  expect(listed).toHaveLength(5);
  expect(listed.filter((id) => ids.includes(id))).toEqual([]);
});

test('Apollo shows a rating before the server has it, and takes it back when the server refuses', async () => {
  const client = as('alice');
  const id = longOne((await client.query({ query: Inbox, variables: { first: 20 } })).data);
  const chat = client.watchQuery({ query: Chat, variables: { id, last: 6 } });
  const { node } = await arrived(chat);
  if (node?.__typename !== 'Conversation') throw new Error('no conversation came');
  const messages = node.messages.edges.map((edge) => edge.node);
  const answer = given(messages.findLast((each) => each.viewerCanRate));
  const question = given(messages.findLast((each) => !each.viewerCanRate));
  const seen: Record<string, Thumb | undefined>[] = [];
  chat.subscribe(({ data }) => {
    if (data?.node?.__typename !== 'Conversation') return;
    const edges = data.node.messages?.edges ?? [];
    seen.push(Object.fromEntries(edges.map((edge) => [edge?.node?.id, edge?.node?.myFeedback?.thumb])));
  });
  const before = answer.myFeedback?.thumb;
  const thumb = before === 'UP' ? 'DOWN' : 'UP';

  expect(await rate(client, answer.id, thumb)).toEqual([]);
  expect(seen.map((each) => each[answer.id])).toEqual([before, thumb, thumb]);

  seen.length = 0;
  expect(await rate(client, question.id, 'UP')).toEqual(["Only an assistant's answer can be rated."]);
  expect(seen.map((each) => each[question.id])).toEqual(['UP', undefined]);
});

test('Apollo throws an error with the code of what went wrong', async () => {
  const stranger = connect(url, () => 'nonsense');
  const refused = await stranger.query({ query: Inbox, variables: { first: 1 } }).catch((error: unknown) => error);
  expect(CombinedGraphQLErrors.is(refused) && refused.errors[0]?.extensions).toEqual({ code: 'UNAUTHENTICATED' });

  const wrong = await as('alice').query({ query: Inbox, variables: { first: 1000 } }).catch((error: unknown) => error);
  if (!CombinedGraphQLErrors.is(wrong)) throw wrong;
  expect(wrong.errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', argument: 'first' }]);
});
