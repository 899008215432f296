// What relabel rules make of a series, rule by rule.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { data } from "../api/client";
import type { Labels } from "../api/types";
import { Empty, Note, Problem } from "../parts/state";

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
    .join("   ");
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
  const [given, setGiven] = useState<Labels>({});
  const run = useMutation({
    mutationFn: async () => {
      const answer = await data<Steps>("/api/v1/relabel_steps", { metric, relabel_configs: rules }, { method: "POST" });
      const start = await data<Steps>("/api/v1/relabel_steps", { metric, relabel_configs: "[]" }, { method: "POST" }).catch(() => undefined);
      // The first step is compared with the series as it came, its replica label included.
      const labels: Labels = { ...(start?.output ?? {}) };
      for (const [, name, value] of metric.matchAll(/([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"/g)) labels[name as string] ??= value as string;
      setGiven(labels);
      return answer;
    },
  });
  return (
    <div className="bench">
      <form className="card form" onSubmit={(event) => { event.preventDefault(); run.mutate(); }}>
        <label>Series as it is sent<textarea className="field" rows={3} value={metric} onChange={(event) => setMetric(event.target.value)} spellCheck={false} /></label>
        <label>Rules, as in prometheus.yml; empty: those of this Weir<textarea className="field" rows={13} value={rules} onChange={(event) => setRules(event.target.value)} spellCheck={false} /></label>
        <div><button type="submit" className="btn primary" disabled={run.isPending}>Relabel</button></div>
      </form>
      <section className="card" aria-label="Steps" aria-live="polite">
        <header><h2>Step by step</h2></header>
        {run.error ? (
          <div className="body"><Problem error={run.error} what="The rules or the series cannot be read." /></div>
        ) : !run.data ? (
          <Empty title="What does each rule do?"><p>Write a series and rules, then press Relabel. What a rule adds is green and what it takes away is struck out.</p></Empty>
        ) : (
          <div className="steps">
            {run.data.steps.map((step, index) => (
              // biome-ignore lint: rules in their order
              <div className="step-item" key={index}>
                <div className="row wrap"><b className="small">Rule {index + 1}</b><code className="soft wrapped">{ruleText(step.rule)}</code></div>
                {step.keep ? <Diff before={index === 0 ? given : (run.data.steps[index - 1]?.output ?? {})} after={step.output} /> : <Note kind="warn">Dropped here: nothing of this series is stored.</Note>}
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
