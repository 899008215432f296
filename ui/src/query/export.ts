// A panel in the forms that others read.
import { address, token } from "../api/client";
import type { QueryAnswer, Series } from "../api/types";
import { selector } from "../parts/labels";
import type { Range } from "../time/range";
import { asSeries } from "./run";

const shell = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

export function curl(expr: string, range: Range, instant: boolean): string {
  const lines = [`curl -sG ${shell(address(instant ? "/api/v1/query" : "/api/v1/query_range"))}`];
  // Never the token itself: what is copied gets pasted into tickets.
  if (token()) lines.push('-H "Authorization: Bearer $WEIR_TOKEN"');
  lines.push(`--data-urlencode ${shell(`query=${expr}`)}`);
  if (instant) lines.push(`-d time=${range.end}`);
  else lines.push(`-d start=${range.start} -d end=${range.end} -d step=${range.step}`);
  return lines.join(" \\\n  ");
}

/** A panel that Grafana takes by "paste". */
export function grafanaPanel(expr: string, kind: "graph" | "table" | "heat", stacked: boolean): string {
  const panel = {
    type: kind === "graph" ? "timeseries" : kind === "heat" ? "heatmap" : "table",
    title: expr.length > 60 ? `${expr.slice(0, 57)}...` : expr,
    datasource: { type: "prometheus", uid: "${datasource}" },
    gridPos: { h: 9, w: 12, x: 0, y: 0 },
    fieldConfig: { defaults: { custom: kind === "graph" ? { drawStyle: "line", stacking: { mode: stacked ? "normal" : "none" }, fillOpacity: stacked ? 25 : 0 } : {} }, overrides: [] },
    options: {},
    targets: [{ refId: "A", expr, editorMode: "code", range: kind !== "table", instant: kind === "table", format: kind === "table" ? "table" : kind === "heat" ? "heatmap" : "time_series", legendFormat: "__auto" }],
  };
  return JSON.stringify(panel, null, 2);
}

/** `"`, `,` and line ends are quoted; a leading `=`, `+`, `-` or `@` that is no number cannot become a formula. */
function cell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) && !/^[+-]Inf$/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function points(series: Series): [number, string][] {
  if (series.value) return [series.value];
  if (series.histogram) return [[series.histogram[0], series.histogram[1].count]];
  return [...(series.values ?? []), ...(series.histograms ?? []).map(([at, histogram]): [number, string] => [at, histogram.count])];
}

/** A row a sample: time, one column a label, value. */
export function csv(answer: QueryAnswer): string {
  const series = asSeries(answer);
  const names = [...new Set(series.flatMap((one) => Object.keys(one.metric)))].sort();
  const rows = [["time", ...names, "value"].map(cell).join(",")];
  for (const one of series) {
    const labels = names.map((name) => cell(one.metric[name] ?? ""));
    for (const [at, value] of points(one)) rows.push([new Date(at * 1000).toISOString(), ...labels, cell(value)].join(","));
  }
  return `${rows.join("\r\n")}\r\n`;
}

/** The last value of each series as a table for tickets and chats. */
export function markdown(expr: string, answer: QueryAnswer): string {
  const escape = (text: string) => text.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("`", "'");
  const rows = asSeries(answer).map((one) => `| \`${escape(selector(one.metric))}\` | ${points(one).at(-1)?.[1] ?? ""} |`);
  return ["```promql", expr, "```", "", "| series | last value |", "|---|---:|", ...rows, "", location.href, ""].join("\n");
}

export function download(name: string, content: Blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** The canvas of a panel with its expression above, on a ground of its own. */
export async function png(panel: HTMLElement, expr: string): Promise<Blob | undefined> {
  const canvas = panel.querySelector("canvas");
  if (!canvas) return undefined;
  const css = getComputedStyle(panel);
  const scale = canvas.width / canvas.clientWidth;
  const head = 34 * scale;
  const picture = document.createElement("canvas");
  picture.width = canvas.width + 24 * scale;
  picture.height = canvas.height + head + 12 * scale;
  const pen = picture.getContext("2d") as CanvasRenderingContext2D;
  pen.fillStyle = css.getPropertyValue("--card");
  pen.fillRect(0, 0, picture.width, picture.height);
  pen.fillStyle = css.getPropertyValue("--ink");
  pen.font = `500 ${13 * scale}px ${css.getPropertyValue("--mono")}`;
  pen.textBaseline = "middle";
  pen.fillText(expr, 14 * scale, head / 2 + 2 * scale, picture.width - 28 * scale);
  pen.drawImage(canvas, 12 * scale, head);
  return new Promise((done) => picture.toBlob((blob) => done(blob ?? undefined), "image/png"));
}
