// All rules and their groups: how they do, and what each saw.
import "./alerts.css";
import { IconX } from "@tabler/icons-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import { useRules, type WeirGroup } from "../api/rules";
import { Ago } from "../parts/ago";
import { Segments, Share, Stat, Stats } from "../parts/figures";
import { took, whole } from "../parts/number";
import { matches, useParams } from "../parts/search";
import { SearchField } from "../parts/SearchField";
import { reload, RULE_FILES } from "../parts/setup";
import { Empty, Problem, Snippet, Wait } from "../parts/state";
import { type Column, VirtualTable } from "../parts/VirtualTable";
import { showSpan } from "../time/range";
import { ReloadProblems } from "./AlertsPage";
import { RuleDetail } from "./RuleDetail";
import { markOf, type Placed, placed, StateMark } from "./state";

export default function RulesPage() {
  const rules = useRules();
  const [{ search, kind, view }, set] = useParams("search", "kind", "view");
  const [picked, setPicked] = useState<string>();
  const all = useMemo(() => placed(rules.data?.groups ?? []), [rules.data]);
  const shown = useMemo(
    () =>
      all
        .filter(({ rule }) => (kind === "" ? true : kind === "failing" ? markOf(rule) === "err" : kind === "nomatch" ? markOf(rule) === "nomatch" : rule.type === kind))
        .filter(({ rule, group }) => !search || matches(search, rule.name, rule.query, group.name, group.file, JSON.stringify(rule.labels))),
    [all, kind, search],
  );
  const columns = useMemo<Column<Placed>[]>(
    () => [
      { key: "name", title: "Rule", width: "minmax(200px, 1.6fr)", by: ({ rule }) => rule.name, show: (row) => <button type="button" className="link mono clip" style={{ maxWidth: "100%" }} title={row.rule.name} onClick={() => setPicked(row.key)}>{row.rule.name}</button> },
      { key: "state", title: "State", head: true, width: "150px", by: ({ rule }) => markOf(rule), show: ({ rule }) => <StateMark state={markOf(rule)} /> },
      { key: "query", title: "Expression", wide: true, width: "minmax(160px, 2fr)", show: ({ rule }) => <code className="soft" title={rule.query}>{rule.query}</code> },
      { key: "kind", title: "Kind", width: "100px", by: ({ rule }) => rule.type, show: ({ rule }) => rule.type },
      { key: "group", title: "Group", width: "minmax(120px, 1fr)", by: ({ group }) => group.name, show: ({ group }) => <span title={group.file}>{group.name}</span> },
      { key: "last", title: "Evaluated", width: "110px", by: ({ rule }) => rule.lastEvaluation, show: ({ rule }) => <Ago at={rule.lastEvaluation} /> },
      { key: "samples", title: "Results", width: "90px", right: true, by: ({ rule }) => rule.lastSamples ?? -1, show: ({ rule }) => (rule.lastSamples === undefined ? "–" : whole(rule.lastSamples)) },
      { key: "took", title: "Took", width: "90px", right: true, by: ({ rule }) => rule.evaluationTime, show: ({ rule }) => took(rule.evaluationTime) },
    ],
    [],
  );
  const current = all.find((row) => row.key === picked);
  const failing = all.filter(({ rule }) => markOf(rule) === "err").length;
  const unmatched = all.filter(({ rule }) => markOf(rule) === "nomatch").length;
  const groups = rules.data?.groups ?? [];
  return (
    <>
      <div className="page-head"><h1>Rules</h1></div>
      {rules.data && <ReloadProblems answer={rules.data} />}
      {rules.error && !rules.data ? (
        <Problem error={rules.error} what="The rules could not be read." retry={() => void rules.refetch()} />
      ) : !rules.data ? (
        <Wait height={360} />
      ) : all.length === 0 ? (
        <div className="card">
          <Empty title="No rule is loaded">
            <p>Recording and alerting rules are read from files in the form of Prometheus and vmalert.</p>
            <Snippet text={`${RULE_FILES}\n\n${reload()}`} />
          </Empty>
        </div>
      ) : (
        <>
          <Stats>
            <Stat name="Rules" value={whole(all.length)} more={`in ${groups.length} ${groups.length === 1 ? "group" : "groups"}`} />
            <Stat name="Failing" value={failing} kind={failing > 0 ? "bad" : "good"} more={failing > 0 ? "errors stand in the rule" : "all evaluate"} />
            <Stat name="Matching nothing" value={unmatched} kind={unmatched > 0 ? "warn" : undefined} more="no input series" />
            <Stat name="Slowest group" value={took(Math.max(0, ...groups.map((group) => group.evaluationTime)))} more={[...groups].sort((left, right) => right.evaluationTime - left.evaluationTime)[0]?.name} />
            <Stat name="Ticks missed" value={groups.some((group) => group.missed !== undefined) ? whole(groups.reduce((sum, group) => sum + (group.missed ?? 0), 0)) : "–"} more="since the start" />
          </Stats>
          <div className="toolbar">
            <Segments label="What" value={view || "rules"} onChange={(next) => set({ view: next === "rules" ? "" : next }, true)} options={[{ value: "rules", label: "Rules" }, { value: "groups", label: "Groups" }]} />
            <Segments
              label="Kind"
              value={kind}
              onChange={(next) => set({ kind: next }, true)}
              options={[{ value: "", label: "All" }, { value: "alerting", label: "Alerting" }, { value: "recording", label: "Recording" }, { value: "failing", label: "Failing", count: failing }, { value: "nomatch", label: "No match", count: unmatched }]}
            />
            <SearchField value={search} onChange={(text) => set({ search: text })} placeholder="Search names and expressions" />
            <span className="grow" />
            <Link className="btn" href="/tools?tool=backtest">Try a rule on past days</Link>
          </div>
          <div className="card">
            {view === "groups" ? (
              <Groups groups={groups.filter((group) => !search || matches(search, group.name, group.file))} />
            ) : shown.length === 0 ? (
              <Empty title="No rule is like that"><p><button type="button" className="link" onClick={() => set({ search: "", kind: "" })}>Show all {all.length}</button></p></Empty>
            ) : (
              <VirtualTable rows={shown} columns={columns} label="Rules" height={620} rowHeight={38} rowKey={(row) => row.key} least={1080} />
            )}
          </div>
        </>
      )}
      {current && <Side row={current} onClose={() => setPicked(undefined)} />}
    </>
  );
}

function Groups({ groups }: { groups: WeirGroup[] }) {
  const columns = useMemo<Column<WeirGroup>[]>(
    () => [
      { key: "name", title: "Group", width: "minmax(160px, 1.4fr)", by: (group) => group.name, show: (group) => <b>{group.name}</b> },
      { key: "file", title: "File", width: "minmax(160px, 1.6fr)", by: (group) => group.file, show: (group) => <span className="mono" title={group.file}>{group.file.split("/").at(-1)}</span> },
      { key: "rules", title: "Rules", width: "80px", right: true, by: (group) => group.rules.length, show: (group) => group.rules.length },
      { key: "interval", title: "Every", width: "80px", right: true, by: (group) => group.interval, show: (group) => showSpan(group.interval) },
      { key: "took", title: "Took", width: "90px", right: true, by: (group) => group.evaluationTime, show: (group) => took(group.evaluationTime) },
      { key: "share", title: "Of its interval", width: "130px", by: (group) => group.evaluationTime / group.interval, show: (group) => <span title={`${((100 * group.evaluationTime) / group.interval).toFixed(1)} %`}><Share part={group.evaluationTime / group.interval} /></span> },
      { key: "missed", title: "Missed", width: "80px", right: true, by: (group) => group.missed ?? 0, show: (group) => group.missed ?? "–" },
      { key: "behind", title: "Input", width: "minmax(120px, 1fr)", by: (group) => group.inputBehind?.length ?? 0, show: (group) => (group.inputBehind?.length ? <span className="state warn">{group.inputBehind[0]?.source} {showSpan(group.inputBehind[0]?.behind ?? 0)} behind</span> : <span className="dim">in time</span>) },
      { key: "last", title: "Evaluated", width: "110px", by: (group) => group.lastEvaluation, show: (group) => <Ago at={group.lastEvaluation} /> },
    ],
    [],
  );
  return <VirtualTable rows={groups} columns={columns} label="Groups" height={620} rowHeight={38} least={1020} />;
}

function Side({ row, onClose }: { row: Placed; onClose: () => void }) {
  const side = useRef<HTMLElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    side.current?.focus();
    const key = (event: KeyboardEvent) => event.key === "Escape" && close.current();
    window.addEventListener("keydown", key);
    return () => {
      window.removeEventListener("keydown", key);
      before?.focus();
    };
  }, []);
  return (
    <aside className="side" ref={side} tabIndex={-1} aria-label={`Rule ${row.rule.name}`}>
      <header>
        <StateMark state={markOf(row.rule)} />
        <h2 className="grow clip">{row.rule.name}</h2>
        <button type="button" className="btn quiet icon" aria-label="Close" onClick={onClose}><IconX size={18} aria-hidden /></button>
      </header>
      <div className="inside">
        <RuleDetail rule={row.rule} group={row.group} />
        <Link className="btn" href={`/tools?tool=backtest&expr=${encodeURIComponent(row.rule.query)}&for=${showSpan(row.rule.duration ?? 0)}`}>Edit it and try it on past days</Link>
      </div>
    </aside>
  );
}
