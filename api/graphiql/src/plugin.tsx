// The stories as a pane of GraphiQL: a click opens one in a tab, as the person whose story it is.

import { useGraphiQL, useGraphiQLActions, type GraphiQLPlugin } from "@graphiql/react";
import { GROUPS, variablesOf, type Group, type Story } from "./stories";

export const NARROW_PX = 700; // as in style.css: there a pane lies over the editors

function Icon() {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="1.6" aria-hidden="true">
      <path d="M4 5.5C6.5 4 9.5 4 12 5.5C14.5 4 17.5 4 20 5.5V19C17.5 17.5 14.5 17.5 12 19C9.5 17.5 6.5 17.5 4 19Z" />
      <path d="M12 5.5V19" />
    </svg>
  );
}

/** There may be more tabs than fit. */
function showActiveTab() {
  document.querySelector('[role=tab][aria-selected="true"]')?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** `switchTo` makes the page act as that persona, where there are personas. */
export function storiesPlugin(switchTo: (who: string) => void): GraphiQLPlugin {
  function Stories() {
    const { addTab, changeTab, setVisiblePlugin } = useGraphiQLActions();
    const tabs = useGraphiQL((state) => state.tabs);
    const queryEditor = useGraphiQL((state) => state.queryEditor);
    const variableEditor = useGraphiQL((state) => state.variableEditor);

    async function open(group: Group, story: Story) {
      switchTo(group.who);
      const variables = await variablesOf(story);
      const open = tabs.findIndex((tab) => tab.query === story.query);
      if (open < 0) addTab();
      else changeTab(open);
      queryEditor?.setValue(story.query);
      variableEditor?.setValue(variables);
      if (window.innerWidth <= NARROW_PX) setVisiblePlugin(null);
      queryEditor?.focus();
      requestAnimationFrame(showActiveTab);
    }

    return (
      <section className="stories" aria-label="Stories">
        <div className="graphiql-doc-explorer-title">Stories</div>
        <p>What people come here to ask. A story opens in its tab, with variables that its person can see.</p>
        <p>
          <kbd>Ctrl-Enter</kbd> runs it. In an editor <kbd>Tab</kbd> indents; after <kbd>Ctrl-M</kbd> it leaves.
        </p>
        {GROUPS.map((group) => (
          <div key={group.who}>
            <h3>
              {group.label} <small>{group.who}</small>
            </h3>
            <ul>
              {group.stories.map((story) => (
                <li key={story.title}>
                  <button type="button" onClick={() => void open(group, story)}>
                    {story.title}
                  </button>
                </li>
              ))}
            </ul>
          </div>
        ))}
      </section>
    );
  }
  return { title: "Stories", icon: Icon, content: Stories };
}
