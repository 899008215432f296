// Who writes here: how much, how late, in which protocol, and what was refused.
import "../status/status.css";
import { IconCircleCheck, IconCircleDashed, IconCircleX, IconPlugConnected, IconPlugConnectedX } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "wouter";
import { data } from "../api/client";
import { useHa } from "../api/ha";
import { rates, total, useMetrics } from "../api/metrics";
import { type RatedSender, type Sender, useSenders } from "../api/senders";
import type { Storage } from "../api/types";
import { Ago } from "../parts/ago";
import { Stat, Stats } from "../parts/figures";
import { bytes, count, short, whole } from "../parts/number";
import { remoteWrite } from "../parts/setup";
import { Empty, Note, Problem, Snippet, Wait } from "../parts/state";
import { Spark } from "../parts/Spark";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { showSpan } from "../time/range";
import { showTime, useZone } from "../time/zone";
import { OwnMetrics } from "./OwnMetrics";
import { advice, dropped, type Loss, losses } from "./losses";

const STATES = { silent: ["bad", IconPlugConnectedX, "Silent"], idle: ["", IconCircleDashed, "Idle"], refused: ["warn", IconCircleX, "Refused"], fine: ["good", IconCircleCheck, "Fine"] } as const;
/** Remote write never pauses for long; an import may well be over. */
const stateOf = (sender: Sender): keyof typeof STATES => (sender.silent ? (sender.protocol.startsWith("remote write") ? "silent" : "idle") : sender.lastError ? "refused" : "fine");

function State({ sender }: { sender: Sender }) {
  const [kind, Icon, word] = STATES[stateOf(sender)];
  return <span className={`state ${kind}`} title={sender.lastError || (sender.silent ? "Nothing came for more than five minutes" : "The newest request was kept whole")}><Icon size={14} stroke={2} aria-hidden />{word}</span>;
}

/** A sender with what is known of its lane: how old its newest sample was on arrival, in seconds. */
interface Row extends RatedSender {
  lag: number | undefined;
}

const COLUMNS: Column<Row>[] = [
  { key: "cluster", title: "Pair", width: "minmax(80px, 1fr)", by: (row) => row.cluster, show: (row) => (row.cluster ? <Link href="/pairs">{row.cluster}</Link> : <span className="dim">none</span>) },
  { key: "replica", title: "Replica", head: true, width: "minmax(76px, 0.8fr)", by: (row) => row.replica, show: (row) => row.replica || <span className="dim">none</span> },
  { key: "state", title: "State", head: true, width: "104px", by: stateOf, show: (row) => <State sender={row} /> },
  { key: "agent", title: "Program", width: "minmax(150px, 1.5fr)", by: (row) => row.userAgent, show: (row) => <span title={row.userAgent}>{row.userAgent || <span className="dim">does not say</span>}</span> },
  { key: "protocol", title: "Protocol", width: "132px", by: (row) => row.protocol, show: (row) => <span title={`to ${row.path}`}>{row.protocol}</span> },
  { key: "address", title: "From", width: "minmax(110px, 1fr)", by: (row) => row.address, show: (row) => <span className="mono" title={row.address}>{row.address || "–"}</span> },
  { key: "rate", title: "Samples/s", width: "92px", right: true, by: (row) => row.rate ?? -1, show: (row) => (row.rate === undefined ? "–" : short(row.rate)) },
  { key: "lag", title: "Lag", width: "78px", right: true, by: (row) => row.lag ?? -1, show: (row) => (row.lag === undefined ? "–" : <span className={row.lag > 60 ? "warn" : ""} title="How old its newest sample was on arrival">{showSpan(Math.max(0, row.lag))}</span>) },
  { key: "samples", title: "Samples", width: "88px", right: true, by: (row) => row.samples + row.histograms, show: (row) => <span title={`${whole(row.samples)} floats, ${whole(row.histograms)} histograms in ${count(row.requests, "request")} since ${new Date(row.firstAt * 1000).toISOString()}`}>{short(row.samples + row.histograms)}</span> },
  { key: "lost", title: "Not kept", width: "84px", right: true, by: dropped, show: (row) => <span className={dropped(row) > 0 ? "warn" : ""}>{short(dropped(row))}</span> },
  { key: "last", title: "Newest", width: "106px", by: (row) => -row.lastAt, show: (row) => <Ago at={row.lastAt} /> },
];

export default function SendersPage() {
  const senders = useSenders();
  const storage = useQuery({ queryKey: ["storage"], queryFn: ({ signal }) => data<Storage>("/api/v1/status/storage", {}, { signal }), refetchInterval: 10_000 });
  const { now, past, error } = useMetrics();
  const [samples, body, requests, newSeries] = ["weir_tsdb_samples_total", "weir_ingest_body_bytes_total", "weir_ingest_requests_total", "weir_tsdb_series_made_total"].map((name) => rates(past, name)) as [number[], number[], number[], number[]];
  const ha = useHa();
  const rows = useMemo(() => {
    const lags = new Map(ha.data?.groups.flatMap((group) => group.lanes.map((lane) => [`${group.cluster}\n${lane.replica}`, lane.lag])));
    return senders.data?.map((sender): Row => ({ ...sender, lag: sender.replica ? (lags.get(`${sender.cluster}\n${sender.replica}`) ?? undefined) : undefined }));
  }, [senders.data, ha.data]);
  const lost = useMemo(() => losses(senders.data ?? []), [senders.data]);
  const refused = lost.reduce((sum, one) => sum + (one.what === "samples" ? one.number : 0), 0);
  const failed = lost.reduce((sum, one) => sum + (one.what === "requests" ? one.number : 0), 0);
  return (
    <>
      <div className="page-head"><h1>Senders</h1></div>
      {error !== undefined && error !== null && <Problem error={error} what="Weir's own counters could not be read." />}
      <Stats>
        <Stat name="Samples in" value={samples.length > 0 ? short(samples.at(-1) ?? 0) : "–"} unit="/s" more={<Spark values={samples} label="Samples per second lately" />} />
        <Stat name="Requests" value={requests.length > 0 ? short(requests.at(-1) ?? 0) : "–"} unit="/s" more={<Spark values={requests} label="Requests per second lately" />} />
        <Stat name="Bytes in" value={body.length > 0 ? bytes(body.at(-1) ?? 0) : "–"} unit="/s" more={<Spark values={body} label="Bytes per second lately" />} />
        <Stat name="New series" value={newSeries.length > 0 ? short(newSeries.at(-1) ?? 0) : "–"} unit="/s" more={`${short(total(now, "weir_tsdb_series") ?? 0)} in memory`} />
        <Stat name="Not kept" value={senders.data ? short(refused) : "–"} unit={refused === 1 ? "sample" : "samples"} kind={refused + failed > 0 ? "warn" : "good"} more={failed > 0 ? `and ${count(failed, "request")} turned away` : "since the start"} />
      </Stats>
      <section className="card" aria-label="Who writes">
        <header><h2>Who writes</h2><span className="dim small">by what each request says of itself</span></header>
        {senders.error && !senders.data ? (
          <div className="body"><Problem error={senders.error} what="The senders could not be asked for." retry={() => void senders.refetch()} /></div>
        ) : !rows ? (
          <Wait height={160} />
        ) : rows.length === 0 ? (
          <Empty title="Nothing was written since the start" icon={<IconPlugConnected size={36} stroke={1.4} />}>
            <p>Point a Prometheus, a vmagent or an OpenTelemetry collector here:</p>
            <Snippet text={remoteWrite()} />
          </Empty>
        ) : (
          <VirtualTable rows={rows} columns={COLUMNS} label="Senders" height={420} rowHeight={36} rowKey={(row) => row.key} least={1090} />
        )}
      </section>
      {!senders.error && (
        <section className="card" aria-label="What was not kept">
          <header><h2>What was not kept</h2><span className="dim small">by reason, with the first offenders of the newest request that had any</span></header>
          {!senders.data ? <Wait height={90} /> : lost.length === 0 ? <p className="wait" style={{ minHeight: 90 }}>{senders.data.length === 0 ? "Nothing was sent yet." : "Everything that was sent since the start was kept."}</p> : <div className="losses">{lost.map((one) => <LossLine key={`${one.what} ${one.reason}`} loss={one} />)}</div>}
          {(total(now, "weir_ingest_exemplars_dropped_total") ?? 0) > 0 && <p className="body dim small">Besides, {count(total(now, "weir_ingest_exemplars_dropped_total") ?? 0, "exemplar")} had unusable labels.</p>}
        </section>
      )}
      <OwnMetrics />
      {storage.data && storage.data.refusedSeries.length > 0 && (
        <section className="card" aria-label="Metrics over a limit">
          <header><h2>Metrics over a limit</h2><span className="dim small">known series go on, new ones are refused</span></header>
          <table className="plain"><thead><tr><th>Metric</th><th className="r">New series refused</th></tr></thead><tbody>
            {storage.data.refusedSeries.map(({ name, value }) => <tr key={name}><td className="mono wrapped"><Link href={`/cardinality?match=${encodeURIComponent(name)}`}>{name}</Link></td><td className="r">{whole(value)}</td></tr>)}
          </tbody></table>
          <div className="body"><Note kind="info">Find the label that explodes on the cardinality page, or raise <code>storage.series_per_metric_max</code>.</Note></div>
        </section>
      )}
    </>
  );
}

function LossLine({ loss }: { loss: Loss }) {
  const zone = useZone();
  return (
    <article className="loss">
      <div className="row wrap">
        <b>{loss.reason.replaceAll("_", " ")}</b>
        <span className={`num ${loss.purpose ? "soft" : "warn"}`}>{whole(loss.number)} {loss.number === 1 ? loss.what.slice(0, -1) : loss.what}</span>
        <span className="dim small">last <Ago at={loss.lastAt} />, from {loss.from.join(", ")}</span>
      </div>
      {loss.first.length > 0 && (
        <ul>
          {loss.first.map(({ series, at, why }) => (
            <li key={`${series} ${at}`}>
              <code className="wrapped" dir="auto">{series}</code>
              <span className="soft small wrapped">{at !== null && `${showTime(at, zone)}: `}{why}</span>
            </li>
          ))}
        </ul>
      )}
      <span className="small soft">{advice(loss.reason)}</span>
    </article>
  );
}
