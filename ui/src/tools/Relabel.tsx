// What relabel rules make of a series, rule by rule.
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { data } from "../api/client";
import type { Labels } from "../api/types";
import { Note, Problem, Wait } from "../parts/state";

interface Steps {
  steps: { rule: Record<string, unknown>; output: Labels; keep: boolean }[];
  keep: boolean;
  output: Labels;
  replica: { cluster: string; name: string } | null;
}

const EXAMPLE = `- source_labels: [__name__]
  regex: go_.*
  action: drop
- regex: pod_uid
  action: labeldrop
- source_labels: [instance]
  regex: (.*):\\d+
  target_label: host`;

/** A label of a step: as before, new, or taken away. */
export interface Change {
  name: string;
  value: string;
  kind: "same" | "added" | "gone";
}

export function changes(before: Labels, after: Labels): Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name): Change[] => {
    const [old, now] = [before[name], after[name]];
    if (old === now && now !== undefined) return [{ name, value: now, kind: "same" as const }];
    return [...(old === undefined ? [] : [{ name, value: old, kind: "gone" as const }]), ...(now === undefined ? [] : [{ name, value: now, kind: "added" as const }])];
  });
}

/** Names every rule has; what a reader wants is the others. */
const DEFAULTS: Record<string, unknown> = { separator: ";", regex: "(.*)", replacement: "$1", action: "replace", target_label: "", modulus: 0 };

function ruleText(rule: Record<string, unknown>): string {
  return Object.entries(rule)
    .filter(([name, value]) => !(Array.isArray(value) && value.length === 0) && (name === "action" || DEFAULTS[name] !== value))
    .map(([name, value]) => `${name}: ${Array.isArray(value) ? `[${value.join(", ")}]` : String(value)}`)
    .join(", ");
}

function Diff({ before, after }: { before: Labels; after: Labels }) {
  return (
    <span className="labels">
      {changes(before, after).map(({ name, value, kind }) => (
        <span key={`${name}${kind}`} className={`label ${kind === "same" ? "" : kind}`} title={`${name}="${value}"`}><span className="k">{name}=</span><span className="v" dir="auto">{value}</span></span>
      ))}
    </span>
  );
}

export default function Relabel() {
  const [metric, setMetric] = useState('node_cpu_seconds_total{instance="10.0.0.1:9100", job="node", pod_uid="7f3a", cluster="eu1", __replica__="a"}');
  const [rules, setRules] = useState(EXAMPLE);
  const [asked] = useDebouncedValue(useMemo(() => ({ metric, rules }), [metric, rules]), 300);
  const run = useQuery({
    queryKey: ["relabel", asked],
    queryFn: async ({ signal }) => {
      const answer = await data<Steps>("/api/v1/relabel_steps", { metric: asked.metric, relabel_configs: asked.rules }, { method: "POST", signal });
      const start = await data<Steps>("/api/v1/relabel_steps", { metric: asked.metric, relabel_configs: "[]" }, { method: "POST", signal }).catch(() => undefined);
      // The first step is compared with the series as it came, its replica label included.
      const given: Labels = { ...(start?.output ?? {}) };
      for (const [, name, value] of asked.metric.matchAll(/([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"/g)) given[name as string] ??= value as string;
      return { ...answer, given };
    },
    placeholderData: keepPreviousData,
    staleTime: Number.POSITIVE_INFINITY,
    retry: false,
  });
  return (
    <div className="bench">
      <form className="card form" onSubmit={(event) => event.preventDefault()}>
        <label>Series as it is sent<textarea className="field" rows={3} value={metric} onChange={(event) => setMetric(event.target.value)} spellCheck={false} /></label>
        <label>Rules, as in prometheus.yml; empty: those of this Weir<textarea className="field" rows={13} value={rules} onChange={(event) => setRules(event.target.value)} spellCheck={false} /></label>
        <p className="dim small">What each rule does stands beside them while you type: added is green, taken away is struck out. Nothing is changed.</p>
      </form>
      <section className="card" aria-label="Steps" aria-live="polite">
        <header><h2>Step by step</h2></header>
        {run.error ? (
          <div className="body"><Problem error={run.error} what="The rules or the series cannot be read." /></div>
        ) : !run.data ? (
          <Wait height={300} />
        ) : (
          <div className="steps">
            {run.data.steps.map((step, index) => (
              // biome-ignore lint: rules in their order
              <div className="step-item" key={index}>
                <div className="row wrap"><b className="small">Rule {index + 1}</b><code className="soft wrapped">{ruleText(step.rule)}</code></div>
                {step.keep ? <Diff before={index === 0 ? run.data.given : (run.data.steps[index - 1]?.output ?? {})} after={step.output} /> : <Note kind="warn">Dropped here: nothing of this series is stored.</Note>}
              </div>
            ))}
            {run.data.keep && (
              <div className="step-item">
                <b className="small">What is stored</b>
                <Diff before={run.data.output} after={run.data.output} />
                {run.data.replica && <span className="small soft">from replica {run.data.replica.name} of {run.data.replica.cluster || "no pair"}</span>}
              </div>
            )}
          </div>
        )}
      </section>
    </div>
  );
}
