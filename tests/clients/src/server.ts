// What the tests are told: where the server is, and a token for each person of its world.
import { readFileSync } from 'node:fs';

import type { InboxQuery } from './gql/graphql.ts';

interface Told {
  url: string;
  tokens: Record<string, string>;
}

const told = JSON.parse(readFileSync(process.env['MINUTEBOOK_TOLD'] ?? '', 'utf8')) as Told;

export const url = told.url;

export function tokenOf(person: string): string {
  const token = told.tokens[person];
  if (token === undefined) throw new Error(`no token was given for ${person}`);
  return token;
}

/** A fetch that counts what goes out. `loseNext` lets the next request reach the server and its answer nobody. */
export class Line {
  sent = 0;
  loseNext = false;

  readonly fetch: typeof fetch = async (input, init) => {
    this.sent += 1;
    const answer = await fetch(input, init);
    if (this.loseNext) {
      this.loseNext = false;
      await answer.arrayBuffer();
      throw new TypeError('the line went dead');
    }
    return answer;
  };
}

/** The value, which must be there. */
export function given<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new Error('nothing came');
  return value;
}

/** The first of these conversations that is long enough to be paged through. */
export function longOne(inbox: InboxQuery | undefined): string {
  const nodes = inbox?.conversations?.edges.map((edge) => edge.node) ?? [];
  return given(nodes.find((node) => node.messageCount >= 6)).id;
}
