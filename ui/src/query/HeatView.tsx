// The heat map of a histogram over time.
import { useEffect, useMemo, useRef, useState } from "react";
import type { Series } from "../api/types";
import { short } from "../parts/number";
import { Empty, Snippet } from "../parts/state";
import type { Range } from "../time/range";
import { showShort, showTime, useZone } from "../time/zone";
import { type Heat, heat, heatColour } from "./heat";

const [HEIGHT, LEFT, BOTTOM, TOP] = [320, 64, 26, 8];

const bound = (value: number) => (Number.isFinite(value) ? short(value) : value > 0 ? "+Inf" : "−Inf");

export function HeatView({ series, range, expr }: { series: Series[]; range: Range; expr: string }) {
  const found = useMemo(() => heat(series, range), [series, range]);
  if (!found) {
    const metric = /[a-zA-Z_:][\w:]*(?=_bucket)/.exec(expr)?.[0] ?? "http_request_duration_seconds";
    return (
      <Empty title="These series are no histogram">
        <p>A heat map needs native histograms, or classic buckets told apart by their label le. For example:</p>
        <Snippet text={`sum by (le) (rate(${metric}_bucket[5m]))\nsum(rate(${metric}[5m]))          # native`} />
      </Empty>
    );
  }
  return <HeatCanvas found={found} range={range} />;
}

function HeatCanvas({ found, range }: { found: Heat; range: Range }) {
  const zone = useZone();
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [tip, setTip] = useState<{ left: number; row: number; column: number }>();
  const rows = found.bounds.length - 1;

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(host.current as HTMLElement);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const element = canvas.current;
    const pen = element?.getContext("2d");
    if (!element || !pen || width === 0) return;
    const scale = devicePixelRatio;
    element.width = width * scale;
    element.height = HEIGHT * scale;
    pen.scale(scale, scale);
    const css = getComputedStyle(element);
    const [plotWidth, plotHeight] = [width - LEFT - 8, HEIGHT - TOP - BOTTOM];
    for (let row = 0; row < rows; row++) {
      const [top, bottom] = [TOP + plotHeight * (1 - (row + 1) / rows), TOP + plotHeight * (1 - row / rows)];
      for (let column = 0; column < found.columns; column++) {
        const count = found.cells[row * found.columns + column] as number;
        if (count === 0) continue;
        // The root shows the many small beside the few large.
        pen.fillStyle = heatColour(Math.sqrt(count / found.highest));
        const [left, right] = [LEFT + (plotWidth * column) / found.columns, LEFT + (plotWidth * (column + 1)) / found.columns];
        pen.fillRect(Math.floor(left), Math.floor(top), Math.ceil(right) - Math.floor(left), Math.ceil(bottom) - Math.floor(top));
      }
    }
    pen.fillStyle = css.getPropertyValue("--ink-3");
    pen.font = `11.5px ${css.getPropertyValue("--sans")}`;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    const every = Math.max(1, Math.ceil((rows + 1) / 14));
    for (let edge = 0; edge <= rows; edge += every) pen.fillText(bound(found.bounds[edge] as number), LEFT - 8, Math.max(TOP + 5, TOP + plotHeight * (1 - edge / rows)));
    pen.textAlign = "center";
    const count = Math.max(2, Math.floor(plotWidth / 110));
    for (let tick = 0; tick < count; tick++) {
      const share = tick / (count - 1);
      const at = range.start + (range.end - range.start) * share;
      pen.textAlign = tick === 0 ? "left" : tick === count - 1 ? "right" : "center";
      pen.fillText(showShort(at, zone), LEFT + plotWidth * share, HEIGHT - BOTTOM / 2 + 2);
    }
  }, [found, width, zone, range, rows]);

  const look = (event: React.MouseEvent) => {
    const box = (canvas.current as HTMLElement).getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - LEFT, event.clientY - box.top - TOP];
    const [plotWidth, plotHeight] = [width - LEFT - 8, HEIGHT - TOP - BOTTOM];
    if (x < 0 || y < 0 || x >= plotWidth || y >= plotHeight) setTip(undefined);
    else setTip({ left: event.clientX - box.left, column: Math.floor((x / plotWidth) * found.columns), row: Math.floor((1 - y / plotHeight) * rows) });
  };
  return (
    <div className="graph" role="img" aria-label="Heat map; the table tab has the numbers">
      <div ref={host} className="graph-host" onMouseMove={look} onMouseLeave={() => setTip(undefined)}>
        <canvas ref={canvas} style={{ width: "100%", height: HEIGHT, display: "block" }} data-heat={found.kind} />
      </div>
      {tip && (
        <div className="tip" style={tip.left > width / 2 ? { right: width - tip.left + 16, top: 14 } : { left: tip.left + 16, top: 14 }}>
          <div className="tip-time num">{showTime(range.start + tip.column * range.step, zone)}</div>
          <div className="num">
            {bound(found.bounds[tip.row] as number)} to {bound(found.bounds[tip.row + 1] as number)}: <b>{short(found.cells[tip.row * found.columns + tip.column] as number)}</b>
          </div>
        </div>
      )}
      <div className="heat-scale small dim">
        <span>0</span>
        <i style={{ background: `linear-gradient(90deg, ${[0, 0.2, 0.4, 0.6, 0.8, 1].map(heatColour).join(", ")})` }} />
        <span className="num">{short(found.highest)}</span>
        <span>in a {found.kind} bucket</span>
      </div>
    </div>
  );
}
