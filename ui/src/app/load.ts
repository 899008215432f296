// The file that each page is in. What has been fetched is drawn at once, without a moment of nothing in between.
import type { ComponentType } from "react";

const FILES: Record<string, () => Promise<{ default: ComponentType }>> = {
  query: () => import("../query/QueryPage"),
  alerts: () => import("../alerts/AlertsPage"),
  rules: () => import("../alerts/RulesPage"),
  pairs: () => import("../ha/PairsPage"),
  senders: () => import("../senders/SendersPage"),
  cardinality: () => import("../cardinality/CardinalityPage"),
  queries: () => import("../queries/QueriesPage"),
  storage: () => import("../status/StoragePage"),
  status: () => import("../status/StatusPage"),
  tools: () => import("../tools/ToolsPage"),
};

const there = new Map<string, ComponentType>();

/** A page whose file is here. */
export const loaded = (path: string) => there.get(path);

/** Fetches the file of a page; nothing for a name that is none. */
export async function load(path: string): Promise<void> {
  const view = await FILES[path]?.();
  if (view) there.set(path, view.default);
}

/** Fetches the files of all pages, once nothing else is to do. */
export function loadTheOthers() {
  const idle = window.requestIdleCallback ?? ((act: () => void) => setTimeout(act, 500));
  const next = ([path, ...rest]: string[]) => {
    if (path !== undefined) idle(() => void load(path).then(() => next(rest), () => undefined));
  };
  next(Object.keys(FILES).filter((path) => !there.has(path)));
}
