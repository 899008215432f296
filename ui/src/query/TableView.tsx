// An instant as a table: a column for each label that tells series apart.
import { useMemo } from "react";
import type { QueryAnswer, Series } from "../api/types";
import { LabelSet, SeriesName } from "../parts/labels";
import { sample, whole } from "../parts/number";
import { Empty } from "../parts/state";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { showTime, useZone } from "../time/zone";
import { asSeries, distinguish, toNumber } from "./run";

const LABEL_COLUMNS_MAX = 8;

function shown(series: Series): string {
  if (series.value) return sample(series.value[1]);
  if (series.histogram) return `${sample(series.histogram[1].count)} observations, sum ${sample(series.histogram[1].sum)}`;
  const count = (series.values?.length ?? 0) + (series.histograms?.length ?? 0);
  return `${whole(count)} samples, last ${sample(series.values?.at(-1)?.[1] ?? series.histograms?.at(-1)?.[1].count ?? "")}`;
}

const order = (series: Series) => toNumber(series.value?.[1] ?? series.histogram?.[1].count ?? series.values?.at(-1)?.[1] ?? "NaN");

export function TableView({ answer, at }: { answer: QueryAnswer; at: number }) {
  const zone = useZone();
  const series = useMemo(() => asSeries(answer), [answer]);
  const { common, names } = useMemo(() => distinguish(series.map((one) => one.metric)), [series]);
  const columns = useMemo<Column<Series>[]>(() => {
    const value: Column<Series> = { key: "value", title: "Value", width: `minmax(${series.some((one) => one.histogram) ? 330 : 110}px, 1fr)`, right: true, pin: true, by: order, show: (row) => <span className="mono num" title={row.value?.[1]}>{shown(row)}</span> };
    if (series.length === 1 || names.length === 0 || names.length > LABEL_COLUMNS_MAX) {
      return [{ key: "series", title: "Series", width: "minmax(280px, 4fr)", show: (row) => <SeriesName labels={row.metric} /> }, value];
    }
    return [
      ...names.map(
        (name): Column<Series> => ({
          key: `label ${name}`,
          title: name === "__name__" ? "metric" : name,
          width: "minmax(110px, 2fr)",
          by: (row) => row.metric[name] ?? "",
          show: (row) => <span className="mono" dir="auto" title={row.metric[name]}>{row.metric[name] ?? <span className="dim">–</span>}</span>,
        }),
      ),
      value,
    ];
  }, [series, names]);
  if (series.length === 0) {
    return (
      <Empty title="Empty result">
        <p>No series matched at {showTime(at, zone)}. A series counts for five minutes after its last sample: go back in time, or ask for a range.</p>
      </Empty>
    );
  }
  // A row has one line: labels that all series have stand above, and so do those of a single one, however long.
  const shared = series.length === 1 || columns.some((column) => column.key !== "series" && column.key !== "value");
  return (
    <div className="table-view">
      {shared && Object.keys(common).length > 0 && (
        <div className="legend-common">
          {series.length > 1 && <span className="dim small">all have</span>} <LabelSet labels={common} />
        </div>
      )}
      <VirtualTable rows={series} columns={columns} label="Result" height={520} rowHeight={30} least={columns.length * 120 + 60} />
      <p className="panel-foot dim small num">At {showTime(at, zone, true)}</p>
    </div>
  );
}
