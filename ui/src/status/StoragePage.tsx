// What lies on disk and in memory, how it grows, and how long it will fit.
import "./status.css";
import { useQuery } from "@tanstack/react-query";
import { data } from "../api/client";
import { rates, total, useMetrics } from "../api/metrics";
import type { Parts, Storage } from "../api/types";
import { Stat, Stats } from "../parts/figures";
import { bytes, count, short, whole } from "../parts/number";
import { Note, Problem, Wait } from "../parts/state";
import { parseSpan, showSpan } from "../time/range";

/** What a part's level means to a reader. */
const LEVELS: Record<string, string> = { spilled: "written from memory, small", merged: "merged, a stretch of a day", sealed: "a whole day, as small as it gets" };

const each = (parts: Parts) => (parts.samples > 0 ? (parts.bytes / parts.samples).toFixed(2) : "–");

/** Bytes a day, from the last whole days; `undefined` before there is one. */
export function growth(days: [string, Parts][]): number | undefined {
  const whole = days.slice(-8, -1);
  return whole.length === 0 ? undefined : whole.reduce((sum, [, parts]) => sum + parts.bytes, 0) / whole.length;
}

/**
 * Bytes that parts take once retention drops as much as comes in, and, where the disk is full before, the seconds until
 * then. `kept` is the retention in seconds.
 */
export function forecast(perDay: number, parts: number, free: number, kept: number | undefined): { full?: number; lasts?: number } {
  const full = kept === undefined ? Number.POSITIVE_INFINITY : (perDay * kept) / 86_400;
  return full - parts <= free ? { full } : { lasts: (free / perDay) * 86_400 };
}

export default function StoragePage() {
  const storage = useQuery({ queryKey: ["storage"], queryFn: ({ signal }) => data<Storage>("/api/v1/status/storage", {}, { signal }), refetchInterval: 5_000 });
  const runtime = useQuery({ queryKey: ["runtime"], queryFn: ({ signal }) => data<Record<string, string>>("/api/v1/status/runtimeinfo", {}, { signal }), staleTime: 60_000 });
  const { now, past } = useMetrics();
  const found = storage.data;
  if (storage.error && !found) return <Problem error={storage.error} what="Storage could not be read." retry={() => void storage.refetch()} />;
  if (!found) return <Wait height={420} />;
  const days = Object.entries(found.days).sort(([left], [right]) => (left < right ? -1 : 1));
  const perDay = growth(days);
  const retention = (runtime.data?.["storageRetention"] ?? "–").split(" or ")[0] as string;
  const { full, lasts } = perDay ? forecast(perDay, found.parts.bytes, found.freeBytes, parseSpan(retention)) : {};
  const used = found.parts.bytes + found.log.bytes;
  const most = Math.max(1, ...days.map(([, parts]) => parts.bytes));
  const resident = total(now, "process_resident_memory_bytes");
  const names = total(now, "weir_tsdb_names_bytes");
  const merging = rates(past, "weir_tsdb_merge_cpu_seconds_total");
  return (
    <>
      <div className="page-head"><h1>Storage</h1></div>
      {found.readOnly && (
        <Note kind="bad">
          <div className="what">No writes are taken: {found.why}</div>
          <div className="next">Senders keep their samples and try again for a while. Free room on the disk, or shorten the retention; writes go on by themselves.</div>
        </Note>
      )}
      {found.damages.map((damage) => (
        <Note key={damage} kind="bad"><div className="what">Damage was found</div><div className="mono">{damage}</div><div className="next">What is damaged is left out of answers; the rest is whole. Restore the file from a snapshot or the other copy.</div></Note>
      ))}
      <Stats>
        <Stat name="On disk" value={bytes(used)} more={`${bytes(found.freeBytes)} free`} />
        <Stat name="Samples in parts" value={short(found.parts.samples)} more={found.parts.samples > 0 ? `${each(found.parts)} bytes each` : "none written out yet"} />
        <Stat name="In memory only" value={short(found.head.samples)} unit="samples" more={`${bytes(found.head.bytes)}, safe in the log`} />
        <Stat name="Series in memory" value={whole(found.series)} more={names === undefined ? "" : `${bytes(names)} of names`} />
        <Stat
          name="Disk lasts"
          value={full !== undefined ? "for good" : lasts === undefined ? "–" : showSpan(Math.floor(lasts / 3600) * 3600)}
          kind={lasts !== undefined && lasts < 14 * 86_400 ? "warn" : undefined}
          more={perDay === undefined ? "told after the first whole day" : full === undefined ? `at ${bytes(perDay)} a day` : `${bytes(full)} once ${retention} are full`}
        />
        <Stat name="Kept for" value={retention} more={perDay === undefined ? "retention" : `${bytes(perDay)} a day`} />
      </Stats>
      <div className="half">
        <section className="card" aria-label="Days">
          <header><h2>Days</h2><span className="dim small">bytes in parts by UTC day</span></header>
          {days.length === 0 ? (
            <p className="wait">No part yet: samples are in memory and in the log until the first ones are written out.</p>
          ) : (
            <>
              <div className="days" role="img" aria-label="Bytes by day">
                {days.slice(-60).map(([day, parts]) => <div key={day} title={`${day}: ${bytes(parts.bytes)}, ${whole(parts.samples)} samples`}><i style={{ height: `${(100 * parts.bytes) / most}%` }} /></div>)}
              </div>
              <Table rows={[...days].reverse()} name="Day" />
            </>
          )}
        </section>
        <div className="stack">
          <section className="card" aria-label="Levels">
            <header><h2>Levels</h2><span className="dim small">from the newest parts to whole days</span></header>
            <Table rows={Object.entries(found.levels)} name="Level" about={LEVELS} />
          </section>
          <section className="card" aria-label="Log and memory">
            <header><h2>Log, merges, memory</h2></header>
            <dl className="kv">
              <dt>Log</dt><dd className="num">{bytes(found.log.bytes)} in {count(found.log.segments, "segment")}</dd>
              <dt>Merges</dt><dd className="num">{merging.length > 0 ? `${((100 * merging.reduce((sum, one) => sum + one, 0)) / merging.length).toFixed(1)} % of a CPU lately` : "–"}; {count(total(now, "weir_tsdb_parts_merged_total") ?? 0, "part")} merged since the start</dd>
              <dt>Process</dt><dd className="num">{resident === undefined ? "–" : `${bytes(resident)} resident`}</dd>
              <dt>Head</dt><dd className="num">{bytes(found.head.bytes)}</dd>
              <dt>Names</dt><dd className="num">{names === undefined ? "–" : bytes(names)}</dd>
            </dl>
          </section>
          {found.refusedSeries.length > 0 && (
            <section className="card" aria-label="Refused series">
              <header><h2>New series that were refused</h2></header>
              <table className="plain"><thead><tr><th>Metric</th><th className="r">Refused</th></tr></thead><tbody>{found.refusedSeries.map(({ name, value }) => <tr key={name}><td className="mono wrapped">{name}</td><td className="r">{whole(value)}</td></tr>)}</tbody></table>
              <p className="body dim small">A limit of `storage.series_*` was reached. Raise it, or find the label that explodes on the cardinality page.</p>
            </section>
          )}
        </div>
      </div>
    </>
  );
}

function Table({ rows, name, about = {} }: { rows: [string, Parts][]; name: string; about?: Record<string, string> }) {
  return (
    <div className="scroll-x" tabIndex={0} style={{ maxHeight: 420, overflowY: "auto" }}>
      <table className="plain">
        <thead><tr><th>{name}</th><th className="r">Parts</th><th className="r">Samples</th><th className="r">Size</th><th className="r">Bytes each</th></tr></thead>
        <tbody>
          {rows.map(([key, parts]) => (
            <tr key={key}><td>{key}{about[key] && <div className="dim small">{about[key]}</div>}</td><td className="r">{whole(parts.parts)}</td><td className="r">{whole(parts.samples)}</td><td className="r">{bytes(parts.bytes)}</td><td className="r">{each(parts)}</td></tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
