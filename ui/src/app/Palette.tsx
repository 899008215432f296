// Ctrl-K: pages, actions, metrics and alerts under one key.
import { useMantineColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useRef, useState } from "react";
import { useLocation } from "wouter";
import { data } from "../api/client";
import type { RuleGroup } from "../api/types";
import { selector } from "../parts/labels";
import { setZone, useZone } from "../time/zone";
import { pages } from "./pages";

interface Entry {
  text: string;
  kind: string;
  words: string;
  act: () => void;
}

const SHOWN = 40;

/** All letters of `wanted` in order; lower is better, `undefined` is no match. */
export function distance(wanted: string, text: string): number | undefined {
  const [low, needle] = [text.toLowerCase(), wanted.toLowerCase().trim()];
  if (!needle) return 0;
  const at = low.indexOf(needle);
  if (at >= 0) return at === 0 || /[^a-z0-9]/.test(low[at - 1] ?? "") ? at * 0.01 : 1 + at * 0.01;
  let [from, gaps] = [0, 0];
  for (const letter of needle.replaceAll(" ", "")) {
    const next = low.indexOf(letter, from);
    if (next < 0) return undefined;
    gaps += next - from;
    from = next + 1;
  }
  return 10 + gaps;
}

export function Palette({ onClose }: { onClose: () => void }) {
  const [wanted, setWanted] = useState("");
  const [at, setAt] = useState(0);
  const [, go] = useLocation();
  const zone = useZone();
  const { setColorScheme } = useMantineColorScheme();
  const list = useRef<HTMLUListElement>(null);
  const before = useRef<Element | null>(null);

  useEffect(() => {
    before.current = document.activeElement;
    return () => (before.current as HTMLElement | null)?.focus?.();
  }, []);

  const metrics = useQuery({
    queryKey: ["metric-names"],
    queryFn: ({ signal }) => data<string[]>("/api/v1/label/__name__/values", { start: Date.now() / 1000 - 86_400, limit: 50_000 }, { signal }),
    staleTime: 60_000,
  });
  const groups = useQuery({
    queryKey: ["rules"],
    queryFn: ({ signal }) => data<{ groups: RuleGroup[] }>("/api/v1/rules", {}, { signal }),
    staleTime: 30_000,
  });

  const entries = useMemo(() => {
    const all: Entry[] = pages.map((page) => ({ text: page.title, kind: "page", words: page.words, act: () => go(`/${page.path}`) }));
    const action = (text: string, words: string, act: () => void) => all.push({ text, kind: "action", words, act });
    action("Dark colours", "theme night", () => setColorScheme("dark"));
    action("Light colours", "theme day", () => setColorScheme("light"));
    action("Colours as the system has them", "theme auto", () => setColorScheme("auto"));
    action(zone === "utc" ? "Show times in my zone" : "Show times in UTC", "zone clock local utc", () => setZone(zone === "utc" ? "local" : "utc"));
    action("Debug relabelling", "relabel tool", () => go("/tools?tool=relabel"));
    action("Format an expression", "promql formatter tree tool", () => go("/tools?tool=format"));
    action("Run unit tests of rules", "promtool vmalert-tool test tool", () => go("/tools?tool=tests"));
    action("Try a rule on past days", "backtest alert replay tool", () => go("/tools?tool=backtest"));
    action("Make a token", "tokens customer picture graph svg tool", () => go("/tools?tool=tokens"));
    for (const group of groups.data?.groups ?? []) {
      for (const rule of group.rules) {
        const page = rule.type === "alerting" ? "alerts" : "rules";
        all.push({ text: rule.name, kind: rule.type === "alerting" ? "alert" : "recording rule", words: group.name, act: () => go(`/${page}?search=${encodeURIComponent(rule.name)}`) });
      }
    }
    for (const name of metrics.data ?? []) {
      all.push({ text: name, kind: "metric", words: "", act: () => go(`/query?g0.expr=${encodeURIComponent(selector({ __name__: name }))}&g0.tab=graph`) });
    }
    return all;
  }, [go, groups.data, metrics.data, setColorScheme, zone]);

  const found = useMemo(() => {
    const scored: { entry: Entry; score: number }[] = [];
    for (const entry of entries) {
      const own = distance(wanted, entry.text);
      const words = own === undefined && entry.words ? distance(wanted, entry.words) : undefined;
      const score = own ?? (words === undefined || words >= 10 ? undefined : words + 5);
      if (score !== undefined) scored.push({ entry, score: score + (entry.kind === "metric" ? 0.5 : 0) });
    }
    return scored.sort((left, right) => left.score - right.score).slice(0, SHOWN).map(({ entry }) => entry);
  }, [entries, wanted]);

  const choose = (index: number) => {
    const entry = found[index];
    if (!entry) return;
    onClose();
    entry.act();
  };
  const move = (by: number) => {
    const next = Math.max(0, Math.min(found.length - 1, at + by));
    setAt(next);
    list.current?.children[next]?.scrollIntoView({ block: "nearest" });
  };

  return (
    <div className="veil-top" onMouseDown={(event) => event.target === event.currentTarget && onClose()}>
      <div className="palette" role="dialog" aria-modal="true" aria-label="Find anything">
        <input
          autoFocus
          value={wanted}
          placeholder="Find a page, a metric, an alert, a setting"
          aria-label="Find"
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-list"
          aria-activedescendant={found.length > 0 ? `palette-${at}` : undefined}
          onChange={(event) => {
            setWanted(event.target.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") move(1);
            else if (event.key === "ArrowUp") move(-1);
            else if (event.key === "Enter") choose(at);
            else if (event.key === "Escape") onClose();
            else if (event.key !== "Tab") return;
            event.preventDefault();
          }}
        />
        {found.length === 0 ? (
          <p className="none">Nothing is called that. Metrics are looked for over the last day.</p>
        ) : (
          <ul id="palette-list" role="listbox" aria-label="Found" ref={list}>
            {found.map((entry, index) => (
              <li key={`${entry.kind} ${entry.text} ${entry.words}`} id={`palette-${index}`} role="option" aria-selected={index === at} onMouseMove={() => setAt(index)} onClick={() => choose(index)}>
                <span className={`clip${entry.kind === "metric" ? " mono" : ""}`}>{entry.text}</span>
                <span className="kind">{entry.kind}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
    </div>
  );
}
