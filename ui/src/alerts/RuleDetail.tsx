// Everything known of one rule: what it asks, how its last evaluations went, why each alert is where it is.
import { IconChartLine, IconExternalLink, IconVolumeOff } from "@tabler/icons-react";
import { Link } from "wouter";
import { type Evaluation, useEvaluations, type WeirAlert, type WeirGroup, type WeirRule } from "../api/rules";
import { Ago, useNow } from "../parts/ago";
import { LabelSet } from "../parts/labels";
import { count, sample, seconds, took } from "../parts/number";
import { queryLink } from "../parts/search";
import { CopyButton, Note } from "../parts/state";
import { showSpan } from "../time/range";
import { instant } from "../time/zone";
import { StateMark } from "./state";
import { Timeline } from "./Timeline";

const ALERTS_SHOWN = 100;

export function RuleDetail({ rule, group }: { rule: WeirRule; group: WeirGroup }) {
  const alerts = [...(rule.alerts ?? [])].sort((left, right) => (left.state === right.state ? 0 : left.state === "firing" ? -1 : 1));
  const behind = group.inputBehind ?? [];
  return (
    <div className="rule-detail">
      {rule.lastError && (
        <Note kind="bad">
          <div className="what">The last evaluation failed</div>
          <div className="mono">{rule.lastError}</div>
          <div className="next">While it fails its alerts stay as they are: nothing is resolved, nothing new fires.</div>
        </Note>
      )}
      {rule.hint && (
        <Note kind="warn">
          <div className="what">{rule.hint}</div>
          <div className="next">A rule without input never fires. Look at the names and labels that exist, or wait until they are sent.</div>
        </Note>
      )}
      {(rule.stale || behind.length > 0) && (
        <Note kind="warn">
          <div className="what">Input stale: alerts are held, not resolved</div>
          {behind.map(({ source, behind }) => (
            <div key={source} className="next">{source} was {showSpan(behind)} behind when this was evaluated.</div>
          ))}
        </Note>
      )}
      <div>
        <div className="row">
          <h3 className="grow">Expression</h3>
          <CopyButton text={rule.query} label="Copy the expression" />
          <Link className="btn sm" href={queryLink(rule.query)}><IconChartLine size={15} aria-hidden />Graph</Link>
        </div>
        <div className="code-block">{rule.query}</div>
      </div>
      <div className="two">
        <dl className="facts-list">
          <dt>Group</dt><dd className="wrapped">{group.name} <span className="dim">in {group.file}</span></dd>
          <dt>Evaluated</dt><dd><Ago at={rule.lastEvaluation} />, every {showSpan(group.interval)}, took {took(rule.evaluationTime)}</dd>
          {rule.lastSamples !== undefined && <><dt>Results</dt><dd>{count(rule.lastSamples, "sample")} from {count(rule.lastSeriesFetched ?? 0, "series", "series")}</dd></>}
          {rule.duration !== undefined && <><dt>Fires after</dt><dd>{rule.duration > 0 ? showSpan(rule.duration) : "the first evaluation that finds something"}</dd></>}
          {!!rule.keepFiringFor && <><dt>Keeps firing for</dt><dd>{showSpan(rule.keepFiringFor)}</dd></>}
        </dl>
        <dl className="facts-list">
          {Object.keys(rule.labels ?? {}).length > 0 && <><dt>Labels</dt><dd><LabelSet labels={rule.labels ?? {}} /></dd></>}
          {Object.entries(rule.annotations ?? {}).map(([name, text]) => (
            <Annotation key={name} name={name} text={text} />
          ))}
        </dl>
      </div>
      <Evaluations rule={rule} interval={group.interval} />
      {rule.type === "alerting" && <Timeline rule={rule} />}
      {rule.type === "alerting" && (
        <div>
          <h3>{alerts.length === 0 ? "No alert is active" : count(alerts.length, "active alert")}</h3>
          {alerts.slice(0, ALERTS_SHOWN).map((alert) => <AlertLine key={JSON.stringify(alert.labels)} alert={alert} rule={rule} />)}
          {alerts.length > ALERTS_SHOWN && <p className="dim small">and {alerts.length - ALERTS_SHOWN} more; <Link href={queryLink(`ALERTS{alertname="${rule.name}"}`, "table")}>ask for all of them</Link></p>}
        </div>
      )}
    </div>
  );
}

/** Only http and https become links: anything else of an annotation is text. */
function Annotation({ name, text }: { name: string; text: string }) {
  return (
    <>
      <dt>{name}</dt>
      <dd className="wrapped">{/^https?:\/\/\S+$/.test(text) ? <a href={text} target="_blank" rel="noreferrer noopener">{text} <IconExternalLink size={12} aria-hidden /></a> : text}</dd>
    </>
  );
}

function AlertLine({ alert, rule }: { alert: WeirAlert; rule: WeirRule }) {
  const now = useNow(1);
  const since = instant(alert.activeAt);
  const hold = rule.duration ?? 0;
  const waited = since === undefined ? 0 : now - since;
  const summary = alert.annotations["summary"] ?? alert.annotations["message"];
  const rest = Object.entries(alert.annotations).filter(([name]) => name !== "summary" && name !== "message");
  return (
    <div className="alert-line">
      <div className="row wrap">
        <StateMark state={alert.state} />
        {alert.inputStale && <span className="state warn">input stale</span>}
        <span className="num small soft">since <Ago at={alert.activeAt} /></span>
        <span className="grow" />
        <span className="num" title={alert.value}><span className="small soft">value</span> <span className="mono">{sample(String(Number(alert.value)))}</span></span>
        {alert.silence && /^https?:/.test(alert.silence) && (
          <a className="btn sm quiet" href={alert.silence} target="_blank" rel="noreferrer noopener"><IconVolumeOff size={15} aria-hidden />Silence</a>
        )}
      </div>
      {summary && <div className="summary wrapped">{summary}</div>}
      <LabelSet labels={alert.labels} hide={["alertname"]} />
      {alert.state === "pending" && (
        <div className="why">
          <span className="share" aria-hidden><i style={{ width: `${Math.min(100, (100 * waited) / Math.max(1, hold))}%` }} /></span>
          Pending because it has held for {showSpan(Math.max(0, Math.round(waited)))} of {showSpan(hold)}: fires {waited >= hold ? "with the next evaluation" : `in ${showSpan(Math.ceil(hold - waited))}`} if it keeps holding.
        </div>
      )}
      {alert.keepFiringSince && <div className="why">The expression no longer holds; it keeps firing since <Ago at={alert.keepFiringSince} /> as `keep_firing_for` says.</div>}
      {rest.length > 0 && <dl className="facts-list small">{rest.map(([name, text]) => <Annotation key={name} name={name} text={text} />)}</dl>}
    </div>
  );
}

/** A graph whose points are those evaluations. */
function evaluationsLink(query: string, updates: Evaluation[], interval: number): string {
  const last = instant(updates[0]?.at) ?? Date.now() / 1000;
  return `${queryLink(query)}&range=${showSpan(Math.max(interval, (updates.length - 1) * interval))}&end=${last}&step=${showSpan(interval)}`;
}

function Evaluations({ rule, interval }: { rule: WeirRule; interval: number }) {
  const found = useEvaluations(rule);
  const updates = found.data?.updates;
  if (!updates || updates.length === 0) return null;
  const longest = Math.max(...updates.map((one) => one.duration), 1e-6);
  return (
    <div>
      <div className="row">
        <h3 className="grow">Last {updates.length} evaluations</h3>
        <Link className="small" href={evaluationsLink(rule.query, updates, interval)}>their values</Link>
      </div>
      <div className="evals" role="img" aria-label="Time of each evaluation, oldest first">
        {[...updates].reverse().map((one) => (
          <i key={one.at} className={one.error ? "failed" : ""} style={{ height: `${Math.max(8, (100 * one.duration) / longest)}%` }} title={`${one.at}: ${seconds(one.duration)}, ${count(one.samples, "sample")}${one.error ? `, ${one.error}` : ""}`} />
        ))}
      </div>
      <details style={{ marginTop: 6 }}>
        <summary className="small soft" style={{ cursor: "pointer" }}>As a table</summary>
        <div className="scroll-x">
          <table className="plain">
            <thead><tr><th>Evaluated at</th><th className="r">Took</th><th className="r">Samples</th><th className="r">Series read</th><th>Outcome</th><th><span className="sr">copy</span></th></tr></thead>
            <tbody>
              {updates.map((one) => (
                <tr key={one.at}>
                  <td className="num">{one.at}</td><td className="r">{seconds(one.duration)}</td><td className="r">{one.samples}</td><td className="r">{one.series_fetched}</td>
                  <td className={`wrapped ${one.error ? "bad" : ""}`}>{one.error || "fine"}</td>
                  <td><CopyButton text={one.curl} label="Copy as curl" /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </div>
  );
}
