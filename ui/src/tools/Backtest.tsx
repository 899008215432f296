// When a rule would have fired, had it been there.
import "../alerts/alerts.css";
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { EpisodeStrip, type Stretch } from "../alerts/EpisodeStrip";
import { data } from "../api/client";
import type { Backtest as Result } from "../api/rules";
import { Stat, Stats } from "../parts/figures";
import { LabelSet } from "../parts/labels";
import { count, whole } from "../parts/number";
import { queryLink, useParams } from "../parts/search";
import { Empty, Note, Problem, Wait } from "../parts/state";
import { parseSpan, showSpan } from "../time/range";
import { showTime, useZone, type Zone } from "../time/zone";

function stretches(one: Result["alerts"][number]["episodes"][number], last: number, zone: Zone): Stretch[] {
  const end = one.endedAt ?? last;
  const pending = { from: one.activeAt, to: one.firedAt ?? end, fired: false, title: `pending from ${showTime(one.activeAt, zone)}` };
  return one.firedAt === null ? [pending] : [pending, { from: one.firedAt, to: end, fired: true, title: `fired ${showTime(one.firedAt, zone)} for ${showSpan(one.firing)}, peak ${one.peak}` }];
}

export default function Backtest() {
  const zone = useZone();
  const [params] = useParams("expr", "for");
  const [expr, setExpr] = useState(params.expr || "up == 0");
  const [hold, setHold] = useState(params.for || "5m");
  const [keep, setKeep] = useState("0s");
  const [interval, setInterval] = useState("1m");
  const [back, setBack] = useState("1d");
  const run = useMutation({
    mutationFn: () => {
      const end = Date.now() / 1000;
      const zero = (text: string) => (/^0+s?$/.test(text.trim()) ? "0s" : text);
      return data<Result>("/api/v1/rules/backtest", { expr, for: zero(hold), keep_firing_for: zero(keep), interval, start: end - (parseSpan(back) ?? 86_400), end }, { method: "POST" });
    },
  });
  const found = run.data;
  return (
    <div className="bench">
      <form className="card form" onSubmit={(event) => { event.preventDefault(); run.mutate(); }}>
        <label>Expression of the alert<textarea className="field" rows={5} value={expr} onChange={(event) => setExpr(event.target.value)} spellCheck={false} /></label>
        <div className="pair-of">
          <label>for<input className="field mono" value={hold} onChange={(event) => setHold(event.target.value)} /></label>
          <label>keep_firing_for<input className="field mono" value={keep} onChange={(event) => setKeep(event.target.value)} /></label>
          <label>evaluated every<input className="field mono" value={interval} onChange={(event) => setInterval(event.target.value)} /></label>
          <label>over the last<select className="field" value={back} onChange={(event) => setBack(event.target.value)}>{["1h", "6h", "1d", "3d", "7d", "14d"].map((one) => <option key={one}>{one}</option>)}</select></label>
        </div>
        <div className="row"><button type="submit" className="btn primary" disabled={run.isPending}>Try it</button><Link className="btn" href={queryLink(expr)}>Graph it</Link></div>
        <p className="dim small">Nothing is saved and nobody is told. <Link href="/tools?tool=tests">Unit tests</Link> try rules on made-up series.</p>
      </form>
      <section className="card" aria-label="When it would have fired" aria-live="polite">
        <header><h2>When it would have fired</h2></header>
        <div className="body stack">
          {run.isPending ? <Wait height={200} /> : run.error ? (
            <Problem error={run.error} what="The rule could not be tried." />
          ) : !found ? <Empty title="Try before you save"><p>Change a threshold or a hold, and see how often it would have woken somebody.</p></Empty> : (
            <>
              <Stats>
                <Stat name="Would have fired" value={whole(found.fired)} unit={found.fired === 1 ? "time" : "times"} kind={found.fired > 0 ? "warn" : "good"} />
                <Stat name="Firing" value={showSpan(found.firingSeconds)} more={`of ${showSpan(found.end - found.start)}`} />
                <Stat name="Evaluations" value={whole(found.evaluations)} more={`every ${showSpan(found.interval)}`} />
              </Stats>
              {found.truncated && <Note kind="warn">Not all of it is shown: too many alerts or evaluations.</Note>}
              {found.alerts.map((alert) => (
                <div key={JSON.stringify(alert.labels)} className="stack tight">
                  <LabelSet labels={alert.labels} />
                  <EpisodeStrip start={found.start} end={found.end} stretches={alert.episodes.flatMap((one) => stretches(one, found.end, zone))} label={count(alert.episodes.length, "episode")} axis />
                  <ul className="small soft">
                    {alert.episodes.slice(0, 6).map((one) => <li key={one.activeAt} className="num">{showTime(one.activeAt, zone)}: {one.firedAt === null ? "pending only" : `fired ${showSpan(one.firedAt - one.activeAt)} later, for ${showSpan(one.firing)}`}, peak {one.peak}</li>)}
                    {alert.episodes.length > 6 && <li className="dim">and {alert.episodes.length - 6} more</li>}
                  </ul>
                </div>
              ))}
              {found.alerts.length === 0 && <p className="soft">It would never have been pending.</p>}
            </>
          )}
        </div>
      </section>
    </div>
  );
}
