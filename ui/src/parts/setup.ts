// Lines that set up a Weir and its senders, as they are shown wherever something is missing.
import { prefix } from "../api/client";

const here = () => `${location.origin}${prefix}`;

/** What a Prometheus needs to send here. */
export const remoteWrite = (more = "") => `remote_write:\n  - url: ${here()}/api/v1/write${more}`;

/** What makes two Prometheus servers a pair. */
export const pairLabels = (cluster = "eu1", replica = "a", remark = "b on the other one") =>
  `global:\n  external_labels:\n    cluster: ${cluster.padEnd(12)}# the same on both\n    __replica__: ${replica.padEnd(8)}# ${remark}`;

export const RULE_FILES = 'rules:\n  files: [rules/*.yml]      # in weir.yml; or: weir serve --rules "rules/*.yml"';

export const NOTIFIER = "notifiers:                  # in weir.yml; or: weir serve --notifier URL\n  - http://alertmanager:9093";

export const reload = () => `curl -X POST ${here()}/-/reload`;
