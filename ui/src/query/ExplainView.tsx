// Where a query's time goes: each part of the expression with its time, series, points and what it read.
import { IconPlus } from "@tabler/icons-react";
import { useMemo } from "react";
import type { QueryAnswer, Trace } from "../api/types";
import { Stat, Stats } from "../parts/figures";
import { bytes, count, seconds, short, whole } from "../parts/number";
import { Empty } from "../parts/state";
import { showShort, useZone, type Zone } from "../time/zone";

interface Line {
  node: Trace;
  depth: number;
  /** Without its parts, in milliseconds. */
  own: number;
}

function flatten(node: Trace, depth = 0): Line[] {
  const children = node.children ?? [];
  const below = children.reduce((sum, child) => sum + child.duration_msec, 0);
  return [{ node, depth, own: Math.max(0, node.duration_msec - below) }, ...children.flatMap((child) => flatten(child, depth + 1))];
}

/** Instants inside a part's text, for people. */
const withTimes = (text: string, zone: Zone) => text.replaceAll(/\b(\d{10})(\.\d+)?(?= to |$)/g, (seconds) => showShort(Number(seconds), zone));

export function ExplainView({ answer, onAdd }: { answer: QueryAnswer; onAdd: (expr: string) => void }) {
  const { trace, data } = answer;
  const zone = useZone();
  const lines = useMemo(() => (trace ? flatten(trace) : []), [trace]);
  if (!trace) {
    return (
      <Empty title="No trace came back">
        <p>Something between this browser and Weir takes the parameter trace away.</p>
      </Empty>
    );
  }
  const slowest = Math.max(...lines.map((line) => line.own), 0.001);
  const total = trace.duration_msec || 0.001;
  const read = lines.reduce((sum, { node }) => sum + (node.children ? 0 : node.samplesRead), 0);
  return (
    <div className="explain">
      <Stats>
        <Stat name="Time" value={seconds(trace.duration_msec / 1000)} more={data.stats ? `${seconds(data.stats.timings.execQueueTime)} in the queue` : ""} />
        <Stat name="Samples read" value={short(data.stats?.samples.totalQueryableSamples ?? read)} more={data.stats ? `at most ${short(data.stats.samples.peakSamples)} at once` : ""} />
        <Stat name="Result" value={short(trace.series)} unit="series" more={count(trace.points, "point")} />
        <Stat name="Parts" value={lines.length} more={`slowest: ${lines.find((line) => line.own === slowest)?.node.operator ?? "–"}`} />
      </Stats>
      <div className="scroll-x">
        <table className="plain tree">
          <thead>
            <tr>
              <th>Part</th>
              <th>Time of its own</th>
              <th className="r">With its parts</th>
              <th className="r">Series</th>
              <th className="r">Points</th>
              <th className="r">Samples read</th>
              <th className="r">Bytes read</th>
            </tr>
          </thead>
          <tbody>
            {lines.map(({ node, depth, own }, index) => (
              // biome-ignore lint: the order of a tree's parts is what names them
              <tr key={index} className={own === slowest ? "slowest" : ""}>
                <td>
                  <div className="tree-part" style={{ paddingLeft: depth * 20 }}>
                    {depth > 0 && <span className="tree-elbow" aria-hidden />}
                    <span className="state">{node.operator}</span>
                    <code className="clip" title={node.query}>{withTimes(node.query, zone)}</code>
                    {node.operator !== "fetch" && (
                      <button type="button" className="btn quiet icon sm tree-add" onClick={() => onAdd(node.query)} aria-label={`Ask for this part alone: ${node.query}`} title="Ask for this part alone">
                        <IconPlus size={14} aria-hidden />
                      </button>
                    )}
                    {(node.sharedBy ?? 0) > 1 && <span className="dim small shared">read once for {node.sharedBy} parts</span>}
                  </div>
                </td>
                <td>
                  <div className="tree-time">
                    <span className="share" aria-hidden><i style={{ width: `${(100 * own) / total}%` }} /></span>
                    <span className="num">{seconds(own / 1000)}</span>
                  </div>
                </td>
                <td className="r">{seconds(node.duration_msec / 1000)}</td>
                <td className="r">{whole(node.series)}</td>
                <td className="r">{whole(node.points)}</td>
                <td className="r">{node.samplesRead > 0 ? whole(node.samplesRead) : "–"}</td>
                <td className="r">{node.bytesRead > 0 ? bytes(node.bytesRead) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}
