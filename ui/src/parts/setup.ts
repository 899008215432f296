// Lines that set up a Weir and its senders, as they are shown wherever something is missing.
import { prefix } from "../api/client";

const here = () => `${location.origin}${prefix}`;

/** What a Prometheus needs to send here. */
export const remoteWrite = (more = "") => `remote_write:\n  - url: ${here()}/api/v1/write${more}`;

/** How senders name their pair and themselves. */
export interface PairNaming {
  replicaLabel: string;
  clusterLabels: string[];
}

/** What makes two Prometheus servers a pair. */
export function pairLabels(naming: PairNaming | undefined, cluster = "eu1", replica = "a", remark = "b on the other one") {
  const lines = [[`${naming?.clusterLabels[0] ?? "cluster"}: ${cluster}`, "the same on both"], [`${naming?.replicaLabel ?? "__replica__"}: ${replica}`, remark]] as const;
  const width = Math.max(...lines.map(([line]) => line.length)) + 3;
  return `global:\n  external_labels:\n${lines.map(([line, why]) => `    ${line.padEnd(width)}# ${why}`).join("\n")}`;
}

export const RULE_FILES = 'rules:\n  files: [rules/*.yml]      # in weir.yml; or: weir serve --rules "rules/*.yml"';

export const NOTIFIER = "notifiers:                  # in weir.yml; or: weir serve --notifier URL\n  - http://alertmanager:9093";

export const reload = () => `curl -X POST ${here()}/-/reload`;
