// What people come here to ask, by who asks it. `$name` in variables is filled with something that the caller can see.

import { ask, isKnown } from "./ask";

export interface Story {
  title: string;
  query: string;
  variables?: Record<string, unknown>;
}

export interface Group {
  who: string;
  label: string;
  stories: Story[];
}

const documents = import.meta.glob("../stories/*.graphql", { query: "?raw", import: "default", eager: true }) as Record<
  string,
  string
>;

function story(title: string, name: string, variables?: Record<string, unknown>): Story {
  const query = documents[`../stories/${name}.graphql`];
  if (query === undefined) throw new Error(`there is no story ${name}`);
  return { title, query, variables };
}

const MONTH = { from: "$monthAgo", to: "$now" };

export const GROUPS: Group[] = [
  {
    who: "alice",
    label: "A member",
    stories: [
      story("Which warnings does my project have?", "warnings", { project: "$project" }),
      story("Dismiss one of them", "dismiss", { ids: ["$insight"] }),
      story("My inbox", "inbox", { after: null }),
      story("Open a chat and scroll up", "chat", { conversation: "$conversation" }),
      story("Start a chat, safely on a flaky network", "start", { key: "$key" }),
      story("Thumb down an answer", "thumb", { message: "$message" }),
      story("My settings, and what I have left", "settings"),
      story("Ask the documents", "documents", { text: "why is lumber over budget?" }),
    ],
  },
  {
    who: "olga",
    label: "An observer",
    stories: [
      story("See warnings without touching them", "warnings", { project: "$project" }),
      story("Dismissing is refused", "dismiss", { ids: ["$insight"] }),
    ],
  },
  {
    who: "carol",
    label: "An admin",
    stories: [
      story("Cost and latency by model and day", "metrics", MONTH),
      story("Slow failures", "failures", MONTH),
      story("Who is most active?", "active"),
      story("People by plan", "tiers"),
    ],
  },
  {
    who: "dave",
    label: "An auditor",
    stories: [
      story("The latest tool calls of a person", "calls", { user: "$user" }),
      story("How often is each tool used?", "tools", MONTH),
      story("Prove the log", "proof"),
      story("What happened last", "events"),
    ],
  },
  {
    who: "service of Northwind Builders",
    label: "An AI backend",
    stories: [story("The organization's budgets", "budgets"), story("Everybody's conversations", "inbox", { after: null })],
  },
];

const DAY_MS = 86_400_000;

type Edges = { edges: { node: any }[] } | null | undefined;

const nodes = (connection: Edges): any[] => connection?.edges.map((edge) => edge.node) ?? [];

async function look(query: string): Promise<any> {
  return (isKnown() && (await ask({ query })).data) || {};
}

async function insight(): Promise<any> {
  const fields = "edges { node { id viewerCanDismiss project { id } } }";
  const found = nodes((await look(`{ insights(first: 20, filter: { severity: [WARNING, CRITICAL] }) { ${fields} } }`)).insights);
  return found.find((each) => each.project && each.viewerCanDismiss) ?? found.find((each) => each.project) ?? found[0];
}

const SOURCES: Record<string, () => Promise<string | undefined>> = {
  $now: async () => new Date().toISOString(),
  $monthAgo: async () => new Date(Date.now() - 30 * DAY_MS).toISOString(),
  $key: async () => crypto.randomUUID(),
  $insight: async () => (await insight())?.id,
  $project: async () => (await insight())?.project?.id,
  $conversation: async () => nodes((await look("{ conversations(first: 1) { edges { node { id } } } }")).conversations)[0]?.id,
  $user: async () =>
    nodes((await look("{ toolCalls(first: 1) { edges { node { user { id } } } } }")).toolCalls)[0]?.user?.id,
  $message: async () => {
    const fields = "messages(last: 5) { edges { node { id viewerCanRate } } }";
    const chats = nodes((await look(`{ conversations(first: 5) { edges { node { ${fields} } } } }`)).conversations);
    return chats.flatMap((chat) => nodes(chat.messages)).find((each) => each.viewerCanRate)?.id;
  },
};

async function filled(value: unknown): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(filled));
  if (typeof value !== "string") return value;
  return SOURCES[value] ? ((await SOURCES[value]()) ?? "") : value;
}

/** The story's variables as text, for who is asking now; "" where there is nothing that it can see. */
export async function variablesOf(story: Story): Promise<string> {
  if (!story.variables) return "";
  const pairs = Object.entries(story.variables).map(async ([name, value]) => [name, await filled(value)] as const);
  return JSON.stringify(Object.fromEntries(await Promise.all(pairs)), null, 2);
}
