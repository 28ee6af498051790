// Colours of the editors with the contrast that small text needs: GraphiQL's own, except for comments, line numbers and brackets.

import { useMonaco } from "@graphiql/react";
import { useEffect } from "react";

const CLEAR = "#ffffff00"; // the page shows through

interface Colours {
  paper: string;
  accent: string;
  faint: string;
  numbers: string;
  brackets: string[];
  argument: string;
  comment: string;
}

const DARK: Colours = {
  paper: "#212a3b",
  accent: "#ff5794",
  faint: "#ff579419",
  numbers: "#a3adc0",
  brackets: ["#ffd700", "#eda6ea", "#6fc3ff"],
  argument: "#a5a0ff",
  comment: "#8fbf7a",
};
const LIGHT: Colours = {
  paper: "#ffffff",
  accent: "#d60590",
  faint: "#d6059019",
  numbers: "#237893",
  brackets: ["#0431fa", "#1d661d", "#7b3814"],
  argument: "#5f5cc0",
  comment: "#007000",
};

function themeOf(base: "vs" | "vs-dark", { paper, accent, faint, numbers, brackets, argument, comment }: Colours) {
  const accents = ["textLink.foreground", "textLink.activeForeground", "focusBorder", "list.highlightForeground"];
  const papers = ["editorHoverWidget", "editorSuggestWidget", "editorWidget", "menu", "quickInput", "input"];
  const faints = ["list.hoverBackground", "menu.selectionBackground", "quickInputList.focusBackground"];
  return {
    base,
    inherit: true,
    rules: [
      { token: "argument.identifier.gql", foreground: argument },
      { token: "comment", foreground: comment },
    ],
    colors: {
      "editor.background": CLEAR,
      "scrollbar.shadow": CLEAR,
      "editorLineNumber.foreground": numbers,
      "editorSuggestWidget.selectedBackground": faint,
      "editorSuggestWidget.selectedForeground": accent,
      ...Object.fromEntries(accents.map((name) => [name, accent])),
      ...Object.fromEntries(papers.map((name) => [`${name}.background`, paper])),
      ...Object.fromEntries(faints.map((name) => [name, faint])),
      ...Object.fromEntries(brackets.map((colour, index) => [`editorBracketHighlight.foreground${index + 1}`, colour])),
    },
  };
}

/** Takes the place of GraphiQL's themes, which are there once the editor is loaded. */
export function EditorColours() {
  const monaco = useMonaco((state) => state.monaco);
  useEffect(() => {
    monaco?.editor.defineTheme("graphiql-DARK", themeOf("vs-dark", DARK));
    monaco?.editor.defineTheme("graphiql-LIGHT", themeOf("vs", LIGHT));
  }, [monaco]);
  return null;
}
