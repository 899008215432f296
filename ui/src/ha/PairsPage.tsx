// HA pairs: who feeds which series, since when, why it changed, and what only one of them sees.
import "./ha.css";
import { IconCircleCheck, IconCircleDashed, IconClockExclamation, IconGitMerge, IconPlugConnectedX } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link } from "wouter";
import { type Explained, type HaGroup, labelsOf, type Lane, useExplained, useHa } from "../api/ha";
import { ask } from "../api/client";
import { Ago } from "../parts/ago";
import { Stat, Stats } from "../parts/figures";
import { LabelSet, selector } from "../parts/labels";
import { count, short, whole } from "../parts/number";
import { queryLink, useParams } from "../parts/search";
import { type PairNaming, pairLabels, remoteWrite } from "../parts/setup";
import { Empty, Note, Problem, Snippet, Wait } from "../parts/state";
import { laneColour } from "../query/palette";
import { parseSpan, showSpan } from "../time/range";
import { showShort, useZone } from "../time/zone";
import { Lanes } from "./Lanes";

const STATES = {
  live: ["good", IconCircleCheck, "Live"],
  late: ["warn", IconClockExclamation, "Late"],
  silent: ["bad", IconPlugConnectedX, "Silent"],
  never: ["", IconCircleDashed, "Nothing since the start"],
} as const;

/** Senders wait up to 5 s before they send: clocks that differ by less than this many seconds may be right. */
const CLOCKS_APART = 10;

/** A strip of the last hour: so many boxes. */
const [BOXES, HOUR] = [60, 3600];

export default function PairsPage() {
  const ha = useHa();
  const [{ match, range }, set] = useParams("match", "range");
  const groups = ha.data?.groups ?? [];
  const lanes = groups.flatMap((group) => group.lanes);
  const silent = lanes.filter((lane) => lane.state !== "live").length;
  const alone = groups.reduce((sum, group) => sum + group.targets.oneReplicaOnlyCount, 0);
  return (
    <>
      <div className="page-head">
        <h1>HA pairs</h1>
        <p>Replicas that scrape the same targets become one series each. Here stands who feeds it, and why.</p>
      </div>
      {ha.error && !ha.data ? (
        <Problem error={ha.error} what="The pairs could not be read." retry={() => void ha.refetch()} />
      ) : !ha.data ? (
        <Wait height={360} />
      ) : groups.length === 0 ? (
        <NoPairs naming={ha.data} />
      ) : (
        <>
          <Stats>
            <Stat name="Pairs" value={groups.length} more={count(lanes.length, "replica")} />
            <Stat name="Not live" value={silent} kind={silent > 0 ? "bad" : "good"} more={silent > 0 ? "the other one of the pair feeds" : "every replica sends"} />
            <Stat name="Gaps filled" value={whole(groups.reduce((sum, group) => sum + group.gapsFilled, 0))} more="within the last hour" />
            <Stat name="Seen by one only" value={whole(alone)} kind={alone > 0 ? "warn" : undefined} more="targets that one replica scrapes" />
            <Stat name="Conflicts" value={whole(lanes.reduce((sum, lane) => sum + lane.conflicts, 0))} more="two values at one time, since start" />
          </Stats>
          {groups.map((group) => <Pair key={group.cluster} group={group} onExplain={(next) => set({ match: next }, true)} />)}
        </>
      )}
      <Explain match={match} range={range} groups={groups} set={set} />
    </>
  );
}

function NoPairs({ naming }: { naming: PairNaming }) {
  return (
    <div className="card">
      <Empty title="No sender names a pair and a replica" icon={<IconGitMerge size={36} stroke={1.4} />}>
        <p>Two Prometheus servers become a pair by two external labels: the same cluster, and a replica each. Until then every sender's series are its own.</p>
        <Snippet text={`${pairLabels(naming)}\n${remoteWrite()}`} />
      </Empty>
    </div>
  );
}

/** Which replica fed how much of each stretch of the hour, over all looked-at series. */
export function feeding(explained: Explained, boxes: number): { replica: string | undefined; share: number }[] {
  const span = (explained.end - explained.start) / boxes;
  return Array.from({ length: boxes }, (_, index) => {
    const [from, to] = [explained.start + index * span, explained.start + (index + 1) * span];
    const fed = new Map<string, number>();
    for (const series of explained.series) {
      for (const stretch of series.fedBy) {
        const overlap = Math.min(to, stretch.to) - Math.max(from, stretch.from);
        if (overlap > 0 || (stretch.from >= from && stretch.from < to)) fed.set(stretch.replica, (fed.get(stretch.replica) ?? 0) + Math.max(overlap, 0.001));
      }
    }
    const [best] = [...fed].sort((left, right) => right[1] - left[1]);
    return best ? { replica: best[0], share: Math.min(1, best[1] / (span * Math.max(1, explained.series.length))) } : { replica: undefined, share: 0 };
  });
}

function Pair({ group, onExplain }: { group: HaGroup; onExplain: (match: string) => void }) {
  const zone = useZone();
  const [at] = useState(() => Date.now() / 1000);
  const names = useMemo(() => group.lanes.map((lane) => lane.replica).sort(), [group.lanes]);
  const colour = (replica: string) => laneColour(Math.max(0, names.indexOf(replica)));
  const own = labelsOf(group);
  const up = selector({ ...own, __name__: "up" });
  const targets = useExplained(up, at - HOUR, at, 10, true);
  // Who sends what it did not scrape has no `up`: any of its series tell as much.
  const others = useExplained(selector(own), at - HOUR, at, 10, group.label !== null && targets.data?.series.length === 0);
  const explained = others.data ? others : targets;
  const boxes = useMemo(() => (explained.data ? feeding({ ...explained.data, series: explained.data.series.filter((one) => one.cluster === group.cluster) }, BOXES) : []), [explained.data, group.cluster]);
  const healthy = group.lanes.length > 1 && group.lanes.every((lane) => lane.state === "live");
  const lastOrder = group.preference.at(-1);
  return (
    <section className="card pair" aria-label={`Pair ${group.cluster}`}>
      <div className="pair-head">
        <h2>{group.cluster || "without a name"}</h2>
        <span className={`state ${healthy ? "good" : "warn"}`}>{healthy ? <><IconCircleCheck size={14} aria-hidden />Healthy</> : <><IconClockExclamation size={14} aria-hidden />{group.lanes.length < 2 ? "One replica only" : "Degraded"}</>}</span>
        <span className="soft small num">{count(group.series, "series", "series")}</span>
        <span className="grow" />
        <Prefer group={group} />
        <button type="button" className="btn sm" onClick={() => onExplain(others.data ? selector(own) : up)}>Look at its series</button>
      </div>
      {group.warnings.length > 0 && (
        <div className="stack tight" style={{ padding: "12px 16px 0" }}>
          {group.warnings.map((warning) => <Note key={warning.text} kind="warn">{warning.text}</Note>)}
        </div>
      )}
      <div className="pair-grid">
        <div>
          <div className="row" style={{ paddingBottom: 6 }}>
            <b className="small">The last hour, by who fed the series</b>
            <span className="grow" />
            {names.map((name) => <span key={name} className="lane-tag small"><i style={{ background: colour(name) }} />{name || "no replica"}</span>)}
          </div>
          {explained.data ? (
            <>
              <div style={{ display: "flex", gap: 1, height: 26, borderRadius: 5, overflow: "hidden" }} role="img" aria-label="Which replica fed each minute of the last hour">
                {boxes.map((box, index) => (
                  // biome-ignore lint: minutes in order
                  <i key={index} title={`${showShort(explained.data.start + (index * HOUR) / BOXES, zone)}: ${box.replica === undefined ? "nothing came" : `fed by ${box.replica || "no replica"}`}`} style={{ flex: 1, background: box.replica === undefined ? "var(--idle-soft)" : colour(box.replica), opacity: box.replica === undefined ? 1 : 0.35 + 0.65 * box.share }} />
                ))}
              </div>
              <div className="timeline-axis num"><span>{showShort(explained.data.start, zone)}</span><span>now</span></div>
            </>
          ) : explained.error ? (
            <p className="dim small">The hour could not be read.</p>
          ) : (
            <Wait height={44} />
          )}
          <div style={{ paddingTop: 8 }}>
            {group.lanes.map((lane) => <Replica key={lane.replica} lane={lane} colour={colour(lane.replica)} leads={lane.replica === group.leading} />)}
          </div>
        </div>
        <div className="stack tight">
          <dl className="facts-list">
            <dt>Feeds now</dt><dd>{group.leading === null ? group.targets.seen === 0 ? <span className="dim">no target’s up tells</span> : <span className="bad">nobody</span> : <span className="lane-tag"><i style={{ background: colour(group.leading) }} />{group.leading}</span>}</dd>
            <dt>Last switch</dt>
            <dd>{group.lastSwitch ? <><Ago at={group.lastSwitch.at} />: from {group.lastSwitch.from} to {group.lastSwitch.to}, because {group.lastSwitch.why}</> : "none within the last hour"}</dd>
            <dt>Asked first</dt><dd>{group.order.join(", then ")}{lastOrder && <span className="dim"> (by {lastOrder.by}, <Ago at={lastOrder.from} />)</span>}</dd>
            {group.lanes.length > 1 && group.targets.seen > 0 && <><dt>From others</dt><dd className="num">{(100 * group.fillRatio).toFixed(1)} % of the last hour’s samples; {count(group.gapsFilled, "gap")} closed</dd></>}
            <dt>Targets</dt><dd className="num">{group.targets.seen === 0 ? "none" : whole(group.targets.seen)} seen within 5 minutes</dd>
          </dl>
          {group.targets.oneReplicaOnlyCount > 0 && (
            <details open={group.targets.oneReplicaOnlyCount <= 5}>
              <summary style={{ cursor: "pointer" }} className="small"><b>{count(group.targets.oneReplicaOnlyCount, "target")}</b> that one replica alone scrapes</summary>
              <ul className="stack tight" style={{ padding: "8px 0 4px" }}>
                {group.targets.oneReplicaOnly.slice(0, 20).map(({ labels, replica }) => (
                  <li key={JSON.stringify(labels)} className="row wrap" style={{ gap: 6 }}>
                    <span className="lane-tag small"><i style={{ background: colour(replica) }} />only {replica}</span>
                    <LabelSet labels={labels} hide={["__name__", ...Object.keys(own)]} />
                    <Link className="small" href={queryLink(selector({ ...labels, __name__: "up" }), "raw")}>its samples</Link>
                  </li>
                ))}
              </ul>
              <p className="dim small">Compare the scrape configurations of the two; while the one that sees it is away, this target has a gap.</p>
            </details>
          )}
        </div>
      </div>
    </section>
  );
}

function Replica({ lane, colour, leads }: { lane: Lane; colour: string; leads: boolean }) {
  const [kind, Icon, word] = STATES[lane.state];
  const all = Math.max(1, lane.kept + lane.covered);
  return (
    <div className="replica">
      <span className="name"><i style={{ background: colour }} /><span className="clip" title={lane.replica}>{lane.replica || "no replica"}</span></span>
      <span className="row wrap" style={{ gap: 6 }}>
        <span className={`state ${kind}`}><Icon size={14} aria-hidden />{word}</span>
        {leads && <span className="state accent">feeds</span>}
      </span>
      <span className="small soft num" title="Newest sample"><Ago at={lane.newestSample} /></span>
      <span className="facts num">
        <span title="Samples received since the start of Weir">{short(lane.received)} received</span>
        {lane.received > 0 && (
          <>
            <span title="In the series, or kept in case the other fails">{Math.round((100 * lane.kept) / all)} % kept</span>
            <span title="The other replica had them already">{Math.round((100 * lane.covered) / all)} % covered</span>
          </>
        )}
        {lane.conflicts > 0 && <span className="warn">{whole(lane.conflicts)} in conflict</span>}
        {lane.lag !== null && <span className={lane.lag > 60 ? "warn" : ""}>lag {showSpan(Math.max(0, lane.lag))}</span>}
        {lane.clockSkew !== null && lane.clockSkew !== 0 && <span className={Math.abs(lane.clockSkew) >= CLOCKS_APART ? "warn" : ""} title="How far its clock is ahead of the first replica's; less than 10 s says little">clock {lane.clockSkew < 0 ? "−" : "+"}{showSpan(Math.abs(lane.clockSkew))}</span>}
      </span>
    </div>
  );
}

function Prefer({ group }: { group: HaGroup }) {
  const client = useQueryClient();
  const [wanted, setWanted] = useState("");
  const prefer = useMutation({
    mutationFn: (replica: string) => ask("/api/v1/ha/prefer", { cluster: group.cluster, replica }, { method: "POST" }),
    onSuccess: () => {
      setWanted("");
      void client.invalidateQueries({ queryKey: ["ha"] });
    },
  });
  const others = group.lanes.map((lane) => lane.replica).filter((replica) => replica !== group.order[0]);
  if (others.length === 0) return null;
  return wanted ? (
    <span className="row wrap" role="group" aria-label="Confirm">
      <span className="small">From now on {wanted} is asked first.</span>
      <button type="button" className="btn sm primary" disabled={prefer.isPending} onClick={() => prefer.mutate(wanted)}>Prefer {wanted}</button>
      <button type="button" className="btn sm quiet" onClick={() => setWanted("")}>Cancel</button>
      {prefer.error && <span className="bad small">{prefer.error.message}</span>}
    </span>
  ) : (
    <select className="field sm" aria-label={`Prefer another replica of ${group.cluster}`} value="" onChange={(event) => setWanted(event.target.value)}>
      <option value="" disabled>Prefer …</option>
      {others.map((replica) => <option key={replica} value={replica}>{replica}</option>)}
    </select>
  );
}

function Explain({ match, range, groups, set }: { match: string; range: string; groups: HaGroup[]; set: (part: { match?: string; range?: string }, push?: boolean) => void }) {
  const [text, setText] = useState(match);
  const [of, setOf] = useState(match);
  if (of !== match) {
    setOf(match);
    setText(match);
  }
  const [end, setEnd] = useState(() => Date.now() / 1000);
  const [at, setAt] = useState(0);
  const span = parseSpan(range) ?? 300;
  const explained = useExplained(match, end - span, end, 50, match !== "");
  const series = explained.data?.series ?? [];
  const shown = series[Math.min(at, series.length - 1)];
  const example = selector({ ...(groups[0] && labelsOf(groups[0])), __name__: "up" });
  return (
    <section className="card" aria-label="A series lane by lane">
      <header><h2>A series lane by lane</h2><span className="dim small">What each replica sent, what of it was kept, and why</span></header>
      <div className="body stack">
        <form
          className="toolbar"
          onSubmit={(event) => {
            event.preventDefault();
            setEnd(Date.now() / 1000);
            setAt(0);
            set({ match: text.trim() }, true);
          }}
        >
          <input className="field mono grow" aria-label="Selector of a series" placeholder={`For example  ${example}`} value={text} onChange={(event) => setText(event.target.value)} style={{ minWidth: 200 }} />
          <select className="field" aria-label="Length" value={showSpan(span)} onChange={(event) => set({ range: event.target.value })}>
            {["1m", "5m", "15m", "30m", "1h", ...(["1m", "5m", "15m", "30m", "1h"].includes(showSpan(span)) ? [] : [showSpan(span)])].map((one) => <option key={one} value={one}>Last {one}</option>)}
          </select>
          <button type="submit" className="btn primary">Explain</button>
        </form>
        {match === "" ? (
          <p className="dim small">Name a series, for example <button type="button" className="link mono" onClick={() => { setEnd(Date.now() / 1000); set({ match: example }, true); }}>{example}</button></p>
        ) : explained.error ? (
          <Problem error={explained.error} what="This could not be explained." retry={() => void explained.refetch()} />
        ) : !explained.data ? (
          <Wait height={300} />
        ) : !shown ? (
          <Empty title="No series matches in this time"><p>Take a longer time, or fewer matchers.</p></Empty>
        ) : (
          <>
            {series.length > 1 && (
              <select className="field mono" aria-label="Series" value={Math.min(at, series.length - 1)} onChange={(event) => setAt(Number(event.target.value))}>
                {series.map((one, index) => <option key={selector(one.labels)} value={index}>{selector(one.labels)}</option>)}
              </select>
            )}
            {explained.data.truncated && <p className="dim small">More series match than are shown; add matchers.</p>}
            <Lanes key={selector(shown.labels)} series={shown} start={explained.data.start} end={explained.data.end} />
          </>
        )}
      </div>
    </section>
  );
}
