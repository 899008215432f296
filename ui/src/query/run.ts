// Asking: the same range for all panels, one request a panel and view of it.
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { ask } from "../api/client";
import type { ExemplarSeries, Labels, Point, QueryAnswer, Series } from "../api/types";
import type { Range } from "../time/range";
import type { Mark } from "./Exemplars";

export function useRange(expr: string, range: Range, on: boolean) {
  return useQuery({
    queryKey: ["range", expr, range.start, range.end, range.step],
    queryFn: async ({ signal }) => {
      const answer = await ask<QueryAnswer>("/api/v1/query_range", { query: expr, start: range.start, end: range.end, step: range.step, stats: "true" }, { method: "POST", signal });
      return { answer, range };
    },
    enabled: on && expr.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  });
}

export function useInstant(expr: string, at: number, on: boolean) {
  return useQuery({
    queryKey: ["instant", expr, at],
    queryFn: async ({ signal }) => {
      const answer = await ask<QueryAnswer>("/api/v1/query", { query: expr, time: at, stats: "true" }, { method: "POST", signal });
      return { answer, at };
    },
    enabled: on && expr.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 60_000,
  });
}

/** The same question with its trace: each part's time, series, samples. */
export function useTrace(expr: string, range: Range, on: boolean) {
  return useQuery({
    queryKey: ["trace", expr, range.start, range.end, range.step],
    queryFn: ({ signal }) =>
      ask<QueryAnswer>("/api/v1/query_range", { query: expr, start: range.start, end: range.end, step: range.step, stats: "true", trace: 1 }, { method: "POST", signal }),
    enabled: on && expr.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

const marksOf = ({ data }: { data: ExemplarSeries[] }): Mark[] =>
  data.flatMap(({ seriesLabels, exemplars }) => exemplars.map(({ labels, value, timestamp }) => ({ at: timestamp, value: toNumber(value), labels, series: seriesLabels })));

export function useExemplars(expr: string, range: Range, on: boolean) {
  return useQuery({
    queryKey: ["exemplars", expr, range.start, range.end],
    queryFn: ({ signal }) => ask<{ data: ExemplarSeries[] }>("/api/v1/query_exemplars", { query: expr, start: range.start, end: range.end }, { method: "POST", signal }),
    enabled: on && expr.trim() !== "",
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    select: marksOf,
  });
}

/** When an alert fired. */
export interface Episode {
  name: string;
  start: number;
  end: number;
  labels: Labels;
}

const EPISODES_MAX = 200;

export function useEpisodes(range: Range, on: boolean) {
  const found = useQuery({
    queryKey: ["episodes", range.start, range.end, range.step],
    queryFn: ({ signal }) =>
      ask<QueryAnswer>("/api/v1/query_range", { query: 'ALERTS{alertstate="firing"}', start: range.start, end: range.end, step: range.step }, { method: "POST", signal }),
    enabled: on,
    placeholderData: keepPreviousData,
  });
  return on && found.data ? episodes(found.data.data.result as Series[], range.step) : [];
}

export function episodes(series: Series[], step: number): Episode[] {
  const all: Episode[] = [];
  for (const { metric, values = [] } of series) {
    let open: Episode | undefined;
    for (const [at] of values) {
      if (open && at - open.end <= step * 1.5) open.end = at;
      else {
        open = { name: metric["alertname"] ?? "alert", start: at, end: at, labels: metric };
        all.push(open);
      }
    }
  }
  return all.slice(0, EPISODES_MAX);
}

/** Any answer as series, so that one table shows them all. */
export function asSeries(answer: QueryAnswer): Series[] {
  const { data } = answer;
  if (data.resultType === "scalar" || data.resultType === "string") return [{ metric: {}, value: data.result as Point }];
  return data.result as Series[];
}

/** Whether the answer is buckets, classic or native, and nothing else. */
export function isHistogram({ data }: QueryAnswer): boolean {
  if (data.resultType !== "matrix") return false;
  const series = data.result as Series[];
  return series.length > 0 && (series.every((one) => one.histograms?.length) || (series.length > 1 && series.every((one) => one.metric["le"] !== undefined)));
}

/** Values that a number in text can take, `NaN` for what is none. */
export function toNumber(text: string): number {
  if (text === "+Inf" || text === "Inf") return Number.POSITIVE_INFINITY;
  if (text === "-Inf") return Number.NEGATIVE_INFINITY;
  return Number(text);
}

/** Splits labels into those all series share and the names of those that tell them apart. */
export function distinguish(series: Labels[]): { common: Labels; names: string[] } {
  const common: Labels = { ...(series[0] ?? {}) };
  const names = new Set<string>();
  for (const labels of series) {
    for (const name of Object.keys(common)) if (labels[name] !== common[name]) delete common[name];
    for (const name of Object.keys(labels)) names.add(name);
  }
  for (const name of Object.keys(common)) names.delete(name);
  return { common, names: [...names].sort((left, right) => (left === "__name__" ? -1 : right === "__name__" ? 1 : left < right ? -1 : 1)) };
}
