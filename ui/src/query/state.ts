// The whole page in its address. Names follow Prometheus where it has one, so that links from alerts open here.
import { parseSpan, showSpan, type View } from "../time/range";

export type Tab = "graph" | "table" | "heat" | "raw" | "explain";
export type Mode = "lines" | "stacked" | "points";
/** What a missing point looks like: a gap, a line across, or zero. */
export type Nulls = "gap" | "join" | "zero";

export interface PanelState {
  expr: string;
  /** Empty where nobody chose: lines, or the heat map where the answer is a histogram. */
  tab: Tab | "";
  mode: Mode;
  log: boolean;
  nulls: Nulls;
  exemplars: boolean;
}

export interface PageState {
  panels: PanelState[];
  view: View;
  /** Seconds; absent: by the width. */
  step?: number | undefined;
  /** Seconds between refreshes; 0: none. */
  refresh: number;
  columns: 1 | 2;
  /** Firing alerts as bands behind the graphs. */
  alerts: boolean;
}

export const emptyPanel = (expr = "", tab: Tab | "" = ""): PanelState => ({ expr, tab, mode: "lines", log: false, nulls: "gap", exemplars: false });

export const PANELS_MAX = 12;

/** From Prometheus 2 (`0`, `1`), Prometheus 3 and ourselves. */
function tabOf(text: string | null): Tab | "" {
  if (text === "1" || text === "table") return "table";
  if (text === "0") return "graph";
  return text === "graph" || text === "heat" || text === "raw" || text === "explain" ? text : "";
}

export function readState(search: string): PageState {
  const params = new URLSearchParams(search);
  const panels: PanelState[] = [];
  for (let index = 0; index < PANELS_MAX; index++) {
    const get = (name: string) => params.get(`g${index}.${name}`);
    const expr = get("expr");
    if (expr === null) continue;
    const mode = get("display_mode");
    const nulls = get("nulls");
    panels.push({
      expr,
      tab: mode === "heatmap" ? "heat" : tabOf(get("tab")),
      mode: mode === "stacked" || get("stacked") === "1" ? "stacked" : mode === "points" ? "points" : "lines",
      log: get("log") === "1",
      nulls: nulls === "join" || nulls === "zero" ? nulls : "gap",
      exemplars: get("show_exemplars") === "1",
    });
  }
  if (panels.length === 0) panels.push(emptyPanel(params.get("expr") ?? ""));
  const span = parseSpan(params.get("range") ?? params.get("g0.range_input") ?? "") ?? 3600;
  const end = readEnd(params.get("end") ?? params.get("g0.end_input") ?? params.get("g0.moment_input"));
  return {
    panels,
    view: end === undefined ? { span } : { span, end },
    step: parseSpan(params.get("step") ?? "") ?? (Number(params.get("g0.step_input")) || undefined),
    refresh: parseSpan(params.get("refresh") ?? "") ?? 0,
    columns: params.get("columns") === "2" ? 2 : 1,
    alerts: params.get("alerts") === "1",
  };
}

function readEnd(text: string | null): number | undefined {
  if (!text) return undefined;
  const seconds = Number(text);
  if (Number.isFinite(seconds)) return seconds;
  // Prometheus writes `2026-11-22 14:00` and means UTC.
  const millis = Date.parse(`${text.trim().replace(" ", "T")}Z`);
  return Number.isNaN(millis) ? undefined : millis / 1000;
}

export function writeState(state: PageState): string {
  const params = new URLSearchParams();
  params.set("range", showSpan(state.view.span));
  if (state.view.end !== undefined) params.set("end", String(Math.round(state.view.end * 1000) / 1000));
  if (state.step !== undefined) params.set("step", showSpan(state.step));
  if (state.refresh > 0) params.set("refresh", showSpan(state.refresh));
  if (state.columns === 2) params.set("columns", "2");
  if (state.alerts) params.set("alerts", "1");
  state.panels.forEach((panel, index) => {
    const set = (name: string, value: string) => params.set(`g${index}.${name}`, value);
    set("expr", panel.expr);
    if (panel.tab) set("tab", panel.tab);
    if (panel.mode !== "lines") set("display_mode", panel.mode);
    if (panel.log) set("log", "1");
    if (panel.nulls !== "gap") set("nulls", panel.nulls);
    if (panel.exemplars) set("show_exemplars", "1");
  });
  return params.toString();
}
