// A range answer as columns over the grid.
import type { Series } from "../api/types";
import type { Range } from "../time/range";
import { toNumber } from "./run";
import type { Nulls } from "./state";

export type Columns = [number[], ...(number | null)[][]];

/** One column a series, `null` where it has no point. A native histogram counts as its observations. */
export function columns(series: Series[], range: Range, nulls: Nulls): Columns {
  const length = Math.max(1, Math.round((range.end - range.start) / range.step) + 1);
  const times = Array.from({ length }, (_, index) => range.start + index * range.step);
  const missing = nulls === "zero" ? 0 : null;
  const rows = series.map(({ values = [], histograms = [] }) => {
    const column = new Array<number | null>(length).fill(missing);
    const put = (at: number, text: string) => {
      const index = Math.round((at - range.start) / range.step);
      const value = toNumber(text);
      if (index >= 0 && index < length) column[index] = Number.isFinite(value) ? value : null;
    };
    for (const [at, text] of values) put(at, text);
    for (const [at, histogram] of histograms) put(at, histogram.count);
    return column;
  });
  return [times, ...rows];
}

/** Each column on top of those before it; what is hidden or missing takes no part. */
export function stack(data: Columns, hidden: (index: number) => boolean): Columns {
  const sums = new Array<number>(data[0].length).fill(0);
  const rows = (data.slice(1) as (number | null)[][]).map((column, index) => {
    if (hidden(index)) return column;
    return column.map((value, at) => {
      if (value === null) return null;
      sums[at] = (sums[at] as number) + value;
      return sums[at] as number;
    });
  });
  return [data[0], ...rows];
}

export interface Summary {
  min: number;
  max: number;
  mean: number;
  last: number;
}

export function summary(column: (number | null)[]): Summary {
  let [min, max, sum, count, last] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, Number.NaN];
  for (const value of column) {
    if (value === null) continue;
    if (value < min) min = value;
    if (value > max) max = value;
    sum += value;
    count++;
    last = value;
  }
  return count === 0 ? { min: Number.NaN, max: Number.NaN, mean: Number.NaN, last } : { min, max, mean: sum / count, last };
}
