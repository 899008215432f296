// The shapes of the API's answers.

export type Labels = Record<string, string>;
/** Seconds, and the value as text. */
export type Point = [number, string];
export type Bucket = [rule: number, low: string, high: string, count: string];
export interface Histogram {
  count: string;
  sum: string;
  buckets?: Bucket[];
}
export interface Series {
  metric: Labels;
  value?: Point;
  values?: Point[];
  histogram?: [number, Histogram];
  histograms?: [number, Histogram][];
}

export interface Trace {
  duration_msec: number;
  message: string;
  operator: string;
  query: string;
  series: number;
  points: number;
  samplesRead: number;
  bytesRead: number;
  sharedBy?: number;
  children?: Trace[];
}

export interface QueryStats {
  timings: { evalTotalTime: number; execQueueTime: number; execTotalTime: number };
  samples: { totalQueryableSamples: number; peakSamples: number };
}

export type QueryResult =
  | { resultType: "scalar" | "string"; result: Point; stats?: QueryStats }
  | { resultType: "vector" | "matrix"; result: Series[]; stats?: QueryStats };

export interface QueryAnswer {
  status: "success";
  data: QueryResult;
  warnings?: string[];
  infos?: string[];
  trace?: Trace;
}

export interface ExemplarSeries {
  seriesLabels: Labels;
  exemplars: { labels: Labels; value: string; timestamp: number }[];
}

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: "pending" | "firing" | "inactive";
  activeAt: string;
  keepFiringSince?: string;
  value: string;
}
export interface Rule {
  type: "alerting" | "recording";
  name: string;
  query: string;
  labels?: Labels;
  health: "ok" | "err" | "unknown";
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
  state?: "inactive" | "pending" | "firing";
  duration?: number;
  keepFiringFor?: number;
  annotations?: Labels;
  alerts?: Alert[];
  id?: string;
}
export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  evaluationTime: number;
  lastEvaluation: string;
  rules: Rule[];
}

export interface Counted {
  name: string;
  value: number;
}
export interface Cardinality {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  totalSeries: number;
  totalLabelValuePairs: number;
  seriesCountByMetricName: Counted[];
  labelValueCountByLabelName: Counted[];
  memoryInBytesByLabelName: Counted[];
  seriesCountByLabelValuePair: Counted[];
  seriesCountByLabelName: Counted[];
  seriesCountByFocusLabelValue: Counted[];
}

export interface Parts {
  parts: number;
  samples: number;
  bytes: number;
}
export interface Storage {
  readOnly: boolean;
  why: string;
  freeBytes: number;
  series: number;
  head: { samples: number; bytes: number };
  log: { segments: number; bytes: number };
  parts: Parts;
  levels: Record<string, Parts>;
  days: Record<string, Parts>;
  refusedSeries: Counted[];
  damages: string[];
}

export interface ActiveQuery {
  duration: string;
  id: string;
  state: "running" | "waiting";
  remote_addr: string;
  user_agent?: string;
  dashboard?: string;
  panel?: string;
  rule_file?: string;
  rule_group?: string;
  rule?: string;
  query: string;
  start: number;
  end: number;
  step: number;
}
export interface TopQuery {
  query: string;
  timeRangeSeconds: number;
  count: number;
  avgDurationSeconds?: number;
  sumDurationSeconds?: number;
  avgMemoryBytes?: number;
  lastAsker: string;
}
export interface TopQueries {
  maxLifetime: string;
  "search.queryStats.lastQueriesCount": number;
  topByCount: TopQuery[];
  topByAvgDuration: TopQuery[];
  topBySumDuration: TopQuery[];
  topByAvgMemoryUsage: TopQuery[];
}
