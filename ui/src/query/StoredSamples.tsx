// Samples as they are stored, where replicas are not told apart.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ask } from "../api/client";
import type { QueryAnswer, Series } from "../api/types";
import { selector } from "../parts/labels";
import { count, sample } from "../parts/number";
import { Empty, Problem, Wait } from "../parts/state";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { type Range, showSpan } from "../time/range";
import { showTime, useZone } from "../time/zone";

type Row = [at: number, value: string, since: number | undefined];

/** Samples of a short time alone: each is a row. */
const SPAN_MAX = 3600;

export function StoredSamples({ match, range, why }: { match: string; range: Range; why: string }) {
  const zone = useZone();
  const [at, setAt] = useState(0);
  const span = Math.min(SPAN_MAX, Math.max(1, Math.round(range.end - range.start)));
  const found = useQuery({
    queryKey: ["stored", match, range.end, span],
    queryFn: async ({ signal }) => (await ask<QueryAnswer>("/api/v1/query", { query: `${match}[${span}s]`, time: range.end, limit: 100 }, { method: "POST", signal })).data.result as Series[],
    staleTime: Number.POSITIVE_INFINITY,
  });
  const series = found.data?.[Math.min(at, (found.data?.length ?? 1) - 1)];
  const rows = useMemo<Row[]>(() => {
    const all = [...(series?.values ?? []), ...(series?.histograms ?? []).map(([at, histogram]): [number, string] => [at, `${histogram.count} observations`])];
    return all.map(([at, value], index): Row => [at, value, index > 0 ? at - (all[index - 1] as [number, string])[0] : undefined]).reverse();
  }, [series]);
  const columns = useMemo<Column<Row>[]>(
    () => [
      { key: "at", title: "Time", width: "226px", by: ([at]) => at, show: ([at]) => <span className="mono num">{showTime(at, zone, true)}</span> },
      { key: "value", title: "Value", width: "minmax(120px, 260px)", right: true, show: ([, value]) => <span className="mono num" title={value}>{sample(value)}</span> },
      { key: "since", title: "After the one before", width: "180px", right: true, by: ([, , since]) => since ?? 0, show: ([, , since]) => (since === undefined ? "–" : showSpan(since)) },
    ],
    [zone],
  );
  if (found.error) return <Problem error={found.error} what="The stored samples could not be read." retry={() => void found.refetch()} />;
  if (!found.data) return <Wait height={320} />;
  if (!series) return <Empty title="No sample is stored in this range"><p>The selector {match} matches nothing here. Take a later or a longer range.</p></Empty>;
  return (
    <>
      <select className="field mono" aria-label="Series" value={Math.min(at, found.data.length - 1)} onChange={(event) => setAt(Number(event.target.value))}>
        {found.data.map((one, index) => <option key={selector(one.metric)} value={index}>{selector(one.metric)}</option>)}
      </select>
      <VirtualTable rows={rows} columns={columns} label="Stored samples" height={460} rowHeight={30} least={560} />
      <p className="dim small">{count(rows.length, "sample")} of the last {showSpan(span)}. {why}</p>
    </>
  );
}
