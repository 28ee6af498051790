// What the generated types forbid. tsc refuses the file if one of these lines is allowed.
import type { CreateConversationInput, RateMutationVariables, SpentQuery, Thumb } from './gql/graphql.ts';

type Usage = NonNullable<SpentQuery['viewer']['usage']>;

// @ts-expect-error money is a string: a double would round it
export const sum = (usage: Usage): number => usage.cost;

// @ts-expect-error a 64-bit number is a string too
export const tokens = (usage: Usage): number => usage.tokens;

// @ts-expect-error there is no such thumb
export const thumb: Thumb = 'SIDEWAYS';

// @ts-expect-error the message is missing
export const rating: RateMutationVariables = { thumb: 'UP' };

// @ts-expect-error JSON is unknown: look before you read
export const from = ({ metadata }: CreateConversationInput) => metadata.from;

// @ts-expect-error null where the viewer may not know: it must be thought of
export const budgets = ({ viewer }: SpentQuery) => viewer.usage.budgets;
