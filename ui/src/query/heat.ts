// Histograms as a grid of counts: times across, buckets up.
import type { Bucket, Series } from "../api/types";
import type { Range } from "../time/range";
import { toNumber } from "./run";

export interface Heat {
  /** Bounds from the lowest up; `bounds[i]..bounds[i + 1]` is row `i`. */
  bounds: number[];
  columns: number;
  /** `cells[row * columns + column]` */
  cells: Float64Array;
  highest: number;
  kind: "native" | "classic";
}

const ROWS_MAX = 240;

export function heat(series: Series[], range: Range): Heat | undefined {
  const columns = Math.round((range.end - range.start) / range.step) + 1;
  const column = (at: number) => Math.round((at - range.start) / range.step);
  const native = series.filter((one) => one.histograms?.length);
  if (native.length > 0) {
    const all: { at: number; buckets: Bucket[] }[] = native.flatMap((one) => (one.histograms ?? []).map(([at, histogram]) => ({ at: column(at), buckets: histogram.buckets ?? [] })));
    const edges = new Set<number>();
    for (const { buckets } of all) for (const [, low, high] of buckets) edges.add(toNumber(low)).add(toNumber(high));
    return fill([...edges].sort((left, right) => left - right), columns, "native", (add) => {
      for (const { at, buckets } of all) for (const [, low, high, count] of buckets) add(at, toNumber(low), toNumber(high), toNumber(count));
    });
  }
  // Series that differ in `le` alone belong together; several such families are added up.
  const classic = series.filter((one) => one.metric["le"] !== undefined && one.values?.length);
  if (classic.length < 2) return undefined;
  const families = new Map<string, Series[]>();
  for (const one of classic) {
    const { le: _, ...rest } = one.metric;
    const key = JSON.stringify(Object.entries(rest).sort());
    families.set(key, [...(families.get(key) ?? []), one]);
  }
  const edges = [...new Set(classic.map((one) => toNumber(one.metric["le"] ?? "")))].sort((left, right) => left - right);
  const bounds = [edges[0] !== undefined && edges[0] > 0 ? 0 : Number.NEGATIVE_INFINITY, ...edges];
  return fill(bounds, columns, "classic", (add) => {
    for (const family of families.values()) {
      const sorted = family.sort((left, right) => toNumber(left.metric["le"] ?? "") - toNumber(right.metric["le"] ?? ""));
      const before = new Float64Array(columns);
      let low = bounds[0] as number;
      for (const one of sorted) {
        const high = toNumber(one.metric["le"] ?? "");
        for (const [at, text] of one.values ?? []) {
          const value = toNumber(text);
          const index = column(at);
          if (!Number.isFinite(value) || index < 0 || index >= columns) continue;
          add(index, low, high, Math.max(0, value - (before[index] as number)));
          before[index] = value;
        }
        low = high;
      }
    }
  });
}

function fill(bounds: number[], columns: number, kind: Heat["kind"], each: (add: (at: number, low: number, high: number, count: number) => void) => void): Heat | undefined {
  const thinned = bounds.length - 1 > ROWS_MAX ? bounds.filter((_, index) => index % Math.ceil(bounds.length / ROWS_MAX) === 0 || index === bounds.length - 1) : bounds;
  const rows = thinned.length - 1;
  if (rows < 1) return undefined;
  const cells = new Float64Array(rows * columns);
  const rowOf = (bound: number) => {
    let [low, high] = [0, rows];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((thinned[middle + 1] as number) > bound) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  each((at, low, high, count) => {
    if (at < 0 || at >= columns || !(count > 0)) return;
    // A wide bucket spreads evenly over the rows that it covers.
    const first = Math.min(rows - 1, rowOf(low));
    let last = first;
    while (last + 1 < rows && (thinned[last + 1] as number) < high) last++;
    for (let row = first; row <= last; row++) (cells[row * columns + at] as number) += count / (last - first + 1);
  });
  let highest = 0;
  for (const cell of cells) if (cell > highest) highest = cell;
  return highest > 0 ? { bounds: thinned, columns, cells, highest, kind } : undefined;
}

/** From dark blue over grey to yellow: the same order for every kind of colour vision. (After cividis.) */
const SCALE = [[0, 43, 92], [34, 69, 110], [78, 96, 112], [117, 122, 119], [157, 150, 116], [202, 182, 94], [255, 222, 66]] as const;

export function heatColour(share: number): string {
  const at = Math.max(0, Math.min(1, share)) * (SCALE.length - 1);
  const [low, high] = [SCALE[Math.floor(at)] as readonly number[], SCALE[Math.min(SCALE.length - 1, Math.ceil(at))] as readonly number[]];
  const part = at - Math.floor(at);
  return `rgb(${low.map((value, index) => Math.round(value + ((high[index] as number) - value) * part)).join(" ")})`;
}
