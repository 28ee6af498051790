import { expect, test } from 'vitest';

import { Inbox as InboxDocument } from '../documents.ts';
import { ask } from '../fetch/ask.ts';
import { given, longOne, tokenOf, url } from '../server.ts';
import { Chat } from './Chat.tsx';
import { Inbox } from './Inbox.tsx';
import { Page } from './page.tsx';
import { Warnings } from './Warnings.tsx';

const inbox = () => new Page('pia', <Inbox />);
const ids = (rows: [string, string][]) => rows.map(([id]) => id);

test('Relay loads the next page of a connection into the same list', async () => {
  const page = inbox();
  const first = await page.until(3);
  page.click('more');
  const both = await page.until(6);
  expect(both.slice(0, 3)).toEqual(first);
  expect(new Set(ids(both)).size).toBe(6);
  expect(page.line.sent).toBe(2);
});

test('Relay puts a conversation that was begun at the head of the list, and takes out one that was deleted', async () => {
  const page = inbox();
  const first = await page.until(3);
  page.click('begin');
  const [begun, ...others] = await page.until(4);
  expect(others).toEqual(first);
  expect(given(begun)[1]).toBe('Recipe: soup');
  expect(ids(await inbox().until(3))).toEqual(ids([given(begun), ...first.slice(0, 2)]));

  page.click('delete', `[id="${given(begun)[0]}"]`);
  expect(await page.until(3)).toEqual(first);
  expect(page.line.sent).toBe(3);
  expect(await inbox().until(3)).toEqual(first);
});

test('Relay refetches a node for the messages before, and appends the one that was sent', async () => {
  const id = longOne(await ask({ url, token: () => tokenOf('pia') }, InboxDocument, { first: 20 }));
  const page = new Page('pia', <Chat id={id} />);
  const latest = await page.until(3);
  const count = Number(page.text('output'));
  page.click('earlier');
  const more = await page.until(6);
  expect(more.slice(3)).toEqual(latest);
  expect(new Set(ids(more)).size).toBe(6);

  page.click('send');
  const all = await page.until(7);
  expect(all.slice(0, 6)).toEqual(more);
  expect(given(all[6])[1]).toBe('And for nine people?');
  expect(page.text('output')).toBe(String(count + 1));
  expect(page.line.sent).toBe(3);
  expect(ids(await new Page('pia', <Chat id={id} />).until(3))).toEqual(ids(all.slice(4)));
});

test('Relay takes several dismissed insights out of the list that showed them', async () => {
  const page = new Page('ines', <Warnings />);
  const shown = ids(await page.until(3));
  page.click('dismiss');
  await page.until(0);
  expect(page.line.sent).toBe(2);
  const others = ids(await new Page('ines', <Warnings />).until(3));
  expect(others.filter((id) => shown.includes(id))).toEqual([]);
});

test('Relay shows that a node is not there', async () => {
  const page = new Page('pia', <Chat id="Q29udmVyc2F0aW9uOjAxOTAwMDAwLTAwMDAtNzAwMC04MDAwLTAwMDAwMDAwMDAwMA==" />);
  await page.until(0);
  await expect.poll(() => page.text('p')).toBe('There is no such conversation.');
});
