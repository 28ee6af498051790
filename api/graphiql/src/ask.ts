// One way to the API: the bearer token of who is asking now, which lives in this module's memory and nowhere else.

export interface Persona {
  name: string;
  displayName: string;
  role: string;
  organization: string;
  token: string;
}

export interface Cost {
  who: string;
  sql: number;
  ms: number;
}

export interface Answer {
  data?: any;
  errors?: readonly any[];
  extensions?: Record<string, unknown>;
}

const ENDPOINT = "/graphql";
const INTROSPECTION = "IntrospectionQuery";
const UNAUTHENTICATED = 401;

let token = "";
let who = "";

export function actAs(name: string, credential: string): void {
  who = name;
  token = credential;
}

export function isKnown(): boolean {
  return token !== "";
}

/** Asks one operation. `onCost` hears how many statements it took and how long, where the server tells. */
export async function ask(
  body: { query: string; variables?: unknown; operationName?: string | null },
  headers: Record<string, string> = {},
  onCost?: (cost: Cost | null) => void,
): Promise<Answer> {
  const asker = who;
  const { query, variables, operationName } = body; // just after a change of tabs GraphiQL names the other tab's operation
  const isItsOwn = operationName && new RegExp(`\\b${operationName}\\b`).test(query);
  const response = await fetch(ENDPOINT, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/json",
      "X-Minutebook-Inspect": "1",
      ...(token ? { Authorization: `Bearer ${token}` } : {}),
      ...headers,
    },
    body: JSON.stringify({ query, variables, operationName: isItsOwn ? operationName : undefined }),
    credentials: "omit",
    cache: "no-store",
  });
  const answer: Answer = await response.json();
  const { sql, ms, ...others } = answer.extensions ?? {};
  if (operationName !== INTROSPECTION) {
    onCost?.(typeof sql === "number" && typeof ms === "number" ? { who: asker, sql, ms } : null);
  }
  if (Object.keys(others).length) answer.extensions = others;
  else delete answer.extensions;
  if (response.status === UNAUTHENTICATED && isDemo()) {
    answer.extensions = { hint: "The demo's tokens are good for a day: reload the page for new ones." };
  }
  return answer;
}

export function isDemo(): boolean {
  return document.querySelector('meta[name="minutebook"]')?.getAttribute("content") === "demo";
}

export async function personas(): Promise<Persona[]> {
  if (!isDemo()) return [];
  const response = await fetch(`${ENDPOINT}/personas`, { credentials: "omit", cache: "no-store" });
  return response.ok ? (await response.json()).personas : [];
}
