// Small helps: what a relabelling does, how an expression reads, when a rule would have fired, tokens for graphs.
import "./tools.css";
import type { ComponentType } from "react";
import { Segments } from "../parts/figures";
import { useParams } from "../parts/search";
import Backtest from "./Backtest";
import Format from "./Format";
import Relabel from "./Relabel";
import Tokens from "./Tokens";
import UnitTests from "./UnitTests";

const TOOLS: Record<string, { title: string; view: ComponentType }> = {
  relabel: { title: "Relabelling", view: Relabel },
  format: { title: "Format and tree", view: Format },
  tests: { title: "Unit tests", view: UnitTests },
  backtest: { title: "Try a rule", view: Backtest },
  tokens: { title: "Tokens and pictures", view: Tokens },
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
      <Tool />
    </>
  );
}
