// What GraphiQL may keep in the browser: its looks, and operations without headers. GraphiQL's history keeps headers
// whatever it is told, and an operation that takes a `Secret` has one in its variables: neither reaches the disk.

import type { Storage } from "@graphiql/toolkit";

const PREFIX = "graphiql:";
const LOOKS = /^graphiql:(theme|visiblePlugin|\w*[fF]lex|docExplorer\w*|pluginPane\w*)$/;
const SECRET = /\bSecret\b|\bsetProviderKey\b|\bauthorization\b/i;

interface Operation {
  query?: string | null;
  variables?: string | null;
}

function clean<Item extends Operation>(items: Item[]): Item[] {
  return items
    .filter((item) => !SECRET.test(`${item.query ?? ""} ${item.variables ?? ""}`))
    .map((item) => ({ ...item, variables: declared(item), headers: null, response: null }));
}

/** The variables that the operation takes: others may be left from one that took a secret. */
function declared({ query, variables }: Operation): string | null {
  try {
    const pairs = Object.entries(JSON.parse(variables || "{}"));
    const taken = pairs.filter(([name]) => new RegExp(`\\$${name}\\b`).test(query ?? ""));
    return taken.length ? JSON.stringify(Object.fromEntries(taken), null, 2) : null;
  } catch {
    return null; // half typed
  }
}

function kept(key: string, value: string): string | null {
  if (LOOKS.test(key)) return value;
  if (key !== "graphiql:tabState" && key !== "graphiql:queries" && key !== "graphiql:favorites") return null;
  const parsed = JSON.parse(value);
  const list = key === "graphiql:tabState" ? "tabs" : key.slice(PREFIX.length);
  const items = clean(parsed[list] ?? []);
  if (list !== "tabs") return JSON.stringify({ [list]: items });
  const activeTabIndex = Math.min(parsed.activeTabIndex, Math.max(items.length - 1, 0));
  return items.length ? JSON.stringify({ tabs: items, activeTabIndex }) : null;
}

function ours(): string[] {
  return Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));
}

export const storage: Storage = {
  getItem: (key) => localStorage.getItem(key),
  removeItem: (key) => localStorage.removeItem(key),
  setItem: (key, value) => {
    const text = kept(key, value);
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  },
  get length() {
    return ours().length;
  },
  clear: () => ours().forEach((key) => localStorage.removeItem(key)),
};

/** The tab that was open when this browser was here last; its others come back by themselves. */
export function lastTab(): { query: string; variables: string } | null {
  const stored = storage.getItem("graphiql:tabState");
  if (stored === null) return null;
  const { tabs, activeTabIndex } = JSON.parse(stored);
  const tab = tabs[activeTabIndex] ?? {};
  return { query: tab.query ?? "", variables: tab.variables ?? "" };
}
