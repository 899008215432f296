// Small helps: what a relabelling does, how an expression reads, when a rule would have fired, tokens for graphs.
import "./tools.css";
import { lazy, Suspense, type ComponentType } from "react";
import { Segments } from "../parts/figures";
import { useParams } from "../parts/search";
import { Wait } from "../parts/state";

const TOOLS: Record<string, { title: string; view: ComponentType }> = {
  relabel: { title: "Relabelling", view: lazy(() => import("./Relabel")) },
  format: { title: "Format and tree", view: lazy(() => import("./Format")) },
  tests: { title: "Unit tests", view: lazy(() => import("./UnitTests")) },
  backtest: { title: "Try a rule", view: lazy(() => import("./Backtest")) },
  tokens: { title: "Tokens and pictures", view: lazy(() => import("./Tokens")) },
};

export default function ToolsPage() {
  const [{ tool }, set] = useParams("tool");
  const current = TOOLS[tool] ? tool : "relabel";
  const Tool = TOOLS[current]?.view as ComponentType;
  return (
    <>
      <div className="page-head"><h1>Tools</h1></div>
      <div className="toolbar">
        <Segments label="Tool" value={current} onChange={(tool) => set({ tool }, true)} options={Object.entries(TOOLS).map(([value, { title }]) => ({ value, label: title }))} />
      </div>
      <Suspense fallback={<Wait height={360} />}><Tool /></Suspense>
    </>
  );
}
