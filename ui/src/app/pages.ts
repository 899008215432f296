// Every page once: its path, its name and where it stands.
import {
  IconActivity, IconBell, IconChartDots, IconChecklist, IconDatabase, IconGitMerge, IconHeartbeat, IconListSearch, IconPlugConnected,
  IconTool,
} from "@tabler/icons-react";
import type { ComponentType } from "react";

export interface Page {
  path: string;
  title: string;
  group: string;
  /** Words that find it. */
  words: string;
  icon: ComponentType<{ size?: number | string; stroke?: number | string }>;
  key: string;
}

export const pages: Page[] = [
  { path: "query", title: "Query", group: "Ask", words: "graph promql expression explore", icon: IconChartDots, key: "q" },
  { path: "alerts", title: "Alerts", group: "Watch", words: "firing pending notifications alertmanager", icon: IconBell, key: "a" },
  { path: "rules", title: "Rules", group: "Watch", words: "recording alerting groups evaluation", icon: IconChecklist, key: "r" },
  { path: "pairs", title: "HA pairs", group: "Data", words: "replicas dedup lanes gaps high availability", icon: IconGitMerge, key: "h" },
  { path: "senders", title: "Senders", group: "Data", words: "remote write ingestion errors lag prometheus", icon: IconPlugConnected, key: "i" },
  { path: "cardinality", title: "Cardinality", group: "Data", words: "series labels tsdb status churn", icon: IconListSearch, key: "c" },
  { path: "queries", title: "Queries", group: "Machine", words: "active running slow top heavy cancel", icon: IconActivity, key: "w" },
  { path: "storage", title: "Storage", group: "Machine", words: "parts days disk retention compaction bytes", icon: IconDatabase, key: "s" },
  { path: "status", title: "Status", group: "Machine", words: "config flags build self-check runtime reload", icon: IconHeartbeat, key: "t" },
  { path: "tools", title: "Tools", group: "Machine", words: "relabel debugger formatter unit tests token graph svg", icon: IconTool, key: "o" },
];
