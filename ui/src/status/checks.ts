// What a new installation has to have done, found out by asking the API.
import { useQuery } from "@tanstack/react-query";
import { ask, data } from "../api/client";
import { useHa } from "../api/ha";
import { useNotifiers, useRules } from "../api/rules";
import type { QueryAnswer, Series, Storage } from "../api/types";
import { bytes, count } from "../parts/number";
import { NOTIFIER, pairLabels, remoteWrite, RULE_FILES } from "../parts/setup";

export interface Check {
  title: string;
  state: "done" | "open" | "unknown" | "asking";
  why: string;
  /** The line to add. */
  add?: string;
  /** Where to look. */
  link?: { to: string; text: string };
}

interface WhoAmI {
  kind: string;
  rights: string[];
  login?: string[];
}

function useResult(key: string, query: string) {
  return useQuery({
    queryKey: ["check", key],
    queryFn: async ({ signal }) => (await ask<QueryAnswer>("/api/v1/query", { query }, { method: "POST", signal })).data.result as Series[],
    refetchInterval: 15_000,
  });
}

export function useChecks(): Check[] {
  const any = useQuery({ queryKey: ["any-series"], queryFn: ({ signal }) => data<string[]>("/api/v1/label/__name__/values", { limit: 1 }, { signal }), refetchInterval: 10_000 });
  const self = useResult("self", 'count({__name__=~"weir_tsdb_series|weir_http_requests_total"})');
  const metadata = useQuery({ queryKey: ["metadata-any"], queryFn: ({ signal }) => data<Record<string, unknown>>("/api/v1/metadata", { limit: 1 }, { signal }) });
  const ha = useHa();
  const rules = useRules();
  const notifiers = useNotifiers();
  const storage = useQuery({ queryKey: ["storage"], queryFn: ({ signal }) => data<Storage>("/api/v1/status/storage", {}, { signal }), refetchInterval: 10_000 });
  const me = useQuery({ queryKey: ["whoami"], queryFn: ({ signal }) => data<WhoAmI>("/api/v1/whoami", {}, { signal }), retry: false });

  const asking: Check["state"] = "asking";
  const state = (known: boolean, done: boolean): Check["state"] => (known ? (done ? "done" : "open") : asking);
  const groups = ha.data?.groups ?? [];
  const halves = groups.filter((group) => group.lanes.length < 2);
  const quiet = groups.filter((group) => group.lanes.some((lane) => lane.state === "silent" || lane.state === "late"));
  const ruleCount = rules.data?.groups.reduce((sum, group) => sum + group.rules.length, 0) ?? 0;
  const failing = rules.data?.groups.flatMap((group) => group.rules).filter((rule) => rule.health === "err") ?? [];
  const targets = notifiers.data?.flatMap((notifier) => notifier.targets) ?? [];
  const mute = targets.filter((target) => target.lastError);

  const list: Check[] = [
    {
      title: "Samples arrive",
      state: state(!!any.data, (any.data?.length ?? 0) > 0),
      why: any.data?.length ? "There are series to ask for." : "No Prometheus has sent anything yet.",
      add: remoteWrite(),
    },
    {
      title: "Each Prometheus names its pair and itself",
      state: ha.error ? "unknown" : state(!!ha.data, groups.length > 0 && halves.length === 0),
      why: ha.error
        ? "This Weir does not tell of its pairs."
        : groups.length === 0
          ? "Without the two labels every sender's series are its own, and nothing fills its gaps."
          : halves.length > 0
            ? `${halves.map((group) => group.cluster || "a sender").join(", ")} sends with one replica only: while it is away there is a gap.`
            : `${count(groups.length, "pair")}, each of two or more.`,
      add: halves[0]?.cluster ? pairLabels(ha.data, halves[0].cluster, halves[0].lanes[0]?.replica === "b" ? "a" : "b", `${halves[0].lanes[0]?.replica} sends already`) : pairLabels(ha.data),
    },
    ...(quiet.length > 0
      ? [{ title: "Every replica sends", state: "open" as const, why: `${quiet.map((group) => group.cluster).join(", ")}: a replica is silent or late.`, link: { to: "/pairs", text: "Since when" } }]
      : []),
    {
      title: "Weir is scraped by the Prometheus servers",
      state: state(!!self.data, (self.data?.length ?? 0) > 0),
      why: self.data?.length ? "Its own metrics are stored, so its past can be graphed." : "Its own metrics are not stored; without them nobody sees how it did yesterday.",
      add: `scrape_configs:\n  - job_name: weir\n    static_configs:\n      - targets: [${JSON.stringify(location.host)}]`,
    },
    {
      title: "Rules are loaded, and work",
      state: state(!!rules.data, ruleCount > 0 && failing.length === 0),
      why: ruleCount === 0 ? "No rule is loaded." : failing.length > 0 ? `${failing.map((rule) => rule.name).slice(0, 5).join(", ")} cannot be evaluated.` : `${count(ruleCount, "rule")}, all of them evaluate.`,
      ...(ruleCount === 0 ? { add: RULE_FILES } : failing.length > 0 ? { link: { to: "/rules?kind=failing", text: "Their errors" } } : {}),
    },
    {
      title: "An Alertmanager is told",
      state: state(!!notifiers.data, targets.length > 0 && mute.length === 0),
      why: targets.length === 0 ? "Alerts are shown here, and nobody is told." : mute.length > 0 ? `${mute.map((target) => `${target.address}: ${target.lastError}`).join("; ")}` : targets.map((target) => target.address).join(", "),
      ...(targets.length === 0
        ? { add: NOTIFIER }
        : mute.length > 0
          ? { link: { to: "/alerts?state=notifiers", text: "All Alertmanagers" } }
          : {}),
    },
    {
      title: "Metric types and help arrive",
      state: state(!!metadata.data, Object.keys(metadata.data ?? {}).length > 0),
      why: Object.keys(metadata.data ?? {}).length > 0 ? "Completion shows what a metric is." : "No metadata was sent; completion shows names only. Prometheus sends it unless told not to.",
      add: remoteWrite("\n    metadata_config: {send: true}"),
    },
    {
      title: "Writes are taken, and the disk has room",
      state: state(!!storage.data, !storage.data?.readOnly && (storage.data?.freeBytes ?? 0) > 2 * 1024 ** 3 && storage.data?.damages.length === 0),
      why: !storage.data ? "" : storage.data.readOnly ? storage.data.why : storage.data.damages.length > 0 ? "Damage was found." : `${bytes(storage.data.freeBytes)} are free.`,
      link: { to: "/storage", text: "What takes the room" },
    },
  ];
  if (!me.error) {
    list.push({
      title: "Not everybody may do everything",
      state: state(!!me.data, !!me.data && ((me.data.login?.length ?? 0) > 0 || me.data.kind !== "anonymous")),
      why: me.data && me.data.kind === "anonymous" && (me.data.login?.length ?? 0) === 0 ? "Whoever reaches this port may read, write and change. Fine inside a closed network; otherwise ask for tokens, or for users of a web.yml (http.web_config)." : "Callers are asked who they are.",
      add: "# while Weir is stopped\nweir token create admin --data DIR \\\n  --right admin --right read --right write --right status\n\n# then in weir.yml\nhttp:\n  anonymous: false",
    });
  }
  return list;
}
