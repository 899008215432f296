// Exemplars of a graph: the one that was picked, and all of them to search, so that a trace can be followed.
import { IconX } from "@tabler/icons-react";
import { useMemo } from "react";
import type { Labels } from "../api/types";
import { LabelSet, SeriesName } from "../parts/labels";
import { count } from "../parts/number";
import { CopyButton, Note, Problem, Wait } from "../parts/state";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { showTime, useZone } from "../time/zone";

/** An exemplar on a graph. */
export interface Mark {
  at: number;
  value: number;
  labels: Labels;
  series: Labels;
}

/** What was asked for exemplars, and what came. */
export interface Found {
  marks: Mark[];
  asking: boolean;
  error: unknown;
}

interface Props {
  found: Found;
  picked: Mark | undefined;
  onPick: (mark: Mark | undefined) => void;
  unit: (value: number) => string;
}

/** What a reader takes to the tracing system: the trace where one is named, else all labels. */
const traceOf = (labels: Labels) => Object.entries(labels).find(([name]) => /^trace_?id$/i.test(name))?.[1] ?? JSON.stringify(labels);

export function Exemplars({ found, picked, onPick, unit }: Props) {
  const zone = useZone();
  const columns = useMemo<Column<Mark>[]>(
    () => [
      { key: "at", title: "Time", width: "190px", by: (mark) => mark.at, show: (mark) => <button type="button" className="link mono num" onClick={() => onPick(mark)}>{showTime(mark.at, zone)}</button> },
      { key: "value", title: "Value", head: true, width: "100px", right: true, by: (mark) => mark.value, show: (mark) => <span title={String(mark.value)}>{unit(mark.value)}</span> },
      { key: "labels", title: "Exemplar", wide: true, width: "minmax(240px, 2fr)", by: (mark) => traceOf(mark.labels), show: (mark) => <LabelSet labels={mark.labels} /> },
      { key: "copy", title: "", head: true, width: "48px", show: (mark) => <CopyButton text={traceOf(mark.labels)} label="Copy the trace" /> },
      { key: "series", title: "Of the series", wide: true, width: "minmax(280px, 3fr)", show: (mark) => <SeriesName labels={mark.series} /> },
    ],
    [zone, unit, onPick],
  );
  if (found.error) return <Problem error={found.error} what="The exemplars could not be read." />;
  if (found.asking) return <Wait height={36} />;
  if (found.marks.length === 0) {
    return (
      <Note kind="info">
        No series of this expression has an exemplar in this range. A Prometheus sends those it scraped with <code>send_exemplars: true</code> in its remote_write, and scrapes them with <code>--enable-feature=exemplar-storage</code>.
      </Note>
    );
  }
  return (
    <>
      {picked && (
        <div className="picked note" role="status">
          <i aria-hidden />
          <div className="grow row wrap">
            <b className="num">{unit(picked.value)}</b>
            <span className="num soft">{showTime(picked.at, zone, true)}</span>
            <LabelSet labels={picked.labels} />
            <CopyButton text={traceOf(picked.labels)} label="Copy the trace" />
            <SeriesName labels={picked.series} />
          </div>
          <button type="button" className="btn quiet icon sm" aria-label="Let go of the exemplar" onClick={() => onPick(undefined)}>
            <IconX size={15} aria-hidden />
          </button>
        </div>
      )}
      <details className="exemplars">
        <summary className="small">{count(found.marks.length, "exemplar")}</summary>
        <VirtualTable rows={found.marks} columns={columns} label="Exemplars" height={300} rowHeight={32} sorted={{ key: "value", down: true }} least={900} />
      </details>
    </>
  );
}
