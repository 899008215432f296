// When a rule's alerts were pending and firing within the last day, from the ALERTS series that it wrote.
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { ask } from "../api/client";
import type { WeirRule } from "../api/rules";
import type { Labels, QueryAnswer, Series } from "../api/types";
import { LabelSet, matcher } from "../parts/labels";
import { episodes } from "../query/run";
import { showSpan } from "../time/range";
import { showTime, useZone } from "../time/zone";
import { EpisodeStrip, type Stretch } from "./EpisodeStrip";

const [DAY, STEP, SHOWN] = [86_400, 60, 8];

export function Timeline({ rule }: { rule: WeirRule }) {
  const zone = useZone();
  const [end] = useState(() => Math.floor(Date.now() / 1000 / STEP) * STEP + STEP);
  const start = end - DAY;
  const own = Object.entries(rule.labels ?? {}).filter(([, value]) => !value.includes("{{"));
  const query = `ALERTS{${[["alertname", rule.name] as const, ...own].map(([name, value]) => matcher(name, value)).join(", ")}}`;
  const found = useQuery({
    queryKey: ["timeline", query, end],
    queryFn: async ({ signal }) => (await ask<QueryAnswer>("/api/v1/query_range", { query, start, end, step: STEP, limit: 200 }, { method: "POST", signal })).data.result as Series[],
    staleTime: Number.POSITIVE_INFINITY,
  });
  const alerts = useMemo(() => byAlert(found.data ?? [], (from, to, fired) => `${fired ? "firing" : "pending"} from ${showTime(from, zone)} for ${showSpan(to - from)}`), [found.data, zone]);
  if (alerts.length === 0) return null;
  return (
    <div className="stack tight">
      <h3>The last day</h3>
      {alerts.slice(0, SHOWN).map(({ labels, stretches }, index) => (
        <div key={JSON.stringify(labels)}>
          {alerts.length > 1 && <LabelSet labels={labels} hide={["__name__", "alertname"]} />}
          <EpisodeStrip start={start} end={end} stretches={stretches} label={`${stretches.filter((one) => one.fired).length} times firing`} axis={index === Math.min(alerts.length, SHOWN) - 1} />
        </div>
      ))}
      {alerts.length > SHOWN && <p className="dim small">and {alerts.length - SHOWN} more</p>}
    </div>
  );
}

/** One line an alert: its pending and its firing series stand in the same one. */
export function byAlert(series: Series[], title: (from: number, to: number, fired: boolean) => string): { labels: Labels; stretches: Stretch[] }[] {
  const all = new Map<string, { labels: Labels; stretches: Stretch[] }>();
  for (const one of series) {
    const { alertstate, ...labels } = one.metric;
    const key = JSON.stringify(Object.entries(labels).sort());
    const alert = all.get(key) ?? { labels, stretches: [] };
    all.set(key, alert);
    const fired = alertstate === "firing";
    // A point stands for the minute behind it.
    for (const episode of episodes([one], STEP)) alert.stretches.push({ from: episode.start - STEP, to: episode.end, fired, title: title(episode.start - STEP, episode.end, fired) });
  }
  return [...all.values()];
}
