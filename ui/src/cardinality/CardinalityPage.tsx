// Which labels make the many series, what grew since another day, and what nobody asks for.
import "./cardinality.css";
import { IconListSearch, IconX } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { address, ask, data } from "../api/client";
import { useRules } from "../api/rules";
import type { Cardinality, Counted, TopQueries } from "../api/types";
import { Share, Stat, Stats } from "../parts/figures";
import { matcher, selector } from "../parts/labels";
import { bytes, count, short, whole } from "../parts/number";
import { queryLink, useParams } from "../parts/search";
import { Empty, Note, Problem, Snippet, Wait } from "../parts/state";
import { type Column, VirtualTable } from "../parts/VirtualTable";

const ROWS = ["20", "100", "1000", "10000"];
/** Fewer queries say nothing of what is never asked for. */
const QUERIES_TELLING = 100;
const UNUSED_NAMED = 12;
/** Compared with no other day. */
const NONE = "none";
const day = (back: number) => new Date(Date.now() - back * 86_400_000).toISOString().slice(0, 10);

function useCounts(date: string, focus: string, match: string, limit: string, every: number | false = 60_000) {
  return useQuery({
    queryKey: ["tsdb", date, focus, match, limit],
    queryFn: ({ signal }) => data<Cardinality>("/api/v1/status/tsdb", { date, focusLabel: focus, "match[]": match, limit }, { signal }),
    placeholderData: keepPreviousData,
    enabled: date !== NONE,
    refetchInterval: every,
  });
}

/** All names that queries and rules mention, as far as the server remembers them. */
function useAsked() {
  const rules = useRules();
  const top = useQuery({
    queryKey: ["asked"],
    queryFn: ({ signal }) => ask<TopQueries>("/api/v1/status/top_queries", { topN: 20_000, maxLifetime: "365d" }, { signal }),
    staleTime: 60_000,
  });
  return useMemo(() => {
    if (!top.data) return undefined;
    const names = new Set<string>();
    const take = (text: string) => {
      for (const [word] of text.matchAll(/[a-zA-Z_:][\w:]*/g)) names.add(word);
    };
    for (const query of top.data.topByCount) take(query.query);
    for (const group of rules.data?.groups ?? []) for (const rule of group.rules) take(rule.query);
    return { names, queries: top.data["search.queryStats.lastQueriesCount"] };
  }, [top.data, rules.data]);
}

export default function CardinalityPage() {
  const [{ date, against, focus, match, rows }, set] = useParams("date", "against", "focus", "match", "rows");
  const [text, setText] = useState(match);
  const [of, setOf] = useState(match);
  if (of !== match) {
    setOf(match);
    setText(match);
  }
  const limit = ROWS.includes(rows) ? rows : "20";
  const now = useCounts(date, focus, match, limit);
  const other = against || day(1);
  const earlier = useCounts(other, focus, match, "10000", false);
  // A store of its first day has nothing to compare with.
  const before = other !== NONE && earlier.data && earlier.data.totalSeries > 0 ? earlier.data : undefined;
  // Two hours have fewer series than a whole day, and that says nothing: what has more has grown for sure.
  const part = date === "";
  const asked = useAsked();
  const counts = now.data;
  return (
    <>
      <div className="page-head">
        <h1>Cardinality</h1>
        <p>Where series come from. Choose a metric to see its labels, a label to see its values.</p>
      </div>
      <div className="toolbar">
        <label className="row small">Day
          <select className="field" value={date} onChange={(event) => set({ date: event.target.value }, true)}>
            <option value="">the last 2 hours</option>
            <option value={day(0)}>today</option>
            <option value={day(1)}>yesterday</option>
            {Array.from({ length: 12 }, (_, index) => day(index + 2)).map((one) => <option key={one}>{one}</option>)}
            <option value="1970-01-01">all time</option>
          </select>
        </label>
        <label className="row small">against
          <select className="field" value={against} onChange={(event) => set({ against: event.target.value }, true)}>
            <option value="">yesterday</option>
            <option value={day(7)}>a week ago</option>
            <option value={day(28)}>four weeks ago</option>
            <option value={NONE}>nothing</option>
          </select>
        </label>
        <form
          className="row grow"
          style={{ flexBasis: 260 }}
          onSubmit={(event) => {
            event.preventDefault();
            set({ match: text.trim() }, true);
          }}
        >
          <input className="field mono grow" aria-label="Only series that match" placeholder={'Only series that match, for example {job="node"}'} value={text} onChange={(event) => setText(event.target.value)} />
          <button type="submit" className="btn">Count</button>
        </form>
        <label className="row small">Rows
          <select className="field" value={limit} onChange={(event) => set({ rows: event.target.value }, true)}>{ROWS.map((one) => <option key={one}>{one}</option>)}</select>
        </label>
      </div>
      {(match || focus) && (
        <div className="row wrap">
          {match && <button type="button" className="state accent chip" onClick={() => set({ match: "" }, true)}><span className="mono clip">{match}</span><IconX size={13} aria-label="Take away" /></button>}
          {focus && <button type="button" className="state accent chip" onClick={() => set({ focus: "" }, true)}>values of <b>{focus}</b><IconX size={13} aria-label="Take away" /></button>}
          {match && <Link className="btn sm quiet" href={queryLink(`count(${match})`)}>Graph their number</Link>}
        </div>
      )}
      {now.error && !counts ? (
        <Problem error={now.error} what="Series could not be counted." retry={() => void now.refetch()} />
      ) : !counts ? (
        <Wait height={420} />
      ) : counts.totalSeries === 0 ? (
        <div className="card"><Empty title="No series here" icon={<IconListSearch size={36} stroke={1.4} />}><p>{match ? "Nothing that matches had a sample in that time. Take another day, or take the matchers away." : <>Nothing had a sample in that time. Take another day, or look at <Link href="/senders">who sends</Link>.</>}</p></Empty></div>
      ) : (
        <>
          <Stats>
            <Stat name="Series" value={whole(counts.totalSeries)} more={before ? <><Change now={counts.totalSeries} before={before.totalSeries} part={part} /> {part ? "" : `since ${other}`}</> : "with a sample in that time"} />
            <Stat name="Label pairs" value={whole(counts.headStats.numLabelPairs)} more={`${(counts.totalLabelValuePairs / Math.max(1, counts.totalSeries)).toFixed(1)} labels a series`} />
            <Stat name="Largest metric" value={short(counts.seriesCountByMetricName[0]?.value ?? 0)} unit="series" more={counts.seriesCountByMetricName[0]?.name} />
            <Stat name="Widest label" value={short(counts.labelValueCountByLabelName[0]?.value ?? 0)} unit="values" more={counts.labelValueCountByLabelName[0]?.name} />
          </Stats>
          {focus && (
            <Counts
              title={`Values of ${focus}`} what="series" list={counts.seriesCountByFocusLabelValue} before={before?.seriesCountByFocusLabelValue} part={part} full={Number(limit)} total={counts.totalSeries}
              onPick={(value) => set({ match: narrowed(match, focus, value), focus: "" }, true)}
            />
          )}
          <div className="lists">
            <Counts
              title="Metrics" what="series" list={counts.seriesCountByMetricName} before={before?.seriesCountByMetricName} part={part} full={Number(limit)} total={counts.totalSeries}
              onPick={(name) => set({ match: selector({ __name__: name }) }, true)} asked={asked && asked.queries >= QUERIES_TELLING ? asked.names : undefined}
            />
            <Counts title="Labels by series" what="series" list={counts.seriesCountByLabelName} before={before?.seriesCountByLabelName} part={part} full={Number(limit)} total={counts.totalSeries} onPick={(name) => set({ focus: name }, true)} />
            <Counts title="Labels by number of values" what="values" list={counts.labelValueCountByLabelName} before={before?.labelValueCountByLabelName} part={part} full={Number(limit)} onPick={(name) => set({ focus: name }, true)} />
            <Counts
              title="Label pairs" what="series" list={counts.seriesCountByLabelValuePair} before={before?.seriesCountByLabelValuePair} part={part} full={Number(limit)} total={counts.totalSeries}
              onPick={(pair) => { const at = pair.indexOf("="); set({ match: narrowed(match, pair.slice(0, at), pair.slice(at + 1)) }, true); }}
            />
            <Counts title="Labels by bytes of their values" what="bytes" list={counts.memoryInBytesByLabelName} before={undefined} part={part} full={Number(limit)} onPick={(name) => set({ focus: name }, true)} show={bytes} />
          </div>
          <Advice counts={counts} match={match} asked={asked} />
        </>
      )}
    </>
  );
}

/** A selector with one more matcher. */
function narrowed(match: string, name: string, value: string): string {
  if (name === "__name__" && !match) return selector({ __name__: value });
  const one = matcher(name, value);
  const open = match.indexOf("{");
  if (!match) return `{${one}}`;
  if (open < 0) return `${match}{${one}}`;
  const inside = match.slice(open + 1, match.lastIndexOf("}")).trim();
  return `${match.slice(0, open)}{${inside ? `${inside}, ` : ""}${one}}`;
}

function Change({ now, before, part }: { now: number; before: number | undefined; part: boolean }) {
  if (before === undefined) return <span className="warn">new</span>;
  if (part && now < before) return <span className="dim" title="Fewer than within all of that day, which says little of two hours">–</span>;
  if (now === before) return <span className="dim">same</span>;
  return <span className={now > before ? "warn" : "good"}>{now > before ? "+" : "−"}{short(Math.abs(now - before))}</span>;
}

function Counts({ title, what, list, before, part, full, total, onPick, asked, show = whole }: { title: string; what: string; list: Counted[]; before: Counted[] | undefined; part: boolean; full: number; total?: number; onPick: (name: string) => void; asked?: ReadonlySet<string> | undefined; show?: (value: number) => string }) {
  const most = total ?? list[0]?.value ?? 1;
  const earlier = useMemo(() => before && new Map(before.map(({ name, value }) => [name, value])), [before]);
  const columns = useMemo<Column<Counted>[]>(() => {
    const all: Column<Counted>[] = [
      { key: "name", title: "Name", width: "minmax(130px, 3fr)", by: (row) => row.name, show: (row) => <button type="button" className="link mono clip" style={{ maxWidth: "100%" }} dir="auto" title={row.name} onClick={() => onPick(row.name)}>{row.name || "(none)"}</button> },
      { key: "value", title: what, width: "78px", right: true, by: (row) => row.value, show: (row) => show(row.value) },
    ];
    if (earlier) all.push({ key: "change", title: "change", width: "76px", right: true, by: (row) => row.value - (earlier.get(row.name) ?? 0), show: (row) => <Change now={row.value} before={earlier.get(row.name)} part={part} /> });
    all.push({ key: "share", title: "share", width: "minmax(52px, 1fr)", show: (row) => <Share part={row.value / most} /> });
    if (asked) all.push({ key: "asked", title: "asked for", width: "86px", by: (row) => (asked.has(row.name) ? 1 : 0), show: (row) => (asked.has(row.name) ? "yes" : <span className="warn" title="No query or rule that the server remembers names it">never</span>) });
    return all;
  }, [what, earlier, part, most, onPick, asked, show]);
  return (
    <section className="card" aria-label={title}>
      <header><h2>{title}</h2><span className="dim small num">{list.length === full ? `the first ${list.length}` : list.length}</span></header>
      {list.length === 0 ? <p className="dim small" style={{ padding: 16 }}>None.</p> : <VirtualTable rows={list} columns={columns} label={title} height={360} rowHeight={30} least={340} />}
    </section>
  );
}

/** What to do about it, as text to copy: the page changes nothing by itself. */
function Advice({ counts, match, asked }: { counts: Cardinality; match: string; asked: { names: ReadonlySet<string>; queries: number } | undefined }) {
  const unused = asked ? counts.seriesCountByMetricName.filter(({ name }) => name && !asked.names.has(name)) : [];
  const wide = counts.labelValueCountByLabelName.find(({ name }) => name !== "__name__" && name !== "instance" && name !== "le");
  const top = match || selector({ __name__: counts.seriesCountByMetricName[0]?.name ?? "" });
  const escape = (name: string) => name.replaceAll(/[.+*?()[\]{}|\\^$]/g, "\\$&");
  return (
    <section className="card" aria-label="Suggestions">
      <header><h2>Suggestions to copy</h2><span className="dim small">Nothing is changed from here</span></header>
      <div className="body advice">
        {asked && asked.queries < QUERIES_TELLING && <p className="soft">Only {count(asked.queries, "query was", "queries were")} asked since the start: too few to say which metrics nobody needs.</p>}
        {unused.length > 0 && asked && asked.queries >= QUERIES_TELLING && (
          <div className="stack tight">
            <p><b>Not sent any more</b>: {whole(unused.reduce((sum, one) => sum + one.value, 0))} series of {count(unused.length, "listed metric")} that none of the last {whole(asked.queries)} queries and no rule names{unused.length > UNUSED_NAMED && `; the ${UNUSED_NAMED} largest`}.</p>
            <Snippet text={`write_relabel_configs:\n  - source_labels: [__name__]\n    regex: ${unused.slice(0, UNUSED_NAMED).map(({ name }) => escape(name)).join("|")}\n    action: drop`} />
            <p className="dim small">Queries by pattern, such as {'{__name__=~"node_.*"}'}, do not count as naming a metric. Look before you drop.</p>
          </div>
        )}
        {wide && (
          <div className="stack tight">
            <p><b>Without the label {wide.name}</b>: it has {whole(wide.value)} values.</p>
            <Snippet text={`write_relabel_configs:\n  - regex: ${escape(wide.name)}\n    action: labeldrop`} />
            <Note kind="warn">Only where the series stay different without it: check with count by (...) first.</Note>
          </div>
        )}
        <div className="stack tight">
          <p><b>Delete what is stored</b> of <code className="wrapped">{top}</code>. It cannot be taken back.</p>
          <Snippet text={`curl -X POST '${address("/api/v1/admin/tsdb/delete_series")}' \\\n  --data-urlencode 'match[]=${top.replaceAll("'", "'\\''")}'`} />
          <p className="dim small">Answered while <code>http.admin</code> is on, and with a token that has the right admin.</p>
        </div>
      </div>
    </section>
  );
}
