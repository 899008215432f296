// A panel's graph tab: lines, legend, and what else the series are drawn with.
import { useComputedColorScheme } from "@mantine/core";
import { useMemo, useState } from "react";
import type { Labels, Series } from "../api/types";
import { Empty } from "../parts/state";
import { type Range, showSpan } from "../time/range";
import { useZone } from "../time/zone";
import { Exemplars, type Found, type Mark } from "./Exemplars";
import { Graph, unitOf } from "./Graph";
import { Legend } from "./Legend";
import { columns } from "./matrix";
import { distinguish, type Episode } from "./run";
import type { PanelState } from "./state";

/** Lines that can be drawn and told apart at all; beyond, the strongest help is a better expression. */
const LINES_MAX = 1000;

const NONE: Mark[] = [];

interface Props {
  series: Series[];
  range: Range;
  panel: PanelState;
  episodes: Episode[];
  /** Where they are wanted. */
  exemplars: Found | undefined;
  onZoom: (start: number, end: number) => void;
  onOut: () => void;
}

export function GraphView({ series: all, range, panel, episodes, exemplars, onZoom, onOut }: Props) {
  const zone = useZone();
  const dark = useComputedColorScheme("light") === "dark";
  const series = useMemo(() => (all.length > LINES_MAX ? all.slice(0, LINES_MAX) : all), [all]);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [focus, setFocus] = useState<number>();
  const [of, setOf] = useState(panel.expr);
  if (of !== panel.expr) {
    setOf(panel.expr);
    setHidden(new Set());
  }
  const { common, names } = useMemo(() => tell(series.map((one) => one.metric)), [series]);
  const data = useMemo(() => columns(series, range, panel.nulls), [series, range, panel.nulls]);
  const unit = useMemo(() => unitOf(series), [series]);
  const [chosen, setPicked] = useState<Mark>();
  const marks = exemplars?.marks ?? NONE;
  // Another range brings other marks.
  const picked = chosen && marks.includes(chosen) ? chosen : undefined;
  if (series.length === 0) {
    return (
      <Empty title="No series has a point in this range">
        <p>The expression is right, nothing matches it here. Look further back, or take matchers away: the table tab shows what an instant gives, and completion which labels exist.</p>
      </Empty>
    );
  }
  return (
    <>
      <Graph
        series={series}
        names={names}
        plain={data}
        range={range}
        mode={panel.mode}
        log={panel.log}
        nulls={panel.nulls}
        zone={zone}
        dark={dark}
        hidden={hidden}
        focus={focus}
        episodes={episodes}
        marks={marks}
        picked={picked}
        onPick={setPicked}
        onZoom={onZoom}
        onOut={onOut}
      />
      <Legend names={names} common={common} data={data} unit={unit} dark={dark} hidden={hidden} onHidden={setHidden} onFocus={setFocus} />
      {exemplars && <Exemplars found={exemplars} picked={picked} onPick={setPicked} unit={unit} />}
      <p className="panel-foot dim small">
        {all.length > series.length && `The first ${series.length} of ${all.length} series are drawn. `}
        {series.some((one) => one.histograms?.length) && "Of histograms the number of observations is drawn; the heat map shows where they lie. "}
        One point every {showSpan(range.step)}. Drag to zoom, Shift and drag to pan, double-click to zoom out.
      </p>
    </>
  );
}

/** Names for a legend: what is common stands once above. A single series keeps all it has. */
function tell(labels: Labels[]): { common: Labels; names: Labels[] } {
  if (labels.length <= 1) return { common: {}, names: labels };
  const { common } = distinguish(labels);
  return { common, names: labels.map((one) => Object.fromEntries(Object.entries(one).filter(([name]) => !(name in common)))) };
}
