import type { TypedDocumentNode } from '@graphql-typed-document-node/core';
import type { GraphQLFormattedError } from 'graphql';

import manifest from '../gql/persisted-documents.json' with { type: 'json' };

const texts: Readonly<Record<string, string>> = manifest;

export interface Connection {
  url: string;
  token: () => string | null;
  fetch?: typeof fetch;
}

export class RequestError extends Error {
  readonly status: number;
  readonly errors: readonly GraphQLFormattedError[];

  constructor(status: number, errors: readonly GraphQLFormattedError[]) {
    super(errors[0]?.message ?? `The server answered ${status}`);
    this.status = status;
    this.errors = errors;
  }

  /** UNAUTHENTICATED, BAD_USER_INPUT, THROTTLED, … */
  get code(): unknown {
    return this.errors[0]?.extensions?.['code'];
  }
}

export async function ask<Data, Variables>(
  to: Connection,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
): Promise<Data> {
  const { hash } = (document as { __meta__?: { hash: string } }).__meta__ ?? { hash: '' };
  const token = to.token();
  const answer = await (to.fetch ?? fetch)(to.url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify({ query: texts[hash], variables }),
  });
  const { data, errors } = (await answer.json()) as { data?: Data | null; errors?: GraphQLFormattedError[] };
  if (errors !== undefined || data === undefined || data === null) throw new RequestError(answer.status, errors ?? []);
  return data;
}
