// The first screen: what to ask, or, where nothing has arrived yet, how to send.
import { useQuery } from "@tanstack/react-query";
import { Link } from "wouter";
import { data } from "../api/client";
import { useHa } from "../api/ha";
import { pairLabels, remoteWrite } from "../parts/setup";
import { Snippet, Wait } from "../parts/state";
import type { Tab } from "./state";
import { history } from "./remember";

const STARTS: { expr: string; what: string; tab: Tab }[] = [
  { expr: "up", what: "Which targets are up?", tab: "table" },
  { expr: "sum by (job) (rate(prometheus_remote_storage_samples_total[5m]))", what: "What does each Prometheus send?", tab: "graph" },
  { expr: "topk(10, count by (__name__) ({__name__=~\".+\"}))", what: "Which metrics have most series?", tab: "table" },
  { expr: "sum by (cluster) (rate(node_cpu_seconds_total{mode!=\"idle\"}[5m]))", what: "How busy are the machines?", tab: "graph" },
  { expr: "ALERTS{alertstate=\"firing\"}", what: "What fires now?", tab: "table" },
];

export function FirstSteps({ onPick }: { onPick: (expr: string, tab: Tab) => void }) {
  const some = useQuery({
    queryKey: ["any-series"],
    queryFn: ({ signal }) => data<string[]>("/api/v1/label/__name__/values", { limit: 1 }, { signal }),
    refetchInterval: (query) => (query.state.data?.length ? false : 3_000),
  });
  if (!some.data) return some.error ? null : <Wait height={200} />;
  if (some.data.length === 0) return <NothingYet />;
  const past = history().slice(0, 5);
  return (
    <section className="first-grid" aria-label="Suggestions">
      <div>
        <h2>Good first questions</h2>
        <ul>
          {STARTS.map(({ expr, what, tab }) => (
            <li key={expr}>
              <button type="button" onClick={() => onPick(expr, tab)}>
                <span>{what}</span>
                <code className="clip">{expr}</code>
              </button>
            </li>
          ))}
        </ul>
      </div>
      <div>
        <h2>{past.length > 0 ? "Asked before" : "By keyboard"}</h2>
        <ul>
          {past.map((expr) => (
            <li key={expr}>
              <button type="button" onClick={() => onPick(expr, "graph")}><code className="clip">{expr}</code></button>
            </li>
          ))}
        </ul>
        <dl className="keys">
          <dt><kbd>Enter</kbd></dt><dd>ask</dd>
          <dt><kbd>Shift</kbd> <kbd>Enter</kbd></dt><dd>new line</dd>
          <dt><kbd>↑</kbd></dt><dd>what was asked before</dd>
          <dt><kbd>/</kbd></dt><dd>to the editor</dd>
          <dt><kbd>Ctrl</kbd> <kbd>K</kbd></dt><dd>find pages, metrics, alerts</dd>
          <dt><kbd>g</kbd> <kbd>h</kbd></dt><dd>to the HA pairs; the rail's tips name the others</dd>
        </dl>
      </div>
    </section>
  );
}

function NothingYet() {
  const ha = useHa();
  return (
    <section className="card first">
      <div className="body stack">
        <h2>Nothing has arrived yet</h2>
        <p className="soft">Both Prometheus servers of a pair get these lines; only the value of {ha.data?.replicaLabel ?? "__replica__"} differs. This page notices by itself when the first samples are here.</p>
        <Snippet label="Copy the configuration" text={`${pairLabels(ha.data)}\n\n${remoteWrite()}`} />
        <p className="soft">What else a new Weir needs, and whether it is done, stands on <Link href="/status">the status page</Link>.</p>
      </div>
    </section>
  );
}
