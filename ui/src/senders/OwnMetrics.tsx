// Prometheus servers by their own metrics, which are stored here because they scrape themselves.
import { IconPlugConnected } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { Link } from "wouter";
import { ask } from "../api/client";
import { useHa } from "../api/ha";
import type { QueryAnswer, Series } from "../api/types";
import { short } from "../parts/number";
import { labelName, quote } from "../parts/labels";
import { queryLink } from "../parts/search";
import { Empty, Problem, Snippet, Wait } from "../parts/state";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { showSpan } from "../time/range";

/** What is asked for, by the name of the column; `BY` stands for the labels that tell one Prometheus from another. */
const ASKED = {
  rate: "sum BY (rate(prometheus_remote_storage_samples_total[2m]))",
  pending: "sum BY (prometheus_remote_storage_samples_pending)",
  lag: "max BY (prometheus_remote_storage_highest_timestamp_in_seconds) - min BY (prometheus_remote_storage_queue_highest_sent_timestamp_seconds)",
  failed: "sum BY (increase(prometheus_remote_storage_samples_failed_total[1h]))",
  retried: "sum BY (increase(prometheus_remote_storage_samples_retried_total[1h]))",
  dropped: "sum BY (increase(prometheus_remote_storage_samples_dropped_total[1h]))",
  shards: "sum BY (prometheus_remote_storage_shards)",
} as const;

interface Row extends Partial<Record<keyof typeof ASKED, number>> {
  instance: string;
  cluster: string;
  version?: string;
}

function useRows() {
  const ha = useHa();
  const naming = ha.data?.clusterLabels;
  return useQuery({
    queryKey: ["own-metrics", naming],
    enabled: !ha.isPending,
    queryFn: async ({ signal }) => {
      const instant = async (query: string) => (await ask<QueryAnswer>("/api/v1/query", { query }, { method: "POST", signal })).data.result as Series[];
      const names = Object.keys(ASKED) as (keyof typeof ASKED)[];
      const by = `by (${[...(naming ?? []), "instance"].map(labelName).join(", ")})`;
      const [versions, ...columns] = await Promise.all([instant("prometheus_build_info"), ...names.map((name) => instant(ASKED[name].replaceAll("BY", by)))]);
      const found = new Map<string, Row>();
      const who = ({ metric }: Series) => [naming?.map((name) => metric[name]).find(Boolean) ?? "", metric["instance"] ?? ""] as const;
      const row = (series: Series) => {
        const [cluster, instance] = who(series);
        const one = found.get(`${cluster} ${instance}`) ?? { cluster, instance };
        found.set(`${cluster} ${instance}`, one);
        return one;
      };
      names.forEach((name, index) => {
        for (const series of columns[index] ?? []) row(series)[name] = Number(series.value?.[1]);
      });
      for (const series of versions ?? []) {
        const known = found.get(who(series).join(" "));
        if (known && series.metric["version"]) known.version = series.metric["version"];
      }
      return [...found.values()].sort((left, right) => (left.cluster + left.instance < right.cluster + right.instance ? -1 : 1));
    },
    refetchInterval: 10_000,
  });
}

const figure = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? <span className="dim">–</span> : short(value));
const number = (key: keyof typeof ASKED, title: string, width: string, show: (value: number | undefined) => ReactNode = figure): Column<Row> => ({ key, title, width, right: true, by: (row) => row[key] ?? -1, show: (row) => show(row[key]) });

const COLUMNS: Column<Row>[] = [
  { key: "cluster", title: "Pair", width: "minmax(80px, 1fr)", by: (row) => row.cluster, show: (row) => (row.cluster ? <Link href="/pairs">{row.cluster}</Link> : <span className="dim">none</span>) },
  { key: "instance", title: "Prometheus", head: true, width: "minmax(150px, 1.6fr)", by: (row) => row.instance, show: (row) => <Link className="mono" href={queryLink(`rate(prometheus_remote_storage_samples_total{instance=${quote(row.instance)}}[2m])`)}>{row.instance}</Link> },
  { key: "version", title: "Version", width: "104px", by: (row) => row.version ?? "", show: (row) => <span title={row.version}>{row.version ?? "–"}</span> },
  number("rate", "Samples/s", "92px"),
  number("lag", "Lag", "80px", (lag) => (lag === undefined ? "–" : <span className={lag > 60 ? "bad" : lag > 15 ? "warn" : ""}>{showSpan(Math.max(0, lag))}</span>)),
  number("pending", "Waiting", "80px"),
  number("shards", "Shards", "70px"),
  number("failed", "Failed 1h", "86px", (failed) => (failed ? <span className="bad">{short(failed)}</span> : figure(failed))),
  number("retried", "Retried 1h", "92px"),
  number("dropped", "Dropped 1h", "98px"),
];

export function OwnMetrics() {
  const found = useRows();
  return (
    <section className="card" aria-label="Prometheus servers">
      <header><h2>Prometheus servers</h2><span className="dim small">by their own metrics, which are stored here</span></header>
      {found.error && !found.data ? (
        <div className="body"><Problem error={found.error} what="Their metrics could not be asked for." retry={() => void found.refetch()} /></div>
      ) : !found.data ? (
        <Wait height={120} />
      ) : found.data.length === 0 ? (
        <Empty title="No Prometheus tells of its queue" icon={<IconPlugConnected size={36} stroke={1.4} />}>
          <p>Let each Prometheus scrape itself: its lag, its queue and what it dropped then stand here, and can be alerted on.</p>
          <Snippet text={'scrape_configs:\n  - job_name: prometheus\n    static_configs: [{targets: ["localhost:9090"]}]'} />
        </Empty>
      ) : (
        <VirtualTable rows={found.data} columns={COLUMNS} label="Prometheus servers by their metrics" height={420} rowHeight={36} least={980} />
      )}
    </section>
  );
}
