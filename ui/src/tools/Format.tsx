// An expression laid out, and as the tree that the server sees.
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "wouter";
import { data } from "../api/client";
import { queryLink, useParams } from "../parts/search";
import { Empty, Problem, Snippet } from "../parts/state";
import { showSpan } from "../time/range";

interface Node {
  type: string;
  [part: string]: unknown;
}
const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value;

function describe(node: Node): [string, string] {
  const list = (value: unknown) => (Array.isArray(value) ? value.join(", ") : "");
  switch (node.type) {
    case "aggregation": return ["aggregation", `${node["op"]}${list(node["grouping"]) || node["without"] ? ` ${node["without"] ? "without" : "by"} (${list(node["grouping"])})` : ""}`];
    case "call": return ["function", String((node["func"] as { name?: string } | null)?.name ?? "")];
    case "binaryExpr": {
      const matching = node["matching"] as { on?: boolean; labels?: string[]; card?: string } | null;
      const how = matching && ((matching.labels?.length ?? 0) > 0 || matching.on) ? ` ${matching.on ? "on" : "ignoring"} (${list(matching.labels)}) ${matching.card}` : "";
      return ["operator", `${node["op"]}${node["bool"] ? " bool" : ""}${how}`];
    }
    case "vectorSelector":
    case "matrixSelector": {
      const matchers = (node["matchers"] as { name: string; type: string; value: string }[]) ?? [];
      const inside = matchers.filter(({ name }) => name !== "__name__" || !node["name"]).map(({ name, type, value }) => `${name}${type}${JSON.stringify(value)}`);
      const range = node.type === "matrixSelector" ? `[${showSpan(Number(node["range"]) / 1000)}]` : "";
      const offset = Number(node["offset"]) ? ` offset ${showSpan(Number(node["offset"]) / 1000)}` : "";
      return [node.type === "matrixSelector" ? "range" : "selector", `${node["name"] ?? ""}${inside.length > 0 ? `{${inside.join(", ")}}` : ""}${range}${offset}`];
    }
    case "subquery": return ["subquery", `[${showSpan(Number(node["range"]) / 1000)}:${Number(node["step"]) ? showSpan(Number(node["step"]) / 1000) : ""}]`];
    case "numberLiteral": return ["number", String(node["val"])];
    case "stringLiteral": return ["text", JSON.stringify(node["val"])];
    case "unaryExpr": return ["sign", String(node["op"])];
    case "parenExpr": return ["brackets", "( )"];
    default: return [node.type, ""];
  }
}

function Tree({ node }: { node: Node }) {
  const [kind, text] = describe(node);
  const parts = [node["param"], node["lhs"], node["rhs"], node["expr"], ...(Array.isArray(node["args"]) ? node["args"] : [])].filter(isNode);
  return (
    <li>
      <span className="kind">{kind}</span>
      <code className="wrapped">{text}</code>
      {parts.length > 0 && <ul>{parts.map((part, index) => (
        // biome-ignore lint: the parts of an expression in their order
        <Tree key={index} node={part} />
      ))}</ul>}
    </li>
  );
}

export default function Format() {
  const [{ expr }] = useParams("expr");
  const [text, setText] = useState(expr || 'sum by (path) (rate(http_requests_total{code=~"5.."}[5m])) / sum by (path) (rate(http_requests_total[5m])) > 0.01');
  const run = useMutation({
    mutationFn: async () => {
      const pretty = await data<string>("/api/v1/format_query", { query: text }, { method: "POST" });
      return { pretty, tree: await data<Node>("/api/v1/parse_query", { query: text }, { method: "POST" }) };
    },
  });
  return (
    <div className="bench">
      <form className="card form" onSubmit={(event) => { event.preventDefault(); run.mutate(); }}>
        <label>Expression<textarea className="field" rows={9} value={text} onChange={(event) => setText(event.target.value)} spellCheck={false} /></label>
        <div className="row"><button type="submit" className="btn primary" disabled={run.isPending}>Format</button><Link className="btn" href={queryLink(text, "explain")}>Explain with data</Link></div>
      </form>
      <section className="card" aria-label="Laid out" aria-live="polite">
        <header><h2>Laid out, and its tree</h2></header>
        {run.error ? <div className="body"><Problem error={run.error} what="The expression does not parse." /></div> : run.data ? (
          <>
            <div className="body"><Snippet text={run.data.pretty} /></div>
            <div className="syntax"><ul style={{ borderLeft: 0, marginLeft: 0, paddingLeft: 0 }}><Tree node={run.data.tree} /></ul></div>
          </>
        ) : <Empty title="How does it read?"><p>Write an expression and press Format.</p></Empty>}
      </section>
    </div>
  );
}
