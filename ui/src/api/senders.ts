// Who writes here, as `/api/v1/status/senders` tells it. Times and durations are seconds, counts since the start.
import { useQuery } from "@tanstack/react-query";
import { data } from "./client";

export interface Refusal {
  reason: string;
  samples: number;
  lastAt: number;
  first: { series: string; at: number | null; why: string }[];
}
export interface Failure {
  reason: string;
  requests: number;
  lastAt: number;
  error: string;
}
export interface Sender {
  address: string;
  userAgent: string;
  path: string;
  protocol: string;
  /** The pair and the replica of its series; empty where they name none. */
  cluster: string;
  replica: string;
  firstAt: number;
  lastAt: number;
  silent: boolean;
  took: number;
  requests: number;
  samples: number;
  histograms: number;
  refused: Refusal[];
  failed: Failure[];
  lastError: string;
}

/** A sender with its name among the others, and its rate. */
export interface RatedSender extends Sender {
  key: string;
  /** Samples a second since the look before; `undefined` at the first one. */
  rate: number | undefined;
}

let before: { at: number; samples: Map<string, number> } | undefined;

/** Rates against the look before. */
function rated(senders: Sender[], at: number): RatedSender[] {
  const samples = new Map(senders.map((sender) => [[sender.cluster, sender.replica, sender.address, sender.userAgent, sender.path].join("\n"), sender.samples + sender.histograms]));
  const earlier = before;
  before = { at, samples };
  return [...samples].map(([key, now], index) => {
    const then = earlier?.samples.get(key);
    // A sender that was forgotten and came back counts from the beginning.
    return { ...(senders[index] as Sender), key, rate: earlier === undefined || then === undefined || then > now ? undefined : (now - then) / Math.max(0.001, at - earlier.at) };
  });
}

export function useSenders() {
  return useQuery({
    queryKey: ["senders"],
    queryFn: async ({ signal }) => {
      const { senders } = await data<{ senders: Sender[] }>("/api/v1/status/senders", {}, { signal });
      return rated(senders, Date.now() / 1000);
    },
    // A rate needs two looks: the second comes soon.
    refetchInterval: (query) => (query.state.data?.some((sender) => sender.rate === undefined) && query.state.dataUpdateCount < 3 ? 1_000 : 5_000),
  });
}
