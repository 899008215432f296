// Which line is which, with its figures; only labels that tell series apart.
import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useMemo, useRef } from "react";
import type { Labels } from "../api/types";
import { LabelSet, SeriesName } from "../parts/labels";
import { type Columns, summary } from "./matrix";
import { stroke } from "./palette";

interface Props {
  names: Labels[];
  common: Labels;
  data: Columns;
  unit: (value: number) => string;
  dark: boolean;
  hidden: ReadonlySet<number>;
  onHidden: (next: Set<number>) => void;
  onFocus: (index: number | undefined) => void;
}

const ROW = 26;

export const Legend = memo(function Legend({ names, common, data, unit, dark, hidden, onHidden, onFocus }: Props) {
  const scroll = useRef<HTMLDivElement>(null);
  const figures = useMemo(() => (data.slice(1) as (number | null)[][]).map(summary), [data]);
  const rows = useVirtualizer({ count: names.length, getScrollElement: () => scroll.current, estimateSize: () => ROW, overscan: 6 });
  const pick = (index: number, add: boolean) => {
    const all = names.map((_, one) => one);
    if (add) {
      const next = new Set(hidden);
      if (!next.delete(index)) next.add(index);
      onHidden(next);
    } else if (hidden.size === names.length - 1 && !hidden.has(index)) onHidden(new Set());
    else onHidden(new Set(all.filter((one) => one !== index)));
  };
  const shared = Object.keys(common).length > 0 && names.length > 1;
  return (
    <div className="legend">
      {shared && (
        <div className="legend-common">
          <span className="dim small">all have</span> <LabelSet labels={common} />
        </div>
      )}
      <div className="legend-head">
        <span className="small dim">{names.length === 1 ? "series" : `${names.length} series`}</span>
        {["last", "min", "mean", "max"].map((name) => (
          <span key={name} className="small dim num">{name}</span>
        ))}
      </div>
      <div className="legend-scroll" ref={scroll} style={{ height: Math.min(names.length * ROW + 2, 8.5 * ROW) }} onMouseLeave={() => onFocus(undefined)}>
        <div style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map(({ index, start }) => {
            const figure = figures[index];
            const { colour, dash } = stroke(index, dark);
            return (
              <button
                type="button"
                key={index}
                className="legend-row"
                style={{ height: ROW, transform: `translateY(${start}px)` }}
                aria-pressed={!hidden.has(index)}
                title="Click: only this one. Ctrl-click: show or hide it."
                onMouseEnter={() => onFocus(index)}
                onFocus={() => onFocus(index)}
                onClick={(event) => pick(index, event.ctrlKey || event.metaKey || event.shiftKey)}
              >
                <span className="clip legend-name">
                  <svg width="18" height="10" aria-hidden>
                    <line x1="0" y1="5" x2="18" y2="5" stroke={colour} strokeWidth="3" strokeDasharray={names.length <= 60 ? dash?.join(" ") : undefined} />
                  </svg>
                  <SeriesName labels={names[index] ?? {}} />
                </span>
                {figure && [figure.last, figure.min, figure.mean, figure.max].map((value, at) => (
                  // biome-ignore lint: four figures in a fixed order
                  <span key={at} className="num legend-figure">{Number.isNaN(value) ? "–" : unit(value)}</span>
                ))}
              </button>
            );
          })}
        </div>
      </div>
    </div>
  );
});
