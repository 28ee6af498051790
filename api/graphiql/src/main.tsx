// The page: a bar that says who is asking and what the last answer cost, above GraphiQL.

import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./style.css";

import { explorerPlugin } from "@graphiql/plugin-explorer";
import { HISTORY_PLUGIN } from "@graphiql/plugin-history";
import { useGraphiQL } from "@graphiql/react";
import { GraphiQL } from "graphiql";
import { useEffect, useMemo, useState } from "react";
import { createRoot } from "react-dom/client";
import { actAs, ask, isDemo, personas, type Cost, type Persona } from "./ask";
import { CostPanel, PersonaMenu, TokenField } from "./caller";
import { NARROW_PX, storiesPlugin } from "./plugin";
import { lastTab, storage } from "./storage";
import { GROUPS, variablesOf } from "./stories";
import { EditorColours } from "./theme";

interface Tab {
  query: string;
  variables: string;
}

/** An answer belongs to who asked for it: it goes when somebody else takes over. */
function AnswerOf({ who }: { who: string }) {
  const responseEditor = useGraphiQL((state) => state.responseEditor);
  useEffect(() => responseEditor?.setValue(""), [who]);
  return null;
}

function Page(props: { people: Persona[]; tabs: Tab[] }) {
  const [who, setWho] = useState(props.people[0]?.name ?? "");
  const [sessions, setSessions] = useState(0);
  const [hasToken, setHasToken] = useState(false);
  const [cost, setCost] = useState<Cost | null>(null);

  function choose(name: string) {
    const persona = props.people.find((each) => each.name === name);
    if (!persona) return;
    actAs(persona.name, persona.token);
    setWho(persona.name);
    setCost(null);
  }

  function useToken(token: string) {
    actAs("", token);
    setHasToken(token !== "");
    setSessions(sessions + 1); // the schema may be shown to known callers only: GraphiQL starts anew and asks for it
    setCost(null);
  }

  const stories = useMemo(() => storiesPlugin(choose), []);
  const plugins = useMemo(() => [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false }), stories], []);
  const opened = useMemo(() => lastTab() ?? props.tabs[0], [sessions]); // GraphiQL forgets the variables of its first tab
  const isWide = window.innerWidth > NARROW_PX;
  return (
    <>
      <header className="bar">
        <h1>Minutebook</h1>
        {isDemo() ? (
          <PersonaMenu personas={props.people} chosen={who} onChoose={choose} />
        ) : (
          <TokenField isSet={hasToken} onSet={useToken} />
        )}
        <CostPanel cost={cost} />
      </header>
      <main>
        <GraphiQL
          key={sessions}
          fetcher={(operation, options) => ask(operation, options?.headers as Record<string, string>, setCost) as any}
          storage={storage}
          shouldPersistHeaders={false}
          defaultTabs={props.tabs}
          initialQuery={opened?.query}
          initialVariables={opened?.variables}
          plugins={plugins}
          visiblePlugin={isWide ? stories : undefined}
          inputValueDeprecation
          schemaDescription
          defaultEditorToolsVisibility="variables"
        >
          <GraphiQL.Logo>
            <AnswerOf who={who} />
            <EditorColours />
          </GraphiQL.Logo>
        </GraphiQL>
      </main>
    </>
  );
}

async function prefilled(): Promise<Tab[]> {
  const stories = GROUPS[0]?.stories ?? [];
  return Promise.all(stories.map(async (story) => ({ query: story.query, variables: await variablesOf(story) })));
}

async function start() {
  const people = await personas();
  if (people[0]) actAs(people[0].name, people[0].token);
  const tabs = lastTab() ? [] : await prefilled();
  createRoot(document.getElementById("page")!).render(<Page people={people} tabs={tabs} />);
}

void start();
