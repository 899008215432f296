// What lies stored, before and after the pair became one series.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ApiError, data } from "../api/client";
import { useExplained } from "../api/ha";
import { matcher, selector } from "../parts/labels";
import { Empty, Problem, Wait } from "../parts/state";
import { Lanes } from "../ha/Lanes";
import { type Range, showSpan } from "../time/range";
import { StoredSamples } from "./StoredSamples";

/** A replica's rows are shown for at most so long: the answer holds 2,000 of each. */
const SPAN_MAX = 3600;
const SERIES_SHOWN = 20;

interface Node {
  type: string;
  name?: string;
  matchers?: { name: string; type: string; value: string }[];
  [part: string]: unknown;
}

/** The selectors of a syntax tree, as text, in order. */
function selectors(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(selectors);
  if (typeof node !== "object" || node === null) return [];
  const one = node as Node;
  if ((one.type === "vectorSelector" || one.type === "matrixSelector") && one.matchers) {
    return [`{${one.matchers.map(({ name, type, value }) => matcher(name, value, type)).join(", ")}}`];
  }
  return Object.values(one).flatMap(selectors);
}

export function RawView({ expr, range }: { expr: string; range: Range }) {
  const tree = useQuery({ queryKey: ["tree", expr], queryFn: ({ signal }) => data<unknown>("/api/v1/parse_query", { query: expr }, { method: "POST", signal }), staleTime: Number.POSITIVE_INFINITY });
  const found = useMemo(() => [...new Set(selectors(tree.data))], [tree.data]);
  const [picked, setPicked] = useState(0);
  const match = found[Math.min(picked, found.length - 1)] ?? "";
  const start = Math.max(range.start, range.end - SPAN_MAX);
  const explained = useExplained(match, start, range.end, SERIES_SHOWN, match !== "");
  const [at, setAt] = useState(0);
  if (tree.error) return <Problem error={tree.error} what="The expression does not parse." />;
  // Who may read samples may still not be told which replica sent them.
  const untold = explained.error instanceof ApiError && explained.error.status === 403;
  if (explained.error && !untold) return <Problem error={explained.error} what="The stored samples could not be read." retry={() => void explained.refetch()} />;
  if (!tree.data || (match && !explained.data && !untold)) return <Wait height={320} />;
  if (found.length === 0) return <Empty title="This expression reads no series"><p>Raw samples belong to selectors such as up{"{"}job="node"{"}"}.</p></Empty>;
  const series = explained.data?.series ?? [];
  const shown = series[Math.min(at, series.length - 1)];
  return (
    <div className="raw">
      <div className="row wrap raw-pick">
        {found.length > 1 && (
          <select className="field" aria-label="Selector" value={picked} onChange={(event) => { setPicked(Number(event.target.value)); setAt(0); }}>
            {found.map((one, index) => <option key={one} value={index}>{one}</option>)}
          </select>
        )}
        {series.length > 1 && (
          <select className="field grow mono" aria-label="Series" value={Math.min(at, series.length - 1)} onChange={(event) => setAt(Number(event.target.value))}>
            {series.map((one, index) => <option key={selector(one.labels)} value={index}>{selector(one.labels)}</option>)}
          </select>
        )}
        {explained.data?.truncated && <span className="dim small">The first {series.length} series; add matchers to see others.</span>}
        {range.end - range.start > SPAN_MAX && <span className="dim small">The last {showSpan(SPAN_MAX)} of the range.</span>}
      </div>
      {shown && explained.data ? <Lanes key={selector(shown.labels)} series={shown} start={explained.data.start} end={explained.data.end} /> : <StoredSamples match={match} range={range} why={untold ? "Which replica sent them is told to tokens with the right status." : "No replica sent them: nothing was chosen or left out."} />}
    </div>
  );
}
