// Weir's own counters, read from `/metrics` every few seconds; rates are those between two readings.
import { useQuery } from "@tanstack/react-query";
import { text } from "./client";
import type { Labels } from "./types";

export interface Sample {
  name: string;
  labels: Labels;
  value: number;
}
export interface Reading {
  at: number;
  samples: Map<string, Sample[]>;
}

const KEPT = 60;
const readings: Reading[] = [];

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

export function parseMetrics(page: string): Map<string, Sample[]> {
  const found = new Map<string, Sample[]>();
  for (const line of page.split("\n")) {
    if (line.startsWith("#")) continue;
    const parts = LINE.exec(line);
    if (!parts?.[1]) continue;
    const labels: Labels = {};
    for (const [, name, value] of (parts[2] ?? "").matchAll(LABEL)) labels[name as string] = (value as string).replaceAll(/\\(.)/g, (_, letter: string) => (letter === "n" ? "\n" : letter));
    const list = found.get(parts[1]) ?? [];
    list.push({ name: parts[1], labels, value: Number(parts[3]) });
    found.set(parts[1], list);
  }
  return found;
}

/** The newest reading; earlier ones are kept for rates. */
export function useMetrics(): { now: Reading | undefined; past: Reading[]; error: unknown } {
  const found = useQuery({
    queryKey: ["metrics"],
    queryFn: async ({ signal }) => {
      const reading = { at: Date.now() / 1000, samples: parseMetrics(await text("/metrics", { signal })) };
      readings.push(reading);
      if (readings.length > KEPT) readings.shift();
      return reading;
    },
    // A rate needs two readings: the second comes soon.
    refetchInterval: () => (readings.length < 2 ? 1_000 : 5_000),
    // A map is not compared field by field.
    structuralSharing: false,
  });
  return { now: found.data, past: readings, error: found.data ? undefined : found.error };
}

export function total(reading: Reading | undefined, name: string, wanted: Labels = {}): number | undefined {
  const samples = reading?.samples.get(name)?.filter(({ labels }) => Object.entries(wanted).every(([key, value]) => labels[key] === value));
  return samples?.reduce((sum, sample) => sum + sample.value, 0);
}

/** Rates between readings, oldest first. */
export function rates(past: Reading[], name: string, wanted: Labels = {}): number[] {
  return past.slice(1).map((reading, index) => {
    const before = past[index] as Reading;
    return Math.max(0, ((total(reading, name, wanted) ?? 0) - (total(before, name, wanted) ?? 0)) / Math.max(0.001, reading.at - before.at));
  });
}
