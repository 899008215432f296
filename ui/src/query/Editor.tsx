// The expression editor: completion from the server's labels, errors from its parser, help for the function at hand.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting, syntaxTree } from "@codemirror/language";
import { forceLinting, linter, lintKeymap } from "@codemirror/lint";
import { highlightSelectionMatches } from "@codemirror/search";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, hoverTooltip, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { functionIdentifierTerms } from "@prometheus-io/codemirror-promql/dist/esm/complete/promql.terms";
import { useEffect, useImperativeHandle, useRef, useState, type Ref } from "react";
import { authorized, prefix } from "../api/client";
import { check, fromNotes } from "./lint";

const colours = HighlightStyle.define([
  { tag: [tags.name], color: "var(--ink)" },
  { tag: [tags.number], color: "var(--code-number)" },
  { tag: [tags.string], color: "var(--code-string)" },
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "var(--code-keyword)", fontWeight: "600" },
  { tag: [tags.function(tags.variableName)], color: "var(--code-function)" },
  { tag: [tags.labelName], color: "var(--code-label)" },
  { tag: [tags.operator, tags.paren, tags.squareBracket, tags.brace], color: "var(--ink-2)" },
  { tag: [tags.comment], color: "var(--ink-3)", fontStyle: "italic" },
  { tag: [tags.invalid], color: "var(--bad)" },
]);

const FUNCTIONS = new Map(functionIdentifierTerms.map((term) => [term.label, term]));

function helpAt(state: EditorState, pos: number): string | undefined {
  // The innermost call around the caret.
  for (let node = syntaxTree(state).resolveInner(pos, -1); ; node = node.parent) {
    if (node.name === "FunctionCall" || node.name === "AggregateExpr") {
      const name = /^\w+/.exec(state.sliceDoc(node.from, node.to))?.[0] ?? "";
      const term = FUNCTIONS.get(name);
      return term ? `${name}: ${term.info}` : undefined;
    }
    if (!node.parent) return undefined;
  }
}

const hover = hoverTooltip((view, pos) => {
  const word = view.state.wordAt(pos);
  const term = word && FUNCTIONS.get(view.state.sliceDoc(word.from, word.to));
  if (!word || !term) return null;
  return {
    pos: word.from,
    end: word.to,
    create: () => {
      const dom = document.createElement("div");
      dom.className = "cm-help";
      dom.textContent = `${term.label} (${term.detail ?? "function"}): ${term.info ?? ""}`;
      return { dom };
    },
  };
});

export interface EditorHandle {
  focus(): void;
  text(): string;
}

interface Props {
  value: string;
  label: string;
  onRun: (text: string) => void;
  onChange?: (text: string) => void;
  /** What the last answer warned of, with places. */
  warnings?: string[];
  infos?: string[];
  autoFocus?: boolean;
  ref?: Ref<EditorHandle>;
}

export function Editor({ value, label, onRun, onChange, warnings = [], infos = [], autoFocus, ref }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const live = useRef({ onRun, onChange, asked: value, warnings, infos });
  const [help, setHelp] = useState<string>();
  live.current = { onRun, onChange, asked: value, warnings, infos };

  useImperativeHandle(ref, () => ({ focus: () => view.current?.focus(), text: () => view.current?.state.doc.toString() ?? "" }), []);

  // biome-ignore lint: the editor is made once; what changes goes through `live`
  useEffect(() => {
    const promql = new PromQLExtension()
      .activateLinter(false)
      .setComplete({ remote: { url: prefix || "/", apiPrefix: prefix ? "/api/v1" : "api/v1", fetchFn: authorized, lookbackInterval: 43_200_000 } });
    const run = (editor: EditorView) => {
      live.current.onRun(editor.state.doc.toString());
      return true;
    };
    const editor = new EditorView({
      parent: host.current as HTMLElement,
      state: EditorState.create({
        doc: value,
        extensions: [
          history(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          highlightSelectionMatches(),
          syntaxHighlighting(colours),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off" }),
          placeholder("Write an expression, for example  rate(http_requests_total[5m])"),
          promql.asExtension(),
          hover,
          linter(async (editor) => {
            const text = editor.state.doc.toString();
            const found = await check(editor.state);
            const { asked, warnings, infos } = live.current;
            return found.length > 0 || text !== asked ? found : [...fromNotes(text, warnings, "warning"), ...fromNotes(text, infos, "info")];
          }, { delay: 350 }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) live.current.onChange?.(update.state.doc.toString());
            if (update.docChanged || update.selectionSet || update.focusChanged) {
              setHelp(update.view.hasFocus ? helpAt(update.state, update.state.selection.main.head) : undefined);
            }
          }),
          Prec.high(
            keymap.of([
              { key: "Mod-Enter", run },
              { key: "Shift-Enter", run: insertNewlineAndIndent },
              { key: "Alt-/", run: startCompletion },
            ]),
          ),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, { key: "Enter", run }, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        ],
      }),
    });
    view.current = editor;
    if (autoFocus) editor.focus();
    return () => {
      editor.destroy();
      promql.destroy();
    };
  }, []);

  // Text that comes from elsewhere: history, the format button, the browser's back.
  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);
  const notes = [...warnings, ...infos].join("\n");
  // biome-ignore lint: looks again once an answer brought other notes
  useEffect(() => {
    if (view.current) forceLinting(view.current);
  }, [notes]);

  return (
    <div className="editor">
      <div ref={host} className="editor-host" />
      {help && <div className="editor-help clip" title={help}>{help}</div>}
    </div>
  );
}
