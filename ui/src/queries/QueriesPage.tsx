// What runs, what was heavy, and who asked.
import { IconPlayerStop } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";
import { ask, data } from "../api/client";
import type { ActiveQuery, TopQueries, TopQuery } from "../api/types";
import { Segments, Share } from "../parts/figures";
import { bytes, count, took, whole } from "../parts/number";
import { queryLink, useParams } from "../parts/search";
import { Empty, Problem, Wait } from "../parts/state";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { showSpan } from "../time/range";

/** What every browser says of itself, and nobody reads. */
const BROWSER = / Mozilla\/.*?(?= dashboard | panel |$)/;

type By = "total" | "average" | "count" | "memory";

export function asker(query: ActiveQuery): { who: string; more: string } {
  if (query.rule) return { who: `rule ${query.rule}`, more: `${query.rule_group ?? ""} in ${query.rule_file ?? ""}` };
  if (query.dashboard) return { who: `dashboard ${query.dashboard}${query.panel ? `, panel ${query.panel}` : ""}`, more: `${query.remote_addr} ${query.user_agent ?? ""}` };
  const agent = query.user_agent ?? "";
  const name = /Mozilla/.test(agent) ? "a browser" : agent.split(/[ /]/)[0] || "a program";
  return { who: `${name} at ${query.remote_addr || "this machine"}`, more: agent };
}

export default function QueriesPage() {
  const [{ by: wanted, within }, set] = useParams("by", "within");
  const by = (["total", "average", "count", "memory"].includes(wanted) ? wanted : "total") as By;
  const lifetime = within || "1h";
  const active = useQuery({ queryKey: ["active-queries"], queryFn: ({ signal }) => data<ActiveQuery[]>("/api/v1/status/active_queries", {}, { signal }), refetchInterval: 2_000 });
  const top = useQuery({ queryKey: ["top-queries", lifetime], queryFn: ({ signal }) => ask<TopQueries>("/api/v1/status/top_queries", { topN: 200, maxLifetime: lifetime }, { signal }), refetchInterval: 15_000 });
  return (
    <>
      <div className="page-head"><h1>Queries</h1></div>
      <section className="card" aria-label="Running now">
        <header><h2>Running now</h2><span className="dim small num">{active.data ? count(active.data.length, "query", "queries") : ""}</span></header>
        {active.error && !active.data ? <div className="body"><Problem error={active.error} what="Running queries could not be listed." /></div> : !active.data ? <Wait height={90} /> : <Active queries={active.data} />}
      </section>
      <section className="card" aria-label="Most expensive">
        <header>
          <h2 className="grow">Most expensive</h2>
          <Segments<By> label="By" value={by} onChange={(next) => set({ by: next }, true)} options={[{ value: "total", label: "Time in all" }, { value: "average", label: "Time each" }, { value: "count", label: "How often" }, { value: "memory", label: "Memory" }]} />
          <select className="field" aria-label="Within" value={lifetime} onChange={(event) => set({ within: event.target.value }, true)}>
            {["10m", "1h", "6h", "1d", "7d"].map((one) => <option key={one} value={one}>Last {one}</option>)}
          </select>
        </header>
        {top.error && !top.data ? <div className="body"><Problem error={top.error} what="The list could not be read." /></div> : !top.data ? <Wait height={320} /> : <Top top={top.data} by={by} />}
      </section>
      <p className="dim small">Queries slower than <code>query.log_slower_than</code> also stand in the query log, each with its asker, time and samples.</p>
    </>
  );
}

function Active({ queries }: { queries: ActiveQuery[] }) {
  const client = useQueryClient();
  const cancel = useMutation({
    mutationFn: (id: string) => ask("/api/v1/status/active_queries/cancel", { id }, { method: "POST" }),
    onSettled: () => client.invalidateQueries({ queryKey: ["active-queries"] }),
  });
  if (queries.length === 0) return <p className="wait" style={{ minHeight: 90 }}>Nothing runs at this moment.</p>;
  return (
    <div className="scroll-x">
      <table className="plain">
        <thead><tr><th>Query</th><th>Asked by</th><th className="r">For</th><th className="r">Range</th><th>State</th><th><span className="sr">Stop</span></th></tr></thead>
        <tbody>
          {queries.map((query) => {
            const { who, more } = asker(query);
            return (
              <tr key={query.id}>
                <td className="mono wrapped" style={{ minWidth: 240 }}>{query.query}</td>
                <td title={more}>{who}</td>
                <td className="r">{query.duration}</td>
                <td className="r">{query.end > query.start ? showSpan((query.end - query.start) / 1000) : "instant"}</td>
                <td><span className={`state ${query.state === "running" ? "accent" : "warn"}`}>{query.state}</span></td>
                <td><button type="button" className="btn sm" disabled={cancel.isPending} onClick={() => cancel.mutate(query.id)}><IconPlayerStop size={14} aria-hidden />Stop</button></td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

const cost = (query: TopQuery, by: By) => (by === "total" ? query.sumDurationSeconds : by === "average" ? query.avgDurationSeconds : by === "memory" ? query.avgMemoryBytes : query.count) ?? 0;

function Top({ top, by }: { top: TopQueries; by: By }) {
  const list = by === "total" ? top.topBySumDuration : by === "average" ? top.topByAvgDuration : by === "memory" ? top.topByAvgMemoryUsage : top.topByCount;
  const most = Math.max(1e-9, ...list.map((query) => cost(query, by)));
  const columns = useMemo<Column<TopQuery>[]>(
    () => [
      { key: "query", title: "Query", width: "minmax(260px, 4fr)", by: (row) => row.query, show: (row) => <Link className="mono" href={queryLink(row.query, row.timeRangeSeconds > 0 ? "graph" : "table")} title={row.query}>{row.query}</Link> },
      { key: "asker", title: "Last asked by", wide: true, width: "minmax(180px, 2.2fr)", by: (row) => row.lastAsker, show: (row) => <span title={row.lastAsker}>{row.lastAsker.replace(BROWSER, " a browser")}</span> },
      { key: "range", title: "Range", width: "90px", right: true, by: (row) => row.timeRangeSeconds, show: (row) => (row.timeRangeSeconds > 0 ? showSpan(row.timeRangeSeconds) : "instant") },
      { key: "count", title: "Times", width: "90px", right: true, by: (row) => row.count, show: (row) => whole(row.count) },
      ...(by === "count" ? [] : [{ key: "cost", title: by === "memory" ? "Memory each" : by === "total" ? "Time in all" : "Time each", width: "110px", right: true, pin: true, by: (row: TopQuery) => cost(row, by), show: (row: TopQuery) => (by === "memory" ? bytes(cost(row, by)) : took(cost(row, by))) }]),
      { key: "share", title: "Beside the first", width: "minmax(80px, 1fr)", show: (row) => <Share part={cost(row, by) / most} /> },
    ],
    [by, most],
  );
  if (list.length === 0) return <Empty title="Nothing was asked within that time"><p>Take a longer time.</p></Empty>;
  return <VirtualTable rows={list} columns={columns} label="Most expensive queries" height={560} rowHeight={34} least={900} />;
}
