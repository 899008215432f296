// One expression: its editor, its answer in five forms, and what the server says of it.
import { IconAlignLeft, IconChartHistogram, IconChartLine, IconPlayerPlay, IconStackBack, IconTable, IconTimeline, IconTopologyStar3, IconTrash } from "@tabler/icons-react";
import { memo, useEffect, useMemo, useRef, useState } from "react";
import { ApiError, data } from "../api/client";
import type { Series } from "../api/types";
import { count, short, took } from "../parts/number";
import { Empty, Note, Problem, Wait } from "../parts/state";
import { grid, niceStep, type View } from "../time/range";
import { Editor, type EditorHandle } from "./Editor";
import type { Mark } from "./Exemplars";
import { ExplainView } from "./ExplainView";
import { GraphView } from "./GraphView";
import { HeatView } from "./HeatView";
import { HistoryMenu } from "./HistoryMenu";
import { ShareMenu } from "./PanelMenu";
import { RawView } from "./RawView";
import { asSeries, type Episode, isHistogram, useExemplars, useInstant, useRange, useTrace } from "./run";
import type { Mode, Nulls, PanelState, Tab } from "./state";
import { TableView } from "./TableView";

const TABS: { tab: Tab; title: string; icon: typeof IconTable }[] = [
  { tab: "graph", title: "Graph", icon: IconChartLine },
  { tab: "table", title: "Table", icon: IconTable },
  { tab: "heat", title: "Heat map", icon: IconChartHistogram },
  { tab: "raw", title: "Raw", icon: IconTimeline },
  { tab: "explain", title: "Explain", icon: IconTopologyStar3 },
];

const NO_MARKS: Mark[] = [];

/** Points a graph asks for: as many as a reader can tell apart. */
export const POINTS = 500;

interface Props {
  panel: PanelState;
  index: number;
  alone: boolean;
  view: View;
  now: number;
  step: number | undefined;
  episodes: Episode[];
  onChange: (panel: PanelState) => void;
  onRun: (expr: string) => void;
  onRemove: () => void;
  onAdd: (expr: string) => void;
  onZoom: (start: number, end: number) => void;
  onOut: () => void;
}

export const Panel = memo(function Panel({ panel, index, alone, view, now, step, episodes, onChange, onRun, onRemove, onAdd, onZoom, onOut }: Props) {
  const card = useRef<HTMLElement>(null);
  const editor = useRef<EditorHandle>(null);
  const [formatError, setFormatError] = useState("");
  const range = useMemo(() => grid(view, now, step ?? niceStep(view.span, POINTS)), [view, now, step]);
  const { expr } = panel;
  const matrix = useRange(expr, range, panel.tab === "" || panel.tab === "graph" || panel.tab === "heat");
  const tab = panel.tab || (matrix.data && isHistogram(matrix.data.answer) ? "heat" : "graph");
  const vector = useInstant(expr, view.end ?? now, tab === "table");
  const trace = useTrace(expr, range, tab === "explain");
  const exemplars = useExemplars(expr, range, tab === "graph" && panel.exemplars);
  const current = tab === "graph" || tab === "heat" ? matrix : tab === "table" ? vector : tab === "explain" ? trace : undefined;
  const answer = tab === "explain" ? trace.data : tab === "table" ? vector.data?.answer : tab === "raw" ? undefined : matrix.data?.answer;
  const stats = answer?.data.stats;
  const warnings = answer?.warnings ?? [];
  const infos = answer?.infos ?? [];
  const error = current?.error;
  const fresh = current && !current.isPlaceholderData;

  useEffect(() => {
    // Whoever is asked for a token keeps the focus.
    if (alone && expr === "" && !document.querySelector("[aria-modal=true]")) editor.current?.focus();
  }, [alone, expr]);

  const format = async () => {
    const text = editor.current?.text() ?? "";
    if (!text.trim()) return;
    try {
      onChange({ ...panel, expr: await data<string>("/api/v1/format_query", { query: text }, { method: "POST" }) });
      setFormatError("");
    } catch (problem) {
      setFormatError(problem instanceof Error ? problem.message : String(problem));
    }
  };
  const body = () => {
    if (expr.trim() === "") return null;
    if (tab === "raw") return <RawView expr={expr} range={range} />;
    if (error && fresh) return <Problem error={error} what="Weir could not answer this." {...(asksWrong(error) ? {} : { retry: () => void current.refetch() })} />;
    if (tab === "explain") return trace.data ? <ExplainView answer={trace.data} onAdd={onAdd} /> : <Wait height={330} />;
    if (tab === "table") return vector.data ? <TableView answer={vector.data.answer} at={vector.data.at} /> : <Wait height={330} />;
    if (!matrix.data) return <Wait height={tab === "graph" ? 460 : 360} />;
    const series = matrix.data.answer.data.result as Series[];
    if (matrix.data.answer.data.resultType !== "matrix") return <Empty title="Not a series"><p>The table tab shows this value.</p></Empty>;
    return tab === "heat" ? (
      <HeatView series={series} range={matrix.data.range} expr={expr} />
    ) : (
      <GraphView series={series} range={matrix.data.range} panel={panel} episodes={episodes} exemplars={panel.exemplars ? { marks: exemplars.data ?? NO_MARKS, asking: exemplars.isPending, error: exemplars.error } : undefined} onZoom={onZoom} onOut={onOut} />
    );
  };
  return (
    <section className="card panel" ref={card} aria-label={`Expression ${index + 1}`} data-state={current ? (current.isFetching ? "asking" : error ? "failed" : "answered") : "still"}>
      <div className="panel-ask">
        <Editor
          ref={editor}
          value={expr}
          label={`Expression ${index + 1}`}
          onRun={onRun}
          warnings={fresh ? warnings : []}
          infos={fresh ? infos : []}
        />
        <div className="row panel-buttons">
          <button type="button" className="btn quiet icon" aria-label="Format the expression" title="Format" onClick={format}>
            <IconAlignLeft size={17} aria-hidden />
          </button>
          <HistoryMenu onPick={onRun} />
          <button type="button" className="btn primary" onClick={() => onRun(editor.current?.text() ?? "")}>
            <IconPlayerPlay size={15} aria-hidden />
            Ask
          </button>
        </div>
      </div>
      {formatError && <div className="panel-note"><Note kind="bad"><span className="mono">{formatError}</span></Note></div>}
      <div className="panel-bar">
        <div className="segments" role="tablist" aria-label="How the answer is shown">
          {TABS.map((one) => (
            <button key={one.tab} type="button" role="tab" aria-selected={one.tab === tab} onClick={() => onChange({ ...panel, tab: one.tab })}>
              <one.icon size={15} aria-hidden />
              {one.title}
            </button>
          ))}
        </div>
        {expr.trim() !== "" && tab === "graph" && <GraphOptions panel={panel} onChange={onChange} />}
        <div className="row panel-end">
          <span className="panel-stats small dim num" aria-live="polite">
          {current?.isFetching ? "asking …" : answer && stats ? `${count(asSeries(answer).length, "series", "series")} · ${short(stats.samples.totalQueryableSamples)} ${stats.samples.totalQueryableSamples === 1 ? "sample" : "samples"} · ${took(stats.timings.execTotalTime)}` : ""}
        </span>
        {expr.trim() !== "" && <ShareMenu panel={{ ...panel, tab }} range={range} answer={answer} card={card} />}
        {!alone && (
          <button type="button" className="btn quiet icon sm" aria-label={`Remove expression ${index + 1}`} title="Remove" onClick={onRemove}>
            <IconTrash size={16} aria-hidden />
          </button>
        )}
        </div>
      </div>
      {fresh && (warnings.length > 0 || infos.length > 0) && (
        <div className="panel-note stack tight">
          {warnings.map((text) => <Note key={text} kind="warn">{text}</Note>)}
          {infos.map((text) => <Note key={text} kind="info">{text}</Note>)}
        </div>
      )}
      {expr.trim() !== "" && <div className={`panel-body${current?.isPlaceholderData ? " stale" : ""}`}>{body()}</div>}
    </section>
  );
});

/** The expression itself is at fault: asking again would not help. */
const asksWrong = (error: unknown) => error instanceof ApiError && error.kind === "bad_data";

function GraphOptions({ panel, onChange }: { panel: PanelState; onChange: (panel: PanelState) => void }) {
  return (
    <div className="row wrap">
      <button type="button" className="btn sm" aria-pressed={panel.mode === "stacked"} onClick={() => onChange({ ...panel, mode: panel.mode === "stacked" ? "lines" : "stacked" })}>
        <IconStackBack size={15} aria-hidden />
        Stacked
      </button>
      <button type="button" className="btn sm" aria-pressed={panel.log} onClick={() => onChange({ ...panel, log: !panel.log })}>Log</button>
      <button type="button" className="btn sm" aria-pressed={panel.exemplars} onClick={() => onChange({ ...panel, exemplars: !panel.exemplars })}>Exemplars</button>
      <select className="field sm" aria-label="Lines or points" value={panel.mode === "points" ? "points" : "lines"} onChange={(event) => onChange({ ...panel, mode: event.target.value as Mode })}>
        <option value="lines">Lines</option>
        <option value="points">Points</option>
      </select>
      <select className="field sm" aria-label="Missing points" value={panel.nulls} onChange={(event) => onChange({ ...panel, nulls: event.target.value as Nulls })}>
        <option value="gap">Gaps as gaps</option>
        <option value="join">Gaps joined</option>
        <option value="zero">Gaps as zero</option>
      </select>
    </div>
  );
}
