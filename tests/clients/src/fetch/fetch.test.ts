import { readFileSync } from 'node:fs';
import { expect, expectTypeOf, test } from 'vitest';

import { Begin, Inbox, Rename, Spent } from '../documents.ts';
import { given, Line, tokenOf, url } from '../server.ts';
import { ask, RequestError, type Connection } from './ask.ts';
import { begin } from './begin.ts';

const as = (person: string, line = new Line()): Connection => ({ url, token: () => tokenOf(person), fetch: line.fetch });

async function conversations(search: string): Promise<string[]> {
  const { conversations } = await ask(as('carol'), Inbox, { first: 100, search });
  return given(conversations).edges.map((edge) => edge.node.id);
}

async function refusal(asking: Promise<unknown>): Promise<RequestError> {
  const error = await asking.then(() => null, (reason: unknown) => reason);
  if (!(error instanceof RequestError)) throw error;
  return error;
}

test('fetch sends the text of the manifest and gives what the types promise', async () => {
  const sent: string[] = [];
  const line: typeof fetch = (input, init) => {
    sent.push((JSON.parse(String(init?.body)) as { query: string }).query);
    return fetch(input, init);
  };
  const { viewer } = await ask({ ...as('carol'), fetch: line }, Spent, {});
  const manifest = readFileSync(new URL('../gql/persisted-documents.json', import.meta.url), 'utf8');
  expect(Object.values(JSON.parse(manifest) as Record<string, string>)).toContain(sent[0]);

  const usage = given(viewer.usage);
  expectTypeOf(usage.cost).toEqualTypeOf<string>();
  expectTypeOf(viewer.organization.createdAt).toEqualTypeOf<string>();
  expect(usage.cost).toMatch(/^\d+(\.\d+)?$/);
  expect(usage.tokens).toMatch(/^\d+$/);
  expect(usage.budgets.map(({ limit }) => typeof limit)).toContain('string');
  expect(viewer.organization.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test('fetch learns from the status and the code that it must sign in', async () => {
  for (const token of [null, 'nonsense']) {
    const error = await refusal(ask({ url, token: () => token }, Inbox, { first: 1 }));
    expect([error.status, error.code]).toEqual([401, 'UNAUTHENTICATED']);
  }
});

test('fetch learns which argument was wrong', async () => {
  const error = await refusal(ask(as('carol'), Inbox, { first: 1000 }));
  expect(error.errors.map(({ extensions }) => extensions)).toEqual([{ code: 'BAD_USER_INPUT', argument: 'first' }]);
});

test('fetch is told by userErrors what was not done, as part of the answer', async () => {
  const blank = await begin(as('carol'), { title: ' ' });
  expect(blank.conversation).toBeNull();
  expect(blank.userErrors).toMatchObject([{ code: 'INVALID', field: ['title'] }]);
  const observer = await begin(as('olga'), { title: 'Only looking' });
  expect(observer.userErrors).toMatchObject([{ code: 'FORBIDDEN', field: null }]);
});

test('fetch loses an answer, tries again with the same key, and one conversation has begun', async () => {
  const line = new Line();
  line.loseNext = true;
  const title = `Begun on a train ${crypto.randomUUID()}`;
  const begun = await begin(as('carol', line), { title });
  expect(line.sent).toBe(2);
  expect(begun.userErrors).toEqual([]);
  expect(await conversations(title)).toEqual([begun.conversation?.id]);
});

test('fetch repeats a change with its key and gets an equal answer; another change with it is refused', async () => {
  const key = crypto.randomUUID();
  const [title, otherwise] = [`Said twice ${key}`, `Said otherwise ${key}`];
  const variables = { input: { title, metadata: { from: 'a test' } }, key };
  const first = await ask(as('carol'), Begin, variables);
  expect(await ask(as('carol'), Begin, variables)).toEqual(first);
  const other = await ask(as('carol'), Begin, { ...variables, input: { title: otherwise } });
  expect(other.createConversation.userErrors.map(({ code }) => code)).toEqual(['IDEMPOTENCY_MISMATCH']);
  expect(await conversations(title)).toEqual([first.createConversation.conversation?.id]);
  expect(await conversations(otherwise)).toEqual([]);
});

test('fetch renames what nobody else has renamed, and is shown what somebody else made of it', async () => {
  const { conversation } = await begin(as('carol'), { title: 'Draft' });
  const { id, updatedAt } = given(conversation);
  const rename = (title: string, expectedUpdatedAt: string) => ask(as('carol'), Rename, { id, title, expectedUpdatedAt });

  const mine = (await rename('Mine', updatedAt)).updateConversation;
  expect(mine.userErrors).toEqual([]);
  const late = (await rename('Too late', updatedAt)).updateConversation;
  expect(late.userErrors.map(({ code }) => code)).toEqual(['CONFLICT']);
  expect(late.conversation).toEqual(mine.conversation);
  const again = (await rename('Mine again', given(late.conversation).updatedAt)).updateConversation;
  expect(again.conversation?.title).toBe('Mine again');
});
