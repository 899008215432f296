// Unit tests of rules: a file for promtool or vmalert-tool with its rules, run by the server, and what came out otherwise.
import { IconCircleCheck, IconCircleX, IconFolderOpen } from "@tabler/icons-react";
import { useMutation } from "@tanstack/react-query";
import { type RefObject, useRef, useState } from "react";
import { data } from "../api/client";
import { count } from "../parts/number";
import { Empty, Note, Problem, Snippet, Wait } from "../parts/state";

interface Verdict {
  passed: boolean;
  problems: { in: "test" | "rules"; line: number; column: number; message: string }[];
  warnings: string[];
  tests: { name: string; line: number; passed: boolean; failures: { what: string; line: number; diff: { kind: "same" | "missing" | "extra" | "error"; text: string }[] }[] }[];
}

const TEST = `evaluation_interval: 1m
tests:
  - name: a target that stays away
    input_series:
      - series: up{job="node", instance="10.0.0.1:9100"}
        values: 1 0x9
    alert_rule_test:
      - alertname: TargetDown
        eval_time: 2m
      - alertname: TargetDown
        eval_time: 6m
        exp_alerts:
          - exp_labels: {job: node, instance: "10.0.0.1:9100", severity: page}
    promql_expr_test:
      - expr: job:up:sum
        eval_time: 0
        exp_samples:
          - {labels: 'job:up:sum{job="node"}', value: 1}
`;
const RULES = `groups:
  - name: availability
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: TargetDown
        expr: up == 0
        for: 5m
        labels: {severity: page}
`;
const SIGNS = { same: " ", missing: "−", extra: "+", error: "!" } as const;

export default function UnitTests() {
  const [test, setTest] = useState(TEST);
  const [rules, setRules] = useState(RULES);
  const fields = { test: useRef<HTMLTextAreaElement>(null), rules: useRef<HTMLTextAreaElement>(null) };
  const run = useMutation({ mutationFn: () => data<Verdict>("/api/v1/test_rules", { test, rules }, { method: "POST" }) });
  return (
    <div className="bench">
      <form className="card form" onSubmit={(event) => { event.preventDefault(); run.mutate(); }}>
        <FileText label="Unit tests, for promtool or vmalert-tool" value={test} onChange={setTest} field={fields.test} rows={18} />
        <FileText label="The rules they test" value={rules} onChange={setRules} field={fields.rules} rows={11} />
        <div><button type="submit" className="btn primary" disabled={run.isPending}>Run the tests</button></div>
        <p className="dim small">Nothing that is stored is read or changed; <code>rule_files</code> is not looked at. The same from a terminal, and in CI:</p>
        <Snippet text="weir test rules tests/*.test.yml" />
      </form>
      <section className="card" aria-label="Verdicts" aria-live="polite">
        <header><h2>Verdicts</h2></header>
        {run.isPending ? (
          <div className="body"><Wait height={200} /></div>
        ) : run.error ? (
          <div className="body"><Problem error={run.error} what="The tests could not be run." /></div>
        ) : !run.data ? (
          <Empty title="Do the rules do what they should?"><p>Paste a unit-test file and its rules, or open them, and run. What is expected and missing is marked with −, what came without being expected with +.</p></Empty>
        ) : (
          <Verdicts verdict={run.data} onLine={(where, line) => selectLine(fields[where].current, line)} />
        )}
      </section>
    </div>
  );
}

function Verdicts({ verdict, onLine }: { verdict: Verdict; onLine: (where: "test" | "rules", line: number) => void }) {
  const failed = verdict.tests.filter((test) => !test.passed).length;
  const at = (where: "test" | "rules", line: number) => <button type="button" className="link small num" onClick={() => onLine(where, line)}>line {line}</button>;
  return (
    <div className="body stack">
      {verdict.problems.length > 0 ? (
        <Note kind="bad">
          <div className="what">The tests cannot be run</div>
          {verdict.problems.map((problem) => (
            <div key={`${problem.in} ${problem.line} ${problem.message}`} className="wrapped">
              {problem.in === "test" ? "Unit tests" : "Rules"}{problem.line > 0 && <>, {at(problem.in, problem.line)}</>}: <span className="mono">{problem.message}</span>
            </div>
          ))}
        </Note>
      ) : verdict.tests.length === 0 ? (
        <Note kind="warn">The file has no test: a list under <code>tests:</code> is expected.</Note>
      ) : (
        <Note kind={verdict.passed ? "good" : "bad"}>{verdict.passed ? (verdict.tests.length === 1 ? "The test passes." : `All ${verdict.tests.length} tests pass.`) : `${failed} of ${count(verdict.tests.length, "test")} ${failed === 1 ? "fails" : "fail"}.`}</Note>
      )}
      {verdict.warnings.map((warning) => <Note key={warning} kind="warn">{warning}</Note>)}
      {verdict.tests.map((test) => (
        <article key={`${test.line} ${test.name}`} className="stack tight">
          <div className="row wrap">
            {test.passed ? <IconCircleCheck size={18} color="var(--good)" aria-label="Passes" /> : <IconCircleX size={18} color="var(--bad)" aria-label="Fails" />}
            <b className="wrapped">{test.name}</b>
            {at("test", test.line)}
          </div>
          {test.failures.map((failure) => (
            <div key={`${failure.line} ${failure.what}`} className="stack tight">
              <div className="small soft wrapped">{failure.what}, {at("test", failure.line)}</div>
              <div className="diff" role="list">
                {failure.diff.map(({ kind, text }, index) => (
                  // biome-ignore lint: lines of a diff in their order
                  <div key={index} className={kind} role="listitem"><span className="sign" aria-hidden>{SIGNS[kind]}</span><span className="sr">{kind}: </span><span dir="auto">{text}</span></div>
                ))}
              </div>
            </div>
          ))}
        </article>
      ))}
    </div>
  );
}

function selectLine(field: HTMLTextAreaElement | null, line: number) {
  if (!field) return;
  const lines = field.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
  field.focus();
  field.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
  // Browsers do not scroll a text area to its selection.
  field.scrollTop = (field.scrollHeight * Math.max(0, line - 4)) / lines.length;
}

/** A text that is written, pasted or opened from a file; the file goes nowhere but into the field. */
function FileText({ label, value, onChange, field, rows }: { label: string; value: string; onChange: (text: string) => void; field: RefObject<HTMLTextAreaElement | null>; rows: number }) {
  const chosen = useRef<HTMLInputElement>(null);
  return (
    <div className="file-text">
      <label>
        <span>{label}</span>
        <textarea ref={field} className="field" rows={rows} value={value} wrap="off" onChange={(event) => onChange(event.target.value)} spellCheck={false} />
      </label>
      <button type="button" className="btn quiet sm" onClick={() => chosen.current?.click()}><IconFolderOpen size={15} aria-hidden />Open a file</button>
      <input
        ref={chosen}
        type="file"
        accept=".yml,.yaml,.rules,.txt"
        hidden
        onChange={(event) => {
          void event.target.files?.[0]?.text().then(onChange);
          event.target.value = "";
        }}
      />
    </div>
  );
}
