import { Begin } from '../documents.ts';
import type { BeginMutation, CreateConversationInput } from '../gql/graphql.ts';
import { ask, RequestError, type Connection } from './ask.ts';

/** Begins one conversation, however often the line breaks: all tries have one key, so the server does it once. */
export async function begin(
  to: Connection,
  input: CreateConversationInput,
): Promise<BeginMutation['createConversation']> {
  const key = crypto.randomUUID();
  for (let tries = 1; ; tries += 1) {
    try {
      return (await ask(to, Begin, { input, key })).createConversation;
    } catch (error) {
      // An answer is final, but for "try again later"; when none came, nobody knows what the server did.
      if (tries === 4 || (error instanceof RequestError && error.status < 503)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100 * 2 ** tries));
    }
  }
}
