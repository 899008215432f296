// What a function takes and gives: beside the caret while its arguments are written, and over its name.
import { syntaxTree } from "@codemirror/language";
import { type EditorState, type Extension, Prec, StateEffect, StateField } from "@codemirror/state";
import { EditorView, hoverTooltip, keymap, showTooltip, type Tooltip } from "@codemirror/view";
import type { SyntaxNode } from "@lezer/common";
import { aggregateOpTerms, functionIdentifierTerms } from "@prometheus-io/codemirror-promql/dist/esm/complete/promql.terms";
import { getFunction, type ValueType } from "@prometheus-io/codemirror-promql/dist/esm/types/function";

export interface Signature {
  name: string;
  parameters: string[];
  gives: string;
  about: string;
}

const KINDS: Record<`${ValueType}`, string> = { none: "nothing", vector: "vector", scalar: "number", matrix: "range", string: "text" };

/** Where the kind of a parameter does not say what it is for. */
const NAMES: Record<string, string[]> = {
  clamp: ["vector", "least", "most"],
  clamp_max: ["vector", "most"],
  clamp_min: ["vector", "least"],
  double_exponential_smoothing: ["range", "smoothing 0–1", "trend 0–1"],
  histogram_fraction: ["above", "up to", "histograms"],
  histogram_quantile: ["φ 0–1", "histograms or buckets"],
  histogram_quantiles: ["histograms or buckets", "label for φ", "φ 0–1"],
  info: ["vector", "{data labels}"],
  label_join: ["vector", "new label", "separator", "source label"],
  label_replace: ["vector", "new label", "replacement with $1", "source label", "regex"],
  predict_linear: ["range", "seconds ahead"],
  quantile_over_time: ["φ 0–1", "range"],
  round: ["vector", "to multiples of"],
  sort_by_label: ["vector", "label"],
  sort_by_label_desc: ["vector", "label"],
};
const AGGREGATIONS: Record<string, string[]> = {
  bottomk: ["k", "vector"], count_values: ["label for the value", "vector"], limit_ratio: ["ratio −1–1", "vector"], limitk: ["k", "vector"], quantile: ["φ 0–1", "vector"], topk: ["k", "vector"],
};

const ABOUT = new Map([...functionIdentifierTerms, ...aggregateOpTerms].map(({ label, info }) => [label, info ?? ""]));

/** Of a call or an aggregation in the tree. */
function signatureOf(state: EditorState, call: SyntaxNode): Signature | undefined {
  const id = call.firstChild?.firstChild;
  if (!id) return undefined;
  const name = state.sliceDoc(id.from, id.to).toLowerCase();
  const about = ABOUT.get(name) ?? "";
  if (call.name === "AggregateExpr") return { name, parameters: AGGREGATIONS[name] ?? ["vector"], gives: "vector", about };
  const known = getFunction(id.type.id);
  if (!known) return undefined;
  const named = NAMES[name] ?? known.argTypes.map((kind) => KINDS[kind]);
  // As in Prometheus: with a `variadic` the last type is optional, below zero it may come as often as one likes.
  const parameters = named.map((text, index) => (known.variadic !== 0 && index === named.length - 1 ? `[${text}${known.variadic === 1 ? "" : " …"}]` : text));
  return { name, parameters, gives: KINDS[known.returnType], about };
}

/** The innermost call whose brackets hold the place, and which argument that is. */
export function callAt(state: EditorState, pos: number): { signature: Signature; argument: number; from: number } | undefined {
  for (let node: SyntaxNode | null = syntaxTree(state).resolveInner(pos, -1); node; node = node.parent) {
    const call = node.parent;
    if (node.name !== "FunctionCallBody" || !call || pos <= node.from) continue;
    const closed = state.sliceDoc(node.to - 1, node.to) === ")";
    if (pos > node.to || (pos === node.to && closed)) continue;
    const signature = signatureOf(state, call);
    if (signature) return { signature, argument: commasBefore(state, node, pos), from: call.from };
  }
  return undefined;
}

function commasBefore(state: EditorState, body: SyntaxNode, pos: number): number {
  let commas = 0;
  let at = body.from;
  // Only between the arguments: what stands inside them has commas of its own.
  for (let child = body.firstChild; at < pos; child = child.nextSibling) {
    commas += state.sliceDoc(at, Math.min(pos, child?.from ?? body.to)).split(",").length - 1;
    if (!child) break;
    at = child.to;
  }
  return commas;
}

function draw({ name, parameters, gives, about }: Signature, argument?: number): HTMLElement {
  const dom = document.createElement("div");
  dom.className = "cm-help";
  const line = dom.appendChild(document.createElement("div"));
  line.className = "cm-signature";
  const add = (text: string, kind = "") => {
    const part = line.appendChild(document.createElement(kind === "now" ? "b" : "span"));
    part.className = kind;
    part.textContent = text;
  };
  add(name, "name");
  add("(");
  parameters.forEach((parameter, index) => {
    if (index > 0) add(", ");
    // Whatever comes behind the last one is one more of it.
    add(parameter, argument !== undefined && Math.min(argument, parameters.length - 1) === index ? "now" : "");
  });
  add(")");
  add(` → ${gives}`, "gives");
  if (about) dom.appendChild(document.createElement("div")).textContent = about;
  return dom;
}

const dismiss = StateEffect.define<null>();
const focused = StateEffect.define<boolean>();

interface Shown {
  focus: boolean;
  /** The call that Escape sent away: where it begins. */
  dismissed: number | undefined;
  key: string;
  tooltip: Tooltip | null;
}

const shown = StateField.define<Shown>({
  create: () => ({ focus: false, dismissed: undefined, key: "", tooltip: null }),
  update(before, transaction) {
    const effects = transaction.effects.filter((effect) => effect.is(focused) || effect.is(dismiss));
    if (!transaction.docChanged && !transaction.selection && effects.length === 0) return before;
    const focus = effects.reduce((now, effect) => (effect.is(focused) ? effect.value : now), before.focus);
    const { main } = transaction.state.selection;
    const call = focus && main.empty ? callAt(transaction.state, main.head) : undefined;
    const dismissed = effects.some((effect) => effect.is(dismiss)) ? call?.from : call?.from === before.dismissed ? before.dismissed : undefined;
    if (!call || call.from === dismissed) return { focus, dismissed, key: "", tooltip: null };
    const key = `${call.from} ${call.signature.name} ${call.argument}`;
    // The same box stays where it is while an argument is typed.
    const tooltip = key === before.key ? before.tooltip : { pos: call.from, above: true, create: () => ({ dom: draw(call.signature, call.argument) }) };
    return { focus, dismissed, key, tooltip };
  },
  provide: (field) => showTooltip.from(field, (one) => one.tooltip),
});

const hover = hoverTooltip((view, pos, side) => {
  const id = syntaxTree(view.state).resolveInner(pos, side);
  const call = id.parent?.parent;
  const signature = call && /^(FunctionIdentifier|AggregateOp)$/.test(id.parent?.name ?? "") ? signatureOf(view.state, call) : undefined;
  return signature ? { pos: id.from, end: id.to, create: () => ({ dom: draw(signature) }) } : null;
});

export const signatures: Extension = [
  shown,
  hover,
  EditorView.focusChangeEffect.of((_, focus) => focused.of(focus)),
  Prec.low(
    keymap.of([
      {
        key: "Escape",
        run: (view) => {
          if (!view.state.field(shown).tooltip) return false;
          view.dispatch({ effects: dismiss.of(null) });
          return true;
        },
      },
    ]),
  ),
];
