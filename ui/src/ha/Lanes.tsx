// A series lane by lane: what each replica sent, what of it became the series, and why.
import { useMediaQuery } from "@mantine/hooks";
import { useMemo, useState } from "react";
import type { ExplainedSeries, LaneRow } from "../api/ha";
import { SeriesName } from "../parts/labels";
import { sample, seconds } from "../parts/number";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { laneColour } from "../query/palette";
import { showShort, showTime, useZone } from "../time/zone";
import "./ha.css";

interface Row extends LaneRow {
  replica: string;
  lane: number;
}

const VERDICTS: Record<string, string> = {
  preferred: "preferred", fills: "fills a gap", ends: "ends the series", same_time: "same time", covered: "covered", too_close: "too close", early: "early",
  superseded: "superseded", contradicts: "contradicts", kept_apart: "kept apart", other_preference: "other preference",
};

const [WIDTH, LANE, GAP] = [1000, 26, 8];

export function Lanes({ series, start, end }: { series: ExplainedSeries; start: number; end: number }) {
  const zone = useZone();
  const narrow = useMediaQuery("(max-width: 860px)") ?? false;
  const [only, setOnly] = useState<"all" | "kept" | "dropped">("all");
  const lanes = useMemo(() => [...series.lanes].sort((left, right) => (left.replica < right.replica ? -1 : 1)), [series]);
  const rows = useMemo(
    () =>
      lanes
        .flatMap((lane, index) => lane.rows.map((row): Row => ({ ...row, replica: lane.replica, lane: index })))
        .sort((left, right) => right.at - left.at),
    [lanes],
  );
  const shown = useMemo(() => rows.filter((row) => only === "all" || row.kept === (only === "kept")), [rows, only]);
  const x = (at: number) => ((at - start) / Math.max(0.001, end - start)) * WIDTH;
  const height = (lanes.length + 1) * (LANE + GAP);
  const colours = new Map(lanes.map((lane, index) => [lane.replica, laneColour(index)]));
  const columns = useMemo<Column<Row>[]>(
    () => [
      { key: "at", title: "Time", width: narrow ? "116px" : "226px", by: (row) => row.at, show: (row) => <span className="num mono" title={showTime(row.at, zone, true)}>{showTime(row.at, zone, true).slice(narrow ? 11 : 0)}</span> },
      { key: "replica", title: "Replica", width: "minmax(80px, 130px)", by: (row) => row.replica, show: (row) => <span className="lane-tag"><i style={{ background: laneColour(row.lane) }} />{row.replica || "none"}</span> },
      { key: "value", title: "Value", width: "minmax(96px, 150px)", right: true, show: (row) => <span className="mono num" title={row.value}>{row.kind === "stale" ? <span className="dim">stale</span> : sample(row.value)}</span> },
      { key: "kept", title: "In the series", head: true, width: "minmax(150px, 190px)", by: (row) => `${row.kept} ${row.verdict}`, show: (row) => <span className={`state ${row.kept ? "good" : ""}`}>{row.kept ? "✓" : "–"} {VERDICTS[row.verdict] ?? row.verdict}</span> },
      { key: "why", title: "Why", wide: true, width: "minmax(220px, 3fr)", show: (row) => <span title={row.why}>{row.why}</span> },
    ],
    [zone, narrow],
  );
  return (
    <div className="lanes">
      <div className="lanes-name"><SeriesName labels={series.labels} /></div>
      <div className="lanes-strip">
        <div className="lanes-names small">
          {lanes.map((lane, index) => (
            <span key={lane.replica} className="clip" title={lane.replica}><span className="lane-tag"><i style={{ background: laneColour(index) }} />{lane.replica || "no replica"}</span></span>
          ))}
          <span className="clip"><b>the series</b></span>
        </div>
        <svg viewBox={`0 0 ${WIDTH} ${height}`} preserveAspectRatio="none" style={{ height }} role="img" aria-label={`Samples of ${lanes.length} replicas over time, and which of them feed the series`}>
          {lanes.map((lane, index) => (
            <g key={lane.replica}>
              <line x1="0" x2={WIDTH} y1={index * (LANE + GAP) + LANE / 2} y2={index * (LANE + GAP) + LANE / 2} className="lanes-base" />
              {lane.rows.map((row) => (
                <rect key={`${row.at} ${row.verdict}`} x={x(row.at) - 1.5} y={index * (LANE + GAP) + (row.kept ? 2 : 8)} width="3" height={row.kept ? LANE - 4 : LANE - 16} fill={laneColour(index)} opacity={row.kept ? 1 : 0.4} />
              ))}
            </g>
          ))}
          {series.fedBy.map((stretch) => (
            <rect key={stretch.from} x={x(stretch.from) - 1} y={lanes.length * (LANE + GAP) + 6} width={Math.max(3, x(stretch.to) - x(stretch.from) + 2)} height={LANE - 12} rx="2" fill={colours.get(stretch.replica) ?? "var(--ink-3)"}>
              <title>{`${stretch.rows} samples of ${stretch.replica}, ${showShort(stretch.from, zone)} to ${showShort(stretch.to, zone)}`}</title>
            </rect>
          ))}
        </svg>
        <div className="lanes-axis small dim num"><span>{showShort(start, zone)}</span><span>{showShort(end, zone)}</span></div>
      </div>
      <p className="small soft lanes-sum">
        {series.fedBy.length === 0
          ? "Nothing of this series lies in the range."
          : series.fedBy.length === 1
            ? `Fed by ${series.fedBy[0]?.replica || "one sender"} alone, without a switch.`
            : `${series.fedBy.length - 1} ${series.fedBy.length === 2 ? "switch" : "switches"} of source; each is a new colour in the lowest strip.`}{" "}
        {series.counter && "It is a counter: a switch waits for a value that does not fall. "}
        {rows[0]?.interval ? `Samples come every ${seconds(rows[0].interval).replace(" ", "\u00a0")}.` : ""}
      </p>
      <div className="row wrap lanes-filter">
        {(["all", "kept", "dropped"] as const).map((one) => (
          <button key={one} type="button" className={`btn sm ${only === one ? "on" : "quiet"}`} aria-pressed={only === one} onClick={() => setOnly(one)}>
            {one === "all" ? "All samples" : one === "kept" ? "In the series" : "Left out"} <span className="dim num">{one === "all" ? rows.length : rows.filter((row) => row.kept === (one === "kept")).length}</span>
          </button>
        ))}
      </div>
      <VirtualTable rows={shown} columns={columns} label="Samples by replica" height={420} rowHeight={32} least={narrow ? 700 : 860} />
    </div>
  );
}
