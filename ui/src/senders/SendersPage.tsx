// Who writes here: how much, how late, and what was refused.
import "../status/status.css";
import { IconPlugConnected } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";
import { ask, data, prefix } from "../api/client";
import { type Sample, rates, total, useMetrics } from "../api/metrics";
import type { QueryAnswer, Series, Storage } from "../api/types";
import { Stat, Stats } from "../parts/figures";
import { bytes, short, whole } from "../parts/number";
import { queryLink } from "../parts/search";
import { Empty, Note, Problem, Snippet, Wait } from "../parts/state";
import { Spark } from "../parts/Spark";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { showSpan } from "../time/range";

interface Sender {
  instance: string;
  cluster: string;
  rate?: number;
  pending?: number;
  lag?: number;
  failed?: number;
  retried?: number;
  dropped?: number;
  shards?: number;
  version?: string;
}

/** What the senders' own metrics say, by the name of the column. They are stored here: they scrape themselves. */
const ASKED: Record<Exclude<keyof Sender, "instance" | "cluster" | "version">, string> = {
  rate: "sum by (cluster, instance) (rate(prometheus_remote_storage_samples_total[2m]))",
  pending: "sum by (cluster, instance) (prometheus_remote_storage_samples_pending)",
  lag: "max by (cluster, instance) (prometheus_remote_storage_highest_timestamp_in_seconds) - min by (cluster, instance) (prometheus_remote_storage_queue_highest_sent_timestamp_seconds)",
  failed: "sum by (cluster, instance) (increase(prometheus_remote_storage_samples_failed_total[1h]))",
  retried: "sum by (cluster, instance) (increase(prometheus_remote_storage_samples_retried_total[1h]))",
  dropped: "sum by (cluster, instance) (increase(prometheus_remote_storage_samples_dropped_total[1h]))",
  shards: "sum by (cluster, instance) (prometheus_remote_storage_shards)",
};

function useSenders() {
  return useQuery({
    queryKey: ["senders"],
    queryFn: async ({ signal }) => {
      const instant = async (query: string) => (await ask<QueryAnswer>("/api/v1/query", { query }, { method: "POST", signal })).data.result as Series[];
      const [versions, ...columns] = await Promise.all([instant("prometheus_build_info"), ...Object.values(ASKED).map(instant)]);
      const found = new Map<string, Sender>();
      const sender = ({ metric }: Series) => {
        const [cluster, instance] = [metric["cluster"] ?? "", metric["instance"] ?? ""];
        const key = `${cluster} ${instance}`;
        const one = found.get(key) ?? { cluster, instance };
        found.set(key, one);
        return one;
      };
      Object.keys(ASKED).forEach((name, index) => {
        for (const series of columns[index] ?? []) sender(series)[name as "rate"] = Number(series.value?.[1]);
      });
      for (const series of versions ?? []) {
        const key = `${series.metric["cluster"] ?? ""} ${series.metric["instance"] ?? ""}`;
        const known = found.get(key);
        if (known && series.metric["version"]) known.version = series.metric["version"];
      }
      return [...found.values()].sort((left, right) => (left.cluster + left.instance < right.cluster + right.instance ? -1 : 1));
    },
    refetchInterval: 10_000,
  });
}

const NOT_REASONS = new Set(["weir_tsdb_samples_refused_total"]);

export default function SendersPage() {
  const senders = useSenders();
  const storage = useQuery({ queryKey: ["storage"], queryFn: ({ signal }) => data<Storage>("/api/v1/status/storage", {}, { signal }), refetchInterval: 10_000 });
  const { now, past, error } = useMetrics();
  const samples = rates(past, "weir_tsdb_samples_total");
  const body = rates(past, "weir_ingest_body_bytes_total");
  const requests = rates(past, "weir_ingest_requests_total");
  const refused = useMemo(() => (now ? refusals(now.samples) : []), [now]);
  const reasons = refused.filter((one) => one.value > 0);
  const newSeries = rates(past, "weir_tsdb_series");
  const columns = useMemo<Column<Sender>[]>(
    () => [
      { key: "cluster", title: "Pair", width: "minmax(80px, 1fr)", by: (row) => row.cluster, show: (row) => row.cluster ? <Link href={`/pairs`}>{row.cluster}</Link> : <span className="dim">none</span> },
      { key: "instance", title: "Prometheus", width: "minmax(150px, 1.6fr)", by: (row) => row.instance, show: (row) => <Link className="mono" href={queryLink(`rate(prometheus_remote_storage_samples_total{instance=${JSON.stringify(row.instance)}}[2m])`)}>{row.instance}</Link> },
      { key: "version", title: "Version", width: "80px", by: (row) => row.version ?? "", show: (row) => row.version ?? "–" },
      { key: "rate", title: "Samples/s", width: "90px", right: true, by: (row) => row.rate ?? -1, show: (row) => figure(row.rate) },
      { key: "lag", title: "Lag", width: "80px", right: true, by: (row) => row.lag ?? -1, show: (row) => (row.lag === undefined ? "–" : <span className={row.lag > 60 ? "bad" : row.lag > 15 ? "warn" : ""}>{showSpan(Math.max(0, row.lag))}</span>) },
      { key: "pending", title: "Waiting", width: "80px", right: true, by: (row) => row.pending ?? -1, show: (row) => figure(row.pending) },
      { key: "shards", title: "Shards", width: "70px", right: true, by: (row) => row.shards ?? -1, show: (row) => figure(row.shards) },
      { key: "failed", title: "Failed 1h", width: "86px", right: true, by: (row) => row.failed ?? -1, show: (row) => alarming(row.failed) },
      { key: "retried", title: "Retried 1h", width: "90px", right: true, by: (row) => row.retried ?? -1, show: (row) => figure(row.retried) },
      { key: "dropped", title: "Dropped 1h", width: "94px", right: true, by: (row) => row.dropped ?? -1, show: (row) => figure(row.dropped) },
    ],
    [],
  );
  return (
    <>
      <div className="page-head"><h1>Senders</h1></div>
      {error !== undefined && error !== null && <Problem error={error} what="Weir's own counters could not be read." />}
      <Stats>
        <Stat name="Samples in" value={samples.length > 0 ? short(samples.at(-1) ?? 0) : "–"} unit="/s" more={<Spark values={samples} label="Samples per second lately" />} />
        <Stat name="Requests" value={requests.length > 0 ? short(requests.at(-1) ?? 0) : "–"} unit="/s" more={<Spark values={requests} label="Requests per second lately" />} />
        <Stat name="Bytes in" value={body.length > 0 ? bytes(body.at(-1) ?? 0) : "–"} unit="/s" more={<Spark values={body} label="Bytes per second lately" />} />
        <Stat name="New series" value={newSeries.length > 0 ? short(newSeries.at(-1) ?? 0) : "–"} unit="/s" more={`${short(total(now, "weir_tsdb_series") ?? 0)} in memory`} />
        <Stat name="Not kept" value={whole(reasons.reduce((sum, one) => sum + one.value, 0))} kind={reasons.length > 0 ? "warn" : "good"} more="samples, requests, exemplars since the start" />
      </Stats>
      <section className="card" aria-label="Senders">
        <header><h2>Prometheus servers</h2><span className="dim small">as their own metrics tell, which are stored here</span></header>
        {senders.error && !senders.data ? (
          <div className="body"><Problem error={senders.error} what="The senders could not be asked for." retry={() => void senders.refetch()} /></div>
        ) : !senders.data ? (
          <Wait height={160} />
        ) : senders.data.length === 0 ? (
          <Empty title="No sender tells of itself" icon={<IconPlugConnected size={36} stroke={1.4} />}>
            <p>{(total(now, "weir_tsdb_samples_total") ?? 0) > 0 ? "Samples arrive, but the senders do not scrape themselves. Add this job to each of them:" : "Nothing was written yet. Point a Prometheus here, and let it scrape itself:"}</p>
            <Snippet text={`scrape_configs:\n  - job_name: prometheus\n    static_configs: [{targets: ["localhost:9090"]}]\nremote_write:\n  - url: ${location.origin}${prefix}/api/v1/write`} />
          </Empty>
        ) : (
          <VirtualTable rows={senders.data} columns={columns} label="Senders" height={480} rowHeight={36} least={980} />
        )}
      </section>
      <div className="half">
        <section className="card" aria-label="What was not kept">
          <header><h2>What was not kept, by reason</h2></header>
          {reasons.length === 0 ? (
            <p className="wait" style={{ minHeight: 90 }}>Nothing was refused since the start.</p>
          ) : (
            <table className="plain"><thead><tr><th>Reason</th><th>What</th><th className="r">Since the start</th></tr></thead><tbody>
              {reasons.map((one) => <tr key={`${one.name} ${JSON.stringify(one.labels)}`}><td>{reason(one)}</td><td className="dim">{what(one.name)}</td><td className="r">{whole(one.value)}</td></tr>)}
            </tbody></table>
          )}
          <p className="body dim small">The answer to a refused request names the first offending series; Prometheus writes it to its log.</p>
        </section>
        <section className="card" aria-label="Refused series">
          <header><h2>Metrics over a limit</h2></header>
          {storage.data && storage.data.refusedSeries.length > 0 ? (
            <>
              <table className="plain"><thead><tr><th>Metric</th><th className="r">New series refused</th></tr></thead><tbody>
                {storage.data.refusedSeries.map(({ name, value }) => <tr key={name}><td className="mono wrapped"><Link href={`/cardinality?match=${encodeURIComponent(name)}`}>{name}</Link></td><td className="r">{whole(value)}</td></tr>)}
              </tbody></table>
              <div className="body"><Note kind="info">Known series of these metrics go on. Find the label that explodes, or raise `storage.series_per_metric_max`.</Note></div>
            </>
          ) : (
            <p className="wait" style={{ minHeight: 90 }}>No metric ran into a limit.</p>
          )}
        </section>
      </div>
    </>
  );
}

const figure = (value: number | undefined) => (value === undefined || Number.isNaN(value) ? <span className="dim">–</span> : short(value));
const alarming = (value: number | undefined) => (value !== undefined && value > 0 ? <span className="bad">{short(value)}</span> : figure(value));

/** Every counter of something that was not kept. */
export function refusals(samples: Map<string, Sample[]>): Sample[] {
  return [...samples]
    .filter(([name]) => /^weir_(ingest|tsdb)_.*(refused|dropped|rejected|errors|conflicts).*_total$/.test(name) || name === "weir_ingest_requests_total")
    .flatMap(([name, list]) => (list.length > 1 && NOT_REASONS.has(name) ? list.filter((one) => Object.keys(one.labels).length > 0) : list))
    .filter((one) => !(one.name === "weir_ingest_requests_total" && one.labels["outcome"] === "written"))
    .sort((left, right) => right.value - left.value);
}

const reason = (one: Sample) => (Object.values(one.labels).join(", ") || one.name.replace(/^weir_(ingest|tsdb)_/, "").replace(/_total$/, "")).replaceAll("_", " ");
const what = (name: string) => (name.includes("request") ? "requests" : name.includes("exemplar") ? "exemplars" : name.includes("append") ? "requests" : "samples");
