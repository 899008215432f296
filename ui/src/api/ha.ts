// HA pairs as `/api/v1/status/ha` and `/api/v1/ha/explain` describe them. Times and durations are seconds.
import { useQuery } from "@tanstack/react-query";
import { data } from "./client";
import type { Labels } from "./types";

export interface Lane {
  replica: string;
  rank: number;
  state: "live" | "late" | "silent" | "never";
  newestSample: number | null;
  lastArrival: number | null;
  lag: number | null;
  /** Ahead of the first replica's clock; `null` where it cannot be told. */
  clockSkew: number | null;
  received: number;
  covered: number;
  kept: number;
  conflicts: number;
}
export interface HaGroup {
  cluster: string;
  /** The label of its series whose value that is; `null` where only requests name the pair. */
  label: string | null;
  series: number;
  order: string[];
  preference: { from: number; order: string[]; by: string }[];
  leading: string | null;
  lastSwitch: { at: number; from: string; to: string; why: string } | null;
  fillRatio: number;
  gapsFilled: number;
  lanes: Lane[];
  targets: { seen: number; oneReplicaOnly: { labels: Labels; replica: string }[]; oneReplicaOnlyCount: number };
  warnings: { kind: string; replica: string | null; text: string }[];
}
export interface LaneRow {
  at: number;
  value: string;
  kind: "float" | "histogram" | "stale";
  kept: boolean;
  verdict: string;
  interval: number | null;
  why: string;
}
export interface Stretch {
  from: number;
  to: number;
  replica: string;
  rows: number;
}
export interface ExplainedSeries {
  labels: Labels;
  cluster: string;
  policy: string;
  counter: boolean;
  lanes: { replica: string; rank: number; rows: LaneRow[] }[];
  fedBy: Stretch[];
}
export interface Explained {
  start: number;
  end: number;
  series: ExplainedSeries[];
  truncated: boolean;
}

export interface Ha {
  /** How senders name their replica. */
  replicaLabel: string;
  /** How they name their pair: the first of these that a series has counts. */
  clusterLabels: string[];
  groups: HaGroup[];
}

export function useHa() {
  return useQuery({ queryKey: ["ha"], queryFn: ({ signal }) => data<Ha>("/api/v1/status/ha", {}, { signal }), refetchInterval: 5_000 });
}

/** The labels that a series of this pair has besides its own. */
export const labelsOf = ({ label, cluster }: HaGroup): Labels => (label === null ? {} : { [label]: cluster });

export function useExplained(match: string, start: number, end: number, limit: number, on: boolean) {
  return useQuery({
    queryKey: ["ha-explain", match, start, end, limit],
    queryFn: ({ signal }) => data<Explained>("/api/v1/ha/explain", { "match[]": match, start, end, limit }, { signal }),
    enabled: on && match !== "",
    staleTime: Number.POSITIVE_INFINITY,
  });
}
