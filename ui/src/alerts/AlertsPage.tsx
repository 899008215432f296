// What fires, what is about to, and who is told.
import "./alerts.css";
import { IconBellOff, IconChevronRight } from "@tabler/icons-react";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import { Link } from "wouter";
import { type RulesAnswer, useNotifiers, useRules, type WeirRule } from "../api/rules";
import { Ago } from "../parts/ago";
import { Segments } from "../parts/figures";
import { LabelSet } from "../parts/labels";
import { whole } from "../parts/number";
import { matches, useParams } from "../parts/search";
import { SearchField } from "../parts/SearchField";
import { NOTIFIER, reload, RULE_FILES } from "../parts/setup";
import { Empty, Note, Problem, Snippet, Wait } from "../parts/state";
import { RuleDetail } from "./RuleDetail";
import { markOf, type Placed, placed, StateMark } from "./state";

type Filter = "" | "firing" | "pending" | "inactive" | "failing" | "notifiers";
const URGENCY = { firing: 0, err: 1, pending: 2, nomatch: 3, unknown: 4, inactive: 5, ok: 6, unhealthy: 1 } as const;

export function ReloadProblems({ answer }: { answer: RulesAnswer }) {
  if (!answer.reload || answer.reload.ok) return null;
  return (
    <Note kind="bad">
      <div className="what">The rule files have problems; the rules read before go on</div>
      {answer.reload.problems.map((problem) => <div key={problem} className="mono">{problem}</div>)}
      <div className="next">Repair the file, check it with `weir check rules`, then reload.</div>
    </Note>
  );
}

export default function AlertsPage() {
  const rules = useRules();
  const [{ search, state }, set] = useParams("search", "state");
  const all = useMemo(() => placed(rules.data?.groups ?? []).filter(({ rule }) => rule.type === "alerting"), [rules.data]);
  const counts = useMemo(() => {
    const by: Record<string, number> = { firing: 0, pending: 0, inactive: 0, failing: 0 };
    for (const { rule } of all) {
      const mark = markOf(rule);
      by[mark === "err" ? "failing" : mark] = (by[mark === "err" ? "failing" : mark] ?? 0) + 1;
    }
    return by;
  }, [all]);
  const shown = useMemo(
    () =>
      all
        .filter(({ rule }) => {
          const mark = markOf(rule);
          return state === "" || state === "notifiers" || mark === state || (state === "failing" && mark === "err");
        })
        .filter(({ rule, group }) => !search || matches(search, rule.name, group.name, group.file, rule.query, JSON.stringify(rule.labels), ...(rule.alerts ?? []).map((alert) => JSON.stringify(alert.labels))))
        .sort((left, right) => URGENCY[markOf(left.rule)] - URGENCY[markOf(right.rule)]),
    [all, search, state],
  );
  return (
    <>
      <div className="page-head"><h1>Alerts</h1></div>
      <div className="toolbar">
        <Segments<Filter>
          label="State"
          value={state as Filter}
          onChange={(next) => set({ state: next }, true)}
          options={[
            { value: "", label: "All", count: all.length },
            { value: "firing", label: "Firing", count: counts["firing"] },
            { value: "pending", label: "Pending", count: counts["pending"] },
            { value: "inactive", label: "Inactive", count: counts["inactive"] },
            { value: "failing", label: "Failing", count: counts["failing"] },
            { value: "notifiers", label: "Alertmanagers" },
          ]}
        />
        <SearchField value={search} onChange={(text) => set({ search: text })} placeholder="Search names, labels, groups" />
      </div>
      {rules.data && <ReloadProblems answer={rules.data} />}
      {state !== "notifiers" && all.length > 0 && <Untold onShow={() => set({ state: "notifiers" }, true)} />}
      {rules.error && !rules.data ? (
        <Problem error={rules.error} what="The rules could not be read." retry={() => void rules.refetch()} />
      ) : !rules.data ? (
        <Wait height={320} />
      ) : state === "notifiers" ? (
        <Notifiers />
      ) : all.length === 0 ? (
        <div className="card">
          <Empty title="No alerting rule is loaded" icon={<IconBellOff size={36} stroke={1.4} />}>
            <p>Rules of Prometheus and vmalert are read as they are. Name their files in the configuration, then reload.</p>
            <Snippet text={`${RULE_FILES}\n\n${reload()}`} />
          </Empty>
        </div>
      ) : shown.length === 0 ? (
        <Empty title={search ? "Nothing matches the search" : state === "firing" ? "Nothing fires" : `Nothing is ${state}`} icon={<IconBellOff size={36} stroke={1.4} />}>
          <p><button type="button" className="link" onClick={() => set({ search: "", state: "" })}>Show all {all.length} alerting rules</button></p>
        </Empty>
      ) : (
        <RuleList items={shown} open={search !== "" && shown.length === 1} />
      )}
    </>
  );
}

/** Alerts that nobody hears of matter to whoever looks at them. */
function Untold({ onShow }: { onShow: () => void }) {
  const targets = useNotifiers().data?.flatMap((notifier) => notifier.targets);
  const mute = targets?.filter((target) => target.lastError) ?? [];
  if (!targets || (targets.length > 0 && mute.length === 0)) return null;
  return (
    <Note kind="warn">
      <div className="what">{targets.length === 0 ? "Nobody is told: no Alertmanager is named" : `${mute.length === 1 ? "An Alertmanager is" : `${mute.length} Alertmanagers are`} not told`}</div>
      {mute.slice(0, 3).map((target) => <div key={target.address} className="mono wrapped">{target.address}: {target.lastError}</div>)}
      <button type="button" className="link" onClick={onShow}>{targets.length === 0 ? "How to name one" : "All Alertmanagers"}</button>
    </Note>
  );
}

function RuleList({ items, open: openFirst }: { items: Placed[]; open: boolean }) {
  const list = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState<ReadonlySet<string>>(() => new Set(openFirst && items[0] ? [items[0].key] : []));
  const [top, setTop] = useState(0);
  useLayoutEffect(() => setTop(list.current?.offsetTop ?? 0), []);
  const virtual = useWindowVirtualizer({ count: items.length, estimateSize: () => 56, overscan: 10, scrollMargin: top, getItemKey: (index) => items[index]?.key ?? index });
  return (
    <div className="rule-list" ref={list} style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map((item) => {
        const { rule, group, key } = items[item.index] as Placed;
        const mark = markOf(rule);
        const isOpen = open.has(key);
        const firing = rule.alerts?.filter((alert) => alert.state === "firing").length ?? 0;
        const pending = rule.alerts?.filter((alert) => alert.state === "pending").length ?? 0;
        return (
          <div key={key} className="rule-item" data-index={item.index} ref={virtual.measureElement} style={{ position: "absolute", left: 0, right: 0, top: 0, transform: `translateY(${item.start - virtual.options.scrollMargin}px)` }}>
            <section className={`rule-card ${mark}`}>
              <button
                type="button"
                aria-expanded={isOpen}
                onClick={() => setOpen((now) => {
                  const next = new Set(now);
                  if (!next.delete(key)) next.add(key);
                  return next;
                })}
              >
                <IconChevronRight size={16} className="turn" aria-hidden />
                <StateMark state={mark} count={mark === "firing" ? firing : mark === "pending" ? pending : 0} />
                {mark === "firing" && pending > 0 && <span className="state warn">{pending} pending</span>}
                {rule.stale && <span className="state warn">input stale</span>}
                <span className="title clip">{rule.name}</span>
                <span className="grow clip wide-only"><LabelSet labels={rule.labels ?? {}} /></span>
                {(firing > 0 || pending > 0) && <span className="since"><Ago at={oldest(rule)} /></span>}
                <span className="about clip">{group.name}</span>
              </button>
              {isOpen && <RuleDetail rule={rule} group={group} />}
            </section>
          </div>
        );
      })}
    </div>
  );
}

/** When the first of a rule's alerts began. */
const oldest = (rule: WeirRule) => rule.alerts?.map((alert) => alert.activeAt).sort()[0];

function Notifiers() {
  const found = useNotifiers();
  if (found.error) return <Problem error={found.error} what="The Alertmanagers could not be listed." retry={() => void found.refetch()} />;
  if (!found.data) return <Wait />;
  const targets = found.data.flatMap((notifier) => notifier.targets.map((target) => ({ ...target, kind: notifier.kind })));
  if (targets.length === 0) {
    return (
      <div className="card">
        <Empty title="No Alertmanager is told" icon={<IconBellOff size={36} stroke={1.4} />}>
          <p>Alerts are evaluated and shown here, but nobody hears of them. Name one:</p>
          <Snippet text={NOTIFIER} />
          <p className="small">Then <Link href="/status">the status page</Link> checks that it answers.</p>
        </Empty>
      </div>
    );
  }
  return (
    <div className="card scroll-x" tabIndex={0}>
      <table className="plain">
        <thead><tr><th>Alertmanager</th><th>State</th><th>Found by</th><th className="r">Waiting</th><th className="r">Sent</th><th className="r">Failed</th><th className="r">Dropped</th></tr></thead>
        <tbody>
          {targets.map((target) => (
            <tr key={target.address}>
              <td className="mono wrapped first">{target.address}{target.lastError && <div className="bad small wrapped">{target.lastError}</div>}</td>
              <td>{target.lastError ? <StateMark state="err" /> : <StateMark state="ok" />}</td>
              <td>{target.kind}</td>
              {[target.waiting, target.sent, target.failed, target.dropped].map((number, index) => (
                // biome-ignore lint: four figures in a fixed order
                <td key={index} className="r">{number === undefined ? "–" : whole(number)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
