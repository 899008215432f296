// Ask: several expressions over one range of time. The address holds all of it.
import "./query.css";
import { IconBellRinging, IconColumns2, IconPlus } from "@tabler/icons-react";
import { useIsFetching } from "@tanstack/react-query";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { useSearch } from "wouter";
import { navigate } from "wouter/use-browser-location";
import { prefix } from "../api/client";
import { grid, niceStep, parseSpan, showSpan, type View } from "../time/range";
import { TimeBar, zoomedOut } from "../time/TimeBar";
import { FirstSteps } from "./FirstSteps";
import { Panel, POINTS } from "./Panel";
import { remember } from "./remember";
import { useEpisodes } from "./run";
import { emptyPanel, type PageState, PANELS_MAX, type PanelState, readState, writeState } from "./state";

export default function QueryPage() {
  const search = useSearch();
  const state = useMemo(() => readState(search), [search]);
  const [now, setNow] = useState(() => Date.now() / 1000);
  const live = useRef(state);
  live.current = state;
  const busy = useIsFetching({ predicate: (query) => ["range", "instant", "trace"].includes(String(query.queryKey[0])) }) > 0;

  const change = useCallback((part: Partial<PageState>, replace = false) => {
    const next = { ...live.current, ...part };
    live.current = next;
    navigate(`${prefix}/ui/query?${writeState(next)}`, { replace });
  }, []);
  useEffect(() => {
    if (state.refresh === 0) return;
    const timer = setInterval(() => {
      if (!document.hidden && live.current.view.end === undefined) setNow(Date.now() / 1000);
    }, state.refresh * 1000);
    return () => clearInterval(timer);
  }, [state.refresh]);

  const look = useCallback(
    (view: View) => {
      setNow(Date.now() / 1000);
      change({ view });
    },
    [change],
  );
  const zoom = useCallback((start: number, end: number) => look({ span: Math.max(1, end - start), end }), [look]);
  const out = useCallback(() => look(zoomedOut(live.current.view)), [look]);
  const set = useCallback((index: number, panel: PanelState) => change({ panels: live.current.panels.map((one, at) => (at === index ? panel : one)) }), [change]);
  const add = useCallback((expr: string) => change({ panels: [...live.current.panels, emptyPanel(expr, expr ? "table" : "")].slice(-PANELS_MAX) }), [change]);
  // biome-ignore lint: the view is told apart by what it holds
  const view = useMemo(() => state.view, [state.view.span, state.view.end]);
  const step = state.step;
  const episodes = useEpisodes(grid(view, now, step ?? niceStep(view.span, POINTS)), state.alerts);
  const untouched = state.panels.length === 1 && state.panels[0]?.expr === "";

  return (
    <div className="query-page">
      <h1 className="sr">Query</h1>
      <div className="querybar">
        <TimeBar view={view} onView={look} refresh={state.refresh} onRefresh={(refresh) => change({ refresh })} onNow={() => setNow(Date.now() / 1000)} busy={busy} />
        <StepField step={step} auto={niceStep(view.span, POINTS)} onStep={(step) => change({ step })} />
        <button type="button" className="btn" aria-pressed={state.alerts} onClick={() => change({ alerts: !state.alerts })} title="Draw when alerts fired behind the graphs">
          <IconBellRinging size={16} aria-hidden />
          Alerts
        </button>
        <button type="button" className="btn icon wide-only" aria-pressed={state.columns === 2} aria-label="Two columns" title="Two columns" onClick={() => change({ columns: state.columns === 2 ? 1 : 2 })}>
          <IconColumns2 size={16} aria-hidden />
        </button>
        <span className="grow" />
        <button type="button" className="btn" disabled={state.panels.length >= PANELS_MAX} onClick={() => add("")}>
          <IconPlus size={16} aria-hidden />
          Add an expression
        </button>
      </div>
      <div className={`panels columns-${state.columns}`}>
        {state.panels.map((panel, index) => (
          <Bound
            // biome-ignore lint: panels have no name but their place
            key={index}
            index={index}
            panel={panel}
            alone={state.panels.length === 1}
            view={view}
            now={now}
            step={step}
            episodes={episodes}
            set={set}
            add={add}
            run={(expr) => {
              remember(expr);
              setNow(Date.now() / 1000);
              set(index, { ...(live.current.panels[index] ?? emptyPanel()), expr });
            }}
            remove={() => change({ panels: live.current.panels.filter((_, at) => at !== index) })}
            zoom={zoom}
            out={out}
          />
        ))}
      </div>
      {untouched && <FirstSteps onPick={(expr, tab) => { remember(expr); setNow(Date.now() / 1000); change({ panels: [emptyPanel(expr, tab)] }); }} />}
    </div>
  );
}

interface BoundProps extends Omit<Parameters<typeof Panel>[0], "onChange" | "onRun" | "onRemove" | "onAdd" | "onZoom" | "onOut"> {
  set: (index: number, panel: PanelState) => void;
  add: (expr: string) => void;
  run: (expr: string) => void;
  remove: () => void;
  zoom: (start: number, end: number) => void;
  out: () => void;
}

/** Handlers that stay the same, so that a panel draws again only when its own part changed. */
function Bound({ set, add, run, remove, zoom, out, ...rest }: BoundProps) {
  const latest = useRef({ run, remove });
  latest.current = { run, remove };
  const { index } = rest;
  const onChange = useCallback((panel: PanelState) => set(index, panel), [set, index]);
  const onRun = useCallback((expr: string) => latest.current.run(expr), []);
  const onRemove = useCallback(() => latest.current.remove(), []);
  const panel = useSame(rest.panel);
  const episodes = useSame(rest.episodes);
  return <Panel {...rest} panel={panel} episodes={episodes} onChange={onChange} onRun={onRun} onRemove={onRemove} onAdd={add} onZoom={zoom} onOut={out} />;
}

/** The earlier value as long as it says the same. */
function useSame<T>(value: T): T {
  const kept = useRef(value);
  if (JSON.stringify(kept.current) !== JSON.stringify(value)) kept.current = value;
  return kept.current;
}

function StepField({ step, auto, onStep }: { step: number | undefined; auto: number; onStep: (step: number | undefined) => void }) {
  const shown = step === undefined ? "" : showSpan(step);
  const [text, setText] = useState(shown);
  const [of, setOf] = useState(shown);
  // The browser's back brings another one.
  if (of !== shown) {
    setOf(shown);
    setText(shown);
  }
  const set = () => {
    const seconds = text.trim() === "" ? undefined : parseSpan(text);
    if (seconds !== step) onStep(seconds);
    if (text.trim() !== "" && seconds === undefined) setText("");
  };
  return (
    <form
      className="step"
      onSubmit={(event) => {
        event.preventDefault();
        set();
      }}
    >
      <input className="field num" aria-label="Step between points" title="Step between points" placeholder={`Step ${showSpan(auto)}`} value={text} onChange={(event) => setText(event.target.value)} onBlur={set} />
    </form>
  );
}
