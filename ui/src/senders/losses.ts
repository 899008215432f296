// What senders lost, by reason: counts of all of them together, and whom to look at.
import type { Refusal, Sender } from "../api/senders";

export interface Loss {
  reason: string;
  what: "samples" | "requests";
  number: number;
  lastAt: number;
  /** Who lost it, the latest first. */
  from: string[];
  first: Refusal["first"];
  /** Whether somebody wanted it so. */
  purpose: boolean;
}

const NAMED_MAX = 4;

export const dropped = (sender: Sender) => sender.refused.reduce((sum, one) => sum + one.samples, 0);

const nameOf = ({ cluster, replica, userAgent, address }: Sender) => (replica ? `${cluster ? `${cluster}/` : ""}${replica}` : `${userAgent || "a program"} at ${address || "this machine"}`);

export function losses(senders: Sender[]): Loss[] {
  const all = new Map<string, Loss>();
  const add = (sender: Sender, what: Loss["what"], reason: string, number: number, lastAt: number, first: Refusal["first"]) => {
    const loss = all.get(`${what} ${reason}`) ?? { reason, what, number: 0, lastAt: 0, from: [], first: [], purpose: reason === "relabeled" };
    all.set(`${what} ${reason}`, loss);
    loss.number += number;
    const newest = lastAt >= loss.lastAt;
    loss.from = newest ? [nameOf(sender), ...loss.from] : [...loss.from, nameOf(sender)];
    if (newest) {
      loss.lastAt = lastAt;
      if (first.length > 0) loss.first = first;
    }
  };
  for (const sender of senders) {
    for (const one of sender.refused) add(sender, "samples", one.reason, one.samples, one.lastAt, one.first);
    for (const one of sender.failed) add(sender, "requests", one.reason, one.requests, one.lastAt, [{ series: one.error, at: null, why: "" }]);
  }
  return [...all.values()]
    .map((loss) => ({ ...loss, from: loss.from.length > NAMED_MAX ? [...loss.from.slice(0, NAMED_MAX), `${loss.from.length - NAMED_MAX} more`] : loss.from }))
    .sort((left, right) => Number(left.purpose) - Number(right.purpose) || right.lastAt - left.lastAt);
}

const ADVICE: Record<string, string> = {
  too_old: "Older than the retention. Look at the sender's clock; for an import of old data raise retention first.",
  too_far_in_future: "The sender's clock runs ahead: set it right. The bound is write.ahead_max.",
  too_many_series: "More active series than storage.series_max: find what makes them on the cardinality page, or raise it.",
  too_many_series_of_metric: "A label explodes: find it on the cardinality page, or raise storage.series_per_metric_max.",
  too_many_new_series: "More new series at once than storage.new_series_per_second_max lets in; Prometheus does not send them again.",
  no_metric_name: "A series without a name: look at the relabelling of the sender.",
  duplicate_label_name: "Two labels of one name: look at external_labels and at the relabelling of the sender.",
  too_many_labels: "The bound is write.labels_max.",
  label_name_too_long: "The bound is write.label_name_max.",
  label_value_too_long: "The bound is write.label_value_max. Often an error text or an URL became a label.",
  relabeled: "Dropped on purpose, by write.relabel_configs of this Weir.",
  unavailable: "Senders keep these and send them again by themselves. Look at the storage page if it goes on.",
  bad_data: "The body could not be read: does the path belong to the protocol?",
  too_large: "The bounds are write.body_max and write.decoded_max; lower max_samples_per_send at the sender.",
  unsupported: "The sender speaks a protocol or a compression that is not read under this path.",
  too_slow: "The body came too slowly: look at the network between.",
};

export const advice = (reason: string) => ADVICE[reason] ?? "The same text is in the answer to the sender, which Prometheus writes to its log.";
