// The expression editor: completion from the server's labels, errors from its parser, signatures of functions.
import { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, type CompletionSource, moveCompletionSelection, startCompletion } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { forceLinting, linter, lintKeymap } from "@codemirror/lint";
import { highlightSelectionMatches } from "@codemirror/search";
import { EditorState, Prec, StateEffect } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useImperativeHandle, useRef, type Ref } from "react";
import { authorized, prefix } from "../api/client";
import { check, fromNotes } from "./lint";
import { history as asked } from "./remember";
import { signatures } from "./signature";

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

const PAST_OFFERED = 6;

/** Earlier expressions that begin with what stands there. */
const past: CompletionSource = ({ state, pos }) => {
  const text = state.doc.toString();
  const found = pos === text.length && text !== "" ? asked().filter((one) => one.startsWith(text) && one !== text) : [];
  return found.length === 0 ? null : { from: 0, filter: false, options: found.slice(0, PAST_OFFERED).map((label) => ({ label, detail: "asked before", boost: -99 })) };
};

/** As in a shell: from an empty editor, or from an earlier expression, to the one before or after it. */
const walk = (by: 1 | -1) => (editor: EditorView) => {
  const { doc } = editor.state;
  const [all, text] = [asked(), doc.toString()];
  const at = text === "" ? -1 : all.indexOf(text);
  const next = at + by < 0 ? "" : all[at + by];
  if ((at < 0 && text !== "") || (at < 0 && by < 0) || next === undefined || doc.lines > 1) return false;
  editor.dispatch({ changes: { from: 0, to: doc.length, insert: next }, selection: { anchor: next.length } });
  return true;
};

/** Takes what is picked, or the first that goes on with a begun word. Elsewhere Tab leaves the editor, whatever is offered. */
const complete = (editor: EditorView) => {
  const { head } = editor.state.selection.main;
  const begun = /\w/.test(editor.state.sliceDoc(Math.max(0, head - 1), head));
  return acceptCompletion(editor) || (begun && moveCompletionSelection(true)(editor) && acceptCompletion(editor));
};

/** The answer brought other warnings: without it the editor has no reason to look again. */
const noted = StateEffect.define<null>();

export interface EditorHandle {
  focus(): void;
  text(): string;
}

interface Props {
  value: string;
  label: string;
  onRun: (text: string) => void;
  /** What the last answer warned of, with places. */
  warnings?: string[];
  infos?: string[];
  ref?: Ref<EditorHandle>;
}

export function Editor({ value, label, onRun, warnings = [], infos = [], ref }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  const live = useRef({ onRun, asked: value, warnings, infos });
  live.current = { onRun, asked: value, warnings, infos };

  useImperativeHandle(ref, () => ({ focus: () => view.current?.focus(), text: () => view.current?.state.doc.toString() ?? "" }), []);

  // biome-ignore lint: the editor is made once; what changes goes through `live`
  useEffect(() => {
    const promql = new PromQLExtension()
      .activateLinter(false)
      .setComplete({ remote: { url: prefix || "/", apiPrefix: prefix ? "/api/v1" : "api/v1", fetchFn: authorized, lookbackInterval: 43_200_000 } });
    const run = (editor: EditorView) => {
      // Also what is still looked up: it would open over the answer.
      closeCompletion(editor);
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
          // The list opens by itself, at a moment that nobody foresees: what Enter does must not hang on it. So nothing is
          // picked until the arrows pick it, and no key has to wait until a reader can have seen the list.
          autocompletion({ selectOnOpen: false, interactionDelay: 0 }),
          highlightSelectionMatches(),
          syntaxHighlighting(colours),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", autocapitalize: "off" }),
          placeholder("Write an expression, for example  rate(http_requests_total[5m])"),
          promql.asExtension(),
          EditorState.languageData.of(() => [{ autocomplete: past }]),
          signatures,
          linter(async (editor) => {
            const text = editor.state.doc.toString();
            const found = await check(editor.state);
            const { asked, warnings, infos } = live.current;
            return found.length > 0 || text !== asked ? found : [...fromNotes(text, warnings, "warning"), ...fromNotes(text, infos, "info")];
          }, { delay: 350, needsRefresh: (update) => update.transactions.some((one) => one.effects.some((effect) => effect.is(noted))) }),
          Prec.high(
            keymap.of([
              { key: "Mod-Enter", run },
              { key: "Shift-Enter", run: insertNewlineAndIndent },
              { key: "Alt-/", run: startCompletion },
            ]),
          ),
          keymap.of([...closeBracketsKeymap, { key: "Tab", run: complete }, { key: "Enter", run }, { key: "ArrowUp", run: walk(1) }, { key: "ArrowDown", run: walk(-1) }, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        ],
      }),
    });
    view.current = editor;
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
    view.current?.dispatch({ effects: noted.of(null) });
    if (view.current) forceLinting(view.current);
  }, [notes]);

  return (
    <div className="editor">
      <div ref={host} className="editor-host" />
    </div>
  );
}
