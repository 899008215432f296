// Rules and alerts, with what Weir adds to Prometheus' fields.
import { useQuery } from "@tanstack/react-query";
import { ask, data } from "./client";
import type { Alert, Labels, Rule, RuleGroup } from "./types";

export interface WeirAlert extends Alert {
  id?: string;
  inputStale?: boolean;
  silence?: string;
}
export interface WeirRule extends Omit<Rule, "alerts" | "state"> {
  id?: string;
  group_id?: string;
  state?: "inactive" | "pending" | "firing" | "ok" | "nomatch" | "unhealthy";
  alerts?: WeirAlert[];
  lastSamples?: number;
  lastSeriesFetched?: number;
  hint?: string;
  stale?: boolean;
}
export interface WeirGroup extends Omit<RuleGroup, "rules"> {
  id?: string;
  rules: WeirRule[];
  queryOffset?: number;
  missed?: number;
  nextEvaluation?: string;
  inputWait?: number;
  inputBehind?: { source: string; upTo: string; behind: number }[];
}
export interface RulesAnswer {
  groups: WeirGroup[];
  reload?: { ok: boolean; at: string; problems: string[] };
}
export interface Evaluation {
  time: string;
  at: string;
  duration: number;
  samples: number;
  series_fetched: number;
  error: string;
  curl: string;
}
export interface Notifier {
  kind: string;
  targets: { address: string; labels?: Labels; lastError?: string; waiting?: number; sent?: number; failed?: number; dropped?: number }[];
}
export interface Backtest {
  start: number;
  end: number;
  interval: number;
  evaluations: number;
  fired: number;
  firingSeconds: number;
  activeAtEnd: number;
  truncated: boolean;
  alerts: { labels: Labels; episodes: { activeAt: number; firedAt: number | null; endedAt: number | null; firing: number; peak: string }[] }[];
}

export function useRules() {
  return useQuery({ queryKey: ["rules"], queryFn: ({ signal }) => data<RulesAnswer>("/api/v1/rules", {}, { signal }), refetchInterval: 5_000 });
}

/** The last evaluations of a rule, newest first. */
export function useEvaluations(rule: WeirRule) {
  return useQuery({
    queryKey: ["rule", rule.group_id, rule.id],
    queryFn: ({ signal }) => ask<{ updates?: Evaluation[] }>("/api/v1/rule", { group_id: rule.group_id, rule_id: rule.id }, { signal }),
    enabled: !!rule.id && !!rule.group_id,
    refetchInterval: 10_000,
  });
}

export function useNotifiers() {
  return useQuery({
    queryKey: ["notifiers"],
    queryFn: async ({ signal }) => (await data<{ notifiers: Notifier[] }>("/api/v1/notifiers", {}, { signal })).notifiers,
    refetchInterval: 10_000,
  });
}
