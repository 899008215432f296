// Labels as text, never as markup: React escapes them, and `unicode-bidi` keeps right-to-left values in their place.
import { memo } from "react";
import type { Labels } from "../api/types";

const PLAIN_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
const PLAIN_METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

export function quote(value: string): string {
  return `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

/** A label's name as PromQL reads it; names beyond ASCII stand in quotes. */
export const labelName = (name: string) => (PLAIN_NAME.test(name) ? name : quote(name));

/** `name="value"` */
export const matcher = (name: string, value: string, how = "=") => `${labelName(name)}${how}${quote(value)}`;

/** A selector that means exactly these labels, in PromQL. */
export function selector(labels: Labels): string {
  const name = labels["__name__"] ?? "";
  const plain = PLAIN_METRIC.test(name);
  const rest = Object.entries(labels)
    .filter(([key]) => key !== "__name__")
    .map(([key, value]) => matcher(key, value));
  if (name && !plain) rest.unshift(quote(name));
  return `${plain ? name : ""}${rest.length > 0 || !plain ? `{${rest.join(", ")}}` : ""}`;
}

const sortedLabels = (labels: Labels) =>
  Object.entries(labels).filter(([name]) => name !== "__name__").sort(([left], [right]) => (left < right ? -1 : 1));

export const LabelSet = memo(function LabelSet({ labels, hide = [], onPick }: { labels: Labels; hide?: string[]; onPick?: (name: string, value: string) => void }) {
  const shown = Object.entries(labels).filter(([name]) => !hide.includes(name)).sort(([left], [right]) => (left < right ? -1 : 1));
  return (
    <span className="labels">
      {shown.map(([name, value]) => {
        const inside = (
          <>
            <span className="k">{name}=</span>
            <span className="v" dir="auto">{value}</span>
          </>
        );
        const title = `${name}="${value}"`;
        return onPick ? (
          <button type="button" className="label" key={name} title={title} onClick={() => onPick(name, value)}>{inside}</button>
        ) : (
          <span className="label" key={name} title={title}>{inside}</span>
        );
      })}
    </span>
  );
});

/** A series on one line. */
export const SeriesName = memo(function SeriesName({ labels }: { labels: Labels }) {
  const rest = sortedLabels(labels);
  return (
    <span className="series-name" title={selector(labels)}>
      {labels["__name__"] && <b>{labels["__name__"]}</b>}
      {(rest.length > 0 || !labels["__name__"]) && <span className="k">{"{"}</span>}
      {rest.map(([name, value], index) => (
        <span key={name}>
          {index > 0 && <span className="k">, </span>}
          <span className="k">{name}=</span>
          <span className="v" dir="auto">"{value}"</span>
        </span>
      ))}
      {(rest.length > 0 || !labels["__name__"]) && <span className="k">{"}"}</span>}
    </span>
  );
});
