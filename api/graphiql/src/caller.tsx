// Who is asking: a menu of the demo's people and services, or a field for a token of one's own identity provider.

import { useState, type FormEvent } from "react";
import type { Cost, Persona } from "./ask";

export function PersonaMenu(props: { personas: Persona[]; chosen: string; onChoose: (name: string) => void }) {
  const chosen = props.personas.find((each) => each.name === props.chosen);
  const organizations = [...new Set(props.personas.map((each) => each.organization))];
  return (
    <label className="caller">
      <span>Ask as</span>
      <select id="persona" value={props.chosen} onChange={(event) => props.onChoose(event.target.value)}>
        {organizations.map((organization) => (
          <optgroup key={organization} label={organization}>
            {props.personas
              .filter((each) => each.organization === organization)
              .map((each) => (
                <option key={each.name} value={each.name}>
                  {each.role === "SERVICE" ? each.name : `${each.name} · ${each.role.toLowerCase()}`}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
      {chosen && <span className="whole">{`${chosen.displayName}, ${chosen.organization}`}</span>}
    </label>
  );
}

export function TokenField(props: { isSet: boolean; onSet: (token: string) => void }) {
  const [text, setText] = useState("");
  function use(event: FormEvent) {
    event.preventDefault();
    props.onSet(text.trim().replace(/^bearer\s+/i, ""));
    setText("");
  }
  return (
    <form className="caller" onSubmit={use} autoComplete="off">
      <label>
        <span>Token</span>
        <input
          id="token"
          type="password"
          autoComplete="off"
          spellCheck={false}
          value={text}
          placeholder={props.isSet ? "one is in use; it is never stored" : "bearer token of your identity provider"}
          onChange={(event) => setText(event.target.value)}
        />
      </label>
      <button type="submit">{text || !props.isSet ? "Use" : "Forget"}</button>
    </form>
  );
}

export function CostPanel({ cost }: { cost: Cost | null }) {
  return (
    <output id="cost" aria-label="Cost of the last operation" aria-live="polite">
      {cost && (
        <>
          <b>{cost.sql}</b> SQL {cost.sql === 1 ? "statement" : "statements"} · <b>{cost.ms}</b> ms
          {cost.who && <span className="whole"> · for {cost.who}</span>}
        </>
      )}
    </output>
  );
}
