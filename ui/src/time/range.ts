// Spans and ranges of time as people write them. Times are seconds since 1970, spans are seconds.

const UNITS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };

/** `1h30m` in seconds; `undefined` where it is no span. */
export function parseSpan(text: string): number | undefined {
  const trimmed = text.trim();
  if (!/^(\d+(\.\d+)?(ms|[smhdwy]))+$/.test(trimmed)) return undefined;
  let seconds = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdwy])/g)) {
    seconds += Number(number) * (UNITS[unit ?? ""] ?? 0);
  }
  return seconds > 0 ? seconds : undefined;
}

/** Seconds as `1d2h`, at most two units. */
export function showSpan(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 0) return `-${showSpan(-seconds)}`;
  if (seconds < 1) return seconds === 0 ? "0s" : `${trim(seconds * 1000)}ms`;
  if (seconds < 60) return `${trim(seconds)}s`;
  let rest = Math.round(seconds);
  const parts: string[] = [];
  for (const [unit, length] of [["d", 86_400], ["h", 3600], ["m", 60], ["s", 1]] as const) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count > 0) parts.push(`${count}${unit}`);
    if (parts.length === 2) break;
  }
  return parts.join("");
}

function trim(number: number): string {
  return Number(number.toPrecision(3)).toString();
}

/** What the page looks at: the last `span`, or the `span` before `end`. */
export interface View {
  span: number;
  end?: number;
}

export interface Range {
  start: number;
  end: number;
  step: number;
}

/** Steps a person reads without thinking. */
const NICE_STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/** The smallest pleasant step that gives at most `points` of them. */
export function niceStep(span: number, points: number): number {
  const least = span / points;
  return NICE_STEPS.find((step) => step >= least) ?? Math.ceil(least / 86_400) * 86_400;
}

/** The grid for a view; ends fall on whole steps, so that a refresh does not make points dance. */
export function grid(view: View, now: number, step: number): Range {
  const end = view.end ?? now;
  const last = view.end === undefined ? Math.floor(end / step) * step : end;
  return { start: last - Math.floor(view.span / step) * step, end: last, step };
}

export const PRESETS = ["5m", "15m", "1h", "3h", "6h", "12h", "1d", "2d", "1w", "30d", "90d"];

/** A time a person typed: `2026-11-22 14:00`, `now`, `now-3h`, seconds or milliseconds since 1970. */
export function parseTime(text: string, utc: boolean, now: number): number | undefined {
  const trimmed = text.trim();
  const relative = /^now(?:\s*-\s*(.+))?$/.exec(trimmed);
  if (relative) {
    const back = relative[1] === undefined ? 0 : parseSpan(relative[1]);
    return back === undefined ? undefined : now - back;
  }
  if (/^\d{9,10}(\.\d+)?$/.test(trimmed)) return Number(trimmed);
  if (/^\d{12,13}$/.test(trimmed)) return Number(trimmed) / 1000;
  const parts = /^(\d{4}-\d{2}-\d{2})(?:[ T](\d{1,2}:\d{2}(?::\d{2})?))?(Z|[+-]\d{2}:\d{2})?$/.exec(trimmed);
  if (!parts) return undefined;
  const clock = (parts[2] ?? "00:00").padStart(5, "0");
  const millis = Date.parse(`${parts[1]}T${clock}${parts[3] ?? (utc ? "Z" : "")}`);
  return Number.isNaN(millis) ? undefined : millis / 1000;
}
