// Lines over time. uPlot draws; around it: zoom by dragging, pan with Shift, one cursor for all panels.
import "uplot/dist/uPlot.min.css";
import { useEffect, useMemo, useRef, useState } from "react";
import uPlot from "uplot";
import type { Labels, Series } from "../api/types";
import { seconds as showSeconds, bytes, short } from "../parts/number";
import { LabelSet, SeriesName } from "../parts/labels";
import type { Range } from "../time/range";
import { fields, showTime, type Zone } from "../time/zone";
import type { Mark } from "./Exemplars";
import { type Columns, stack } from "./matrix";
import { stroke } from "./palette";
import type { Episode } from "./run";
import type { Mode, Nulls } from "./state";

interface Props {
  series: Series[];
  names: Labels[];
  /** The series as columns over the range. */
  plain: Columns;
  range: Range;
  mode: Mode;
  log: boolean;
  nulls: Nulls;
  zone: Zone;
  dark: boolean;
  hidden: ReadonlySet<number>;
  focus: number | undefined;
  episodes: Episode[];
  marks: Mark[];
  picked: Mark | undefined;
  onPick: (mark: Mark) => void;
  onZoom: (start: number, end: number) => void;
  onOut: () => void;
}

export const HEIGHT = 300;
const TOOLTIP_ROWS = 8;

/** What values measure, by the habit of metric names. */
export function unitOf(series: Series[]): (value: number) => string {
  const name = series[0]?.metric["__name__"] ?? "";
  // Of a histogram its observations are drawn, whatever they measure.
  if (series.length > 0 && series.every((one) => one.metric["__name__"] === name && !one.histograms?.length)) {
    if (/_bytes(_total)?$/.test(name)) return bytes;
    if (/_seconds$/.test(name) && !/timestamp|time_seconds$/.test(name)) return showSeconds;
  }
  return short;
}

/** Tick labels: the date where the day changes, else the time of day. */
function ticks(splits: number[], zone: Zone): string[] {
  const two = (number: number) => String(number).padStart(2, "0");
  let day = "";
  const fine = splits.length > 1 && (splits[1] as number) - (splits[0] as number) < 60;
  return splits.map((at) => {
    const f = fields(at, zone);
    const date = `${f.y}-${two(f.mo)}-${two(f.d)}`;
    const clock = fine ? `${two(f.h)}:${two(f.mi)}:${two(f.s)}` : `${two(f.h)}:${two(f.mi)}`;
    if (f.h === 0 && f.mi === 0 && f.s === 0) return date.slice(5);
    const first = day === "";
    const changed = !first && date !== day;
    day = date;
    return changed ? `${clock}\n${date.slice(5)}` : clock;
  });
}

interface Tip {
  at: number;
  index: number;
  left: number;
  top: number;
  rows: { index: number; value: number }[];
  more: number;
  /** The exemplar under the pointer. */
  mark: Mark | undefined;
}

export function Graph(props: Props) {
  const { series, plain, range, mode, log, nulls, zone, dark, hidden, onZoom, onOut, episodes, marks, picked, onPick } = props;
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const [tip, setTip] = useState<Tip>();
  const [width, setWidth] = useState(0);
  const unit = useMemo(() => unitOf(series), [series]);
  const live = useRef({ onZoom, onOut, onPick, episodes, marks, picked, plain, hidden });
  live.current = { onZoom, onOut, onPick, episodes, marks, picked, plain, hidden };

  useEffect(() => {
    const element = host.current as HTMLElement;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  // biome-ignore lint: a plot is made anew when what it shows changes; width and visibility are set on it below
  useEffect(() => {
    const element = host.current as HTMLElement;
    const css = getComputedStyle(element);
    const colour = (name: string) => css.getPropertyValue(name).trim();
    const [ink, line, warn] = [colour("--ink-3"), colour("--line"), colour("--bad")];
    const font = `11.5px ${colour("--sans") || "sans-serif"}`;
    const stacked = mode === "stacked";
    const isHidden = (index: number) => live.current.hidden.has(index);
    const data = stacked ? stack(plain, isHidden) : plain;
    const count = data.length - 1;
    const axis: uPlot.Axis = { stroke: ink, font, grid: { stroke: line, width: 1 }, ticks: { show: false } };

    const options: uPlot.Options = {
      width: element.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      padding: [12, 14, 0, 0],
      // Values beyond 1e-300 are none in a logarithm.
      scales: { x: { time: true, range: () => [range.start, Math.max(range.end, range.start + range.step)] }, y: log ? { distr: 3, log: 10 } : { range: (_, low, high) => fit(low, high, stacked) } },
      focus: { alpha: 0.18 },
      cursor: {
        sync: { key: "weir", setSeries: false, scales: ["x", null] },
        focus: { prox: -1 },
        drag: { x: true, y: false, setScale: false },
        // A mark a series costs an element each: few lines have them.
        points: { show: count <= 30, size: 7, fill: (u, index) => String((u.series[index] as { colour?: string } | undefined)?.colour ?? ink) },
        bind: {
          dblclick: () => () => {
            live.current.onOut();
            return null;
          },
          mousedown: (u, _, handler) => (event) => {
            if (event.shiftKey && event.button === 0) pan(u, event, live.current.onZoom);
            else handler(event);
            return null;
          },
        },
      },
      axes: [
        { ...axis, space: 76, values: (_, splits) => ticks(splits, zone), gap: 6, size: 34 },
        { ...axis, size: (_, values) => Math.max(44, ...(values ?? []).map((value) => 14 + measure(value, font))), values: (_, splits) => splits.map((value) => (value === null ? "" : unit(value))), gap: 6 },
      ],
      series: [
        {},
        ...Array.from({ length: count }, (_, index) => {
          const { colour, dash } = stroke(index, dark);
          const one: uPlot.Series & { colour: string } = {
            colour,
            stroke: colour,
            width: count > 60 ? 1 : 1.6,
            show: !isHidden(index),
            spanGaps: nulls === "join",
            points: mode === "points" ? { show: true, size: 4, fill: colour } : count > 60 ? { show: false } : { size: 4, fill: colour },
          };
          if (dash && count <= 60) one.dash = dash;
          if (mode === "points") one.paths = () => null;
          if (stacked) one.fill = `${colour}${dark ? "55" : "44"}`;
          return one;
        }),
      ],
      hooks: {
        init: [
          (u) => {
            u.over.addEventListener("click", ({ offsetX, offsetY }) => {
              const mark = markAt(u, live.current.marks, offsetX, offsetY);
              if (mark) live.current.onPick(mark);
            });
          },
        ],
        setSelect: [
          (u) => {
            if (u.select.width > 4) live.current.onZoom(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
            u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
        drawClear: [(u) => drawEpisodes(u, live.current.episodes, warn)],
        draw: [(u) => drawMarks(u, live.current.marks, live.current.picked, colour("--ink"), colour("--card"))],
        setCursor: [
          (u) => {
            const { idx, left = -1, top = -1 } = u.cursor;
            // Panels that only follow another's cursor show the line and no box.
            if (idx === null || idx === undefined || left < 0 || !u.over.matches(":hover")) {
              setTip(undefined);
              return;
            }
            const at = live.current.plain[0][idx] as number;
            const wanted = u.posToVal(top, "y");
            const rows: { index: number; value: number; far: number }[] = [];
            for (let index = 0; index < count; index++) {
              const value = (live.current.plain[index + 1] as (number | null)[])[idx];
              if (value === null || value === undefined || isHidden(index)) continue;
              const drawn = (u.data[index + 1] as (number | null)[])[idx] ?? value;
              rows.push({ index, value, far: Math.abs(drawn - wanted) });
            }
            rows.sort((left, right) => left.far - right.far);
            setTip({ at, index: idx, left, top, rows: rows.slice(0, TOOLTIP_ROWS), more: Math.max(0, rows.length - TOOLTIP_ROWS), mark: markAt(u, live.current.marks, left, top) });
          },
        ],
      },
    };
    if (stacked) {
      // From the highest down, so that each area ends where the one below begins.
      const shown = Array.from({ length: count }, (_, index) => index).filter((index) => !isHidden(index));
      options.bands = shown.slice(1).map((index, at) => ({ series: [index + 1, (shown[at] as number) + 1] as [number, number] }));
    }
    const began = performance.now();
    const made = new uPlot(options, data as uPlot.AlignedData, element);
    // uPlot paints in a microtask that it queued just now: this one runs after it.
    queueMicrotask(() => performance.measure("weir:draw", { start: began, end: performance.now() }));
    plot.current = made;
    element.dataset["drawn"] = String(count);
    return () => {
      made.destroy();
      plot.current = null;
      setTip(undefined);
    };
  }, [plain, mode, log, nulls, zone, dark, unit, mode === "stacked" ? hidden : undefined]);

  useEffect(() => {
    if (width > 0) plot.current?.setSize({ width, height: HEIGHT });
  }, [width]);
  useEffect(() => {
    const u = plot.current;
    if (!u || mode === "stacked") return;
    u.batch(() => {
      for (let index = 1; index < u.series.length; index++) {
        const show = !hidden.has(index - 1);
        if (u.series[index]?.show !== show) u.setSeries(index, { show });
      }
    });
  }, [hidden, mode]);
  useEffect(() => {
    plot.current?.setSeries(props.focus === undefined ? null : props.focus + 1, { focus: true });
  }, [props.focus]);
  // biome-ignore lint: bands and marks are drawn over the same plot
  useEffect(() => plot.current?.redraw(false), [episodes, marks, picked]);

  const firing = tip ? episodes.filter((one) => one.start - range.step <= tip.at && tip.at <= one.end + range.step) : [];
  const near = tip?.mark;
  return (
    <div className="graph" role="img" aria-label={`Graph of ${series.length} series; the table tab has the same numbers`}>
      <div ref={host} className="graph-host" style={{ height: HEIGHT }} />
      {tip && (
        <div className="tip" style={tip.left > width / 2 ? { right: Math.max(8, width - tip.left - 30), top: 14 } : { left: tip.left + 76, top: 14 }}>
          <div className="tip-time num">{showTime(tip.at, zone)}</div>
          {tip.rows.map(({ index, value }) => (
            <div key={index} className="tip-row">
              <i style={{ background: stroke(index, dark).colour }} />
              <span className="clip"><SeriesName labels={props.names[index] ?? {}} /></span>
              <b className="num">{exact(value)}</b>
            </div>
          ))}
          {tip.more > 0 && <div className="dim small">and {tip.more} more</div>}
          {tip.rows.length === 0 && <div className="dim small">no point here</div>}
          {firing.slice(0, 4).map((one) => (
            <div key={`${one.name}${one.start}${JSON.stringify(one.labels)}`} className="tip-row bad small">
              <span className="clip">firing: {one.name}</span>
            </div>
          ))}
          {near && (
            <div className="tip-mark small">
              <div>Exemplar <b className="num">{unit(near.value)}</b>; click to keep it</div>
              <LabelSet labels={near.labels} />
            </div>
          )}
        </div>
      )}
    </div>
  );
}

export function exact(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e15 ? value.toLocaleString("en-US") : Number(value.toPrecision(7)).toString();
}

function fit(low: number | null, high: number | null, fromZero: boolean): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (fromZero) low = Math.min(0, low);
  if (low === high) {
    const room = low === 0 ? 1 : Math.abs(low) * 0.1;
    return low >= 0 && low - room < 0 ? [0, high + room] : [low - room, high + room];
  }
  const room = (high - low) * 0.06;
  // A line that lives near zero shows its zero.
  const floor = low >= 0 && low - room < (high - low) * 0.25 ? 0 : low - room;
  return [floor, high + room];
}

let pen: CanvasRenderingContext2D | null = null;
function measure(text: string, font: string): number {
  pen ??= document.createElement("canvas").getContext("2d");
  if (!pen) return text.length * 7;
  pen.font = font;
  return pen.measureText(text).width;
}

function drawEpisodes(u: uPlot, episodes: Episode[], colour: string) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.fillStyle = colour;
  for (const one of episodes) {
    const [from, to] = [u.valToPos(one.start, "x", true), u.valToPos(one.end, "x", true)];
    const [left, right] = [Math.max(bbox.left, from), Math.min(bbox.left + bbox.width, Math.max(to, from + 2))];
    if (right <= left) continue;
    ctx.globalAlpha = 0.07;
    ctx.fillRect(left, bbox.top, right - left, bbox.height);
    ctx.globalAlpha = 0.8;
    ctx.fillRect(left, bbox.top, right - left, 3 * devicePixelRatio);
  }
  ctx.restore();
}

/** How far a mark reaches from its middle, in pixels of CSS. */
const MARK = 4.5;

/** Where a mark stands, from the plot's corner; what lies outside the axis stands at its edge. */
function placeOf(u: uPlot, { at, value }: Mark): [x: number, y: number] {
  const y = u.valToPos(value, "y");
  return [u.valToPos(at, "x"), Math.max(MARK, Math.min(u.over.clientHeight - MARK, Number.isNaN(y) ? Number.POSITIVE_INFINITY : y))];
}

function drawMarks(u: uPlot, marks: Mark[], picked: Mark | undefined, colour: string, edge: string) {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.translate(bbox.left, bbox.top);
  ctx.scale(devicePixelRatio, devicePixelRatio);
  [ctx.fillStyle, ctx.strokeStyle] = [colour, edge];
  const diamond = ([x, y]: [number, number], size: number) => {
    ctx.beginPath();
    ctx.moveTo(x, y - size);
    ctx.lineTo(x + size, y);
    ctx.lineTo(x, y + size);
    ctx.lineTo(x - size, y);
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  };
  // Of those that would hide each other one is drawn.
  const taken = new Set<string>();
  for (const mark of marks) {
    const place = placeOf(u, mark);
    const cell = place.map((part) => Math.round(part / 3)).join();
    if (!taken.has(cell)) diamond(place, MARK);
    taken.add(cell);
  }
  if (picked) {
    ctx.strokeStyle = colour;
    ctx.fillStyle = edge;
    ctx.lineWidth = 2.5;
    diamond(placeOf(u, picked), MARK + 2.5);
  }
  ctx.restore();
}

/** The mark nearest to a place on the plot, within reach of a pointer. */
function markAt(u: uPlot, marks: Mark[], left: number, top: number): Mark | undefined {
  let [best, far] = [undefined as Mark | undefined, MARK + 6];
  for (const mark of marks) {
    const [x, y] = placeOf(u, mark);
    const away = Math.hypot(x - left, y - top);
    if (away < far) [best, far] = [mark, away];
  }
  return best;
}

/** Shift and drag: the plot follows the pointer, the new range is asked for when it is let go. */
function pan(u: uPlot, down: MouseEvent, done: (start: number, end: number) => void) {
  const { min = 0, max = 1 } = u.scales["x"] as { min?: number; max?: number };
  const perPixel = (max - min) / (u.bbox.width / devicePixelRatio);
  const shift = (event: MouseEvent) => (down.clientX - event.clientX) * perPixel;
  const move = (event: MouseEvent) => {
    u.over.style.cursor = "grabbing";
    u.root.style.setProperty("--panned", `${event.clientX - down.clientX}px`);
  };
  const up = (event: MouseEvent) => {
    document.removeEventListener("mousemove", move);
    document.removeEventListener("mouseup", up);
    u.over.style.cursor = "";
    u.root.style.removeProperty("--panned");
    if (Math.abs(event.clientX - down.clientX) > 3) done(min + shift(event), max + shift(event));
  };
  document.addEventListener("mousemove", move);
  document.addEventListener("mouseup", up);
}
