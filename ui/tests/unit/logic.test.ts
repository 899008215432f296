// What the page works out by itself, without a server or a browser.
import type { Failure, Refusal, Sender } from "../../src/api/senders";
import { describe, expect, test } from "vitest";

describe("time", async () => {
  const { grid, niceStep, parseSpan, parseTime, showSpan } = await import("../../src/time/range");

  test("spans are read and shown", () => {
    const cases: [string, number | undefined, string][] = [["5m", 300, "5m"], ["1h30m", 5400, "1h30m"], ["90m", 5400, "1h30m"], ["1w", 604_800, "7d"], ["250ms", 0.25, "250ms"], ["1.5h", 5400, "1h30m"]];
    for (const [text, seconds, shown] of cases) {
      expect(parseSpan(text)).toBe(seconds);
      expect(showSpan(seconds ?? 0)).toBe(shown);
    }
    for (const text of ["", "5", "m", "5x", "-5m", "0s"]) expect(parseSpan(text)).toBeUndefined();
  });

  test("times are read as people write them", () => {
    expect(parseTime("now-1h", true, 7200)).toBe(3600);
    expect(parseTime("2026-11-22 14:00", true, 0)).toBe(Date.UTC(2026, 10, 22, 14) / 1000);
    expect(parseTime("2026-11-22T14:00:05Z", false, 0)).toBe(Date.UTC(2026, 10, 22, 14, 0, 5) / 1000);
    expect(parseTime("1795000000", true, 0)).toBe(1_795_000_000);
    expect(parseTime("1795000000123", true, 0)).toBe(1_795_000_000.123);
    expect(parseTime("tomorrow", true, 0)).toBeUndefined();
  });

  test("a grid ends on whole steps and has at most the points wanted", () => {
    for (const span of [60, 3600, 86_400, 30 * 86_400]) {
      const step = niceStep(span, 500);
      expect(span / step).toBeLessThanOrEqual(500);
      const { end } = grid({ span }, 1_795_000_007, step);
      expect(Math.abs(end / step - Math.round(end / step))).toBeLessThan(1e-6);
    }
  });
});

describe("the address", async () => {
  const { readState, writeState } = await import("../../src/query/state");

  test("what is written is read again", () => {
    const state = readState("g0.expr=up&g0.tab=heat&g1.expr=sum(up)&g1.display_mode=stacked&g1.log=1&range=6h&end=1795000000&step=30s&refresh=10s&columns=2&alerts=1");
    expect(readState(writeState(state))).toEqual(state);
  });

  test("links of Prometheus 2 and 3 mean the same here", () => {
    expect(readState("g0.expr=up&g0.tab=1").panels[0]).toMatchObject({ expr: "up", tab: "table" });
    expect(readState("g0.expr=up&g0.tab=0&g0.stacked=1&g0.range_input=2h&g0.end_input=2026-11-22%2014:00")).toMatchObject({ panels: [{ tab: "graph", mode: "stacked" }], view: { span: 7200, end: Date.UTC(2026, 10, 22, 14) / 1000 } });
  });
});

describe("errors at their place", async () => {
  const { fromError, fromNotes, offsetOf } = await import("../../src/query/lint");

  test("columns count bytes", () => {
    expect(offsetOf("up{a=\"é\"} x", 1, 11)).toBe(9);
    expect(offsetOf("sum(\n  up)", 2, 3)).toBe(7);
    expect(offsetOf("up", 1, 9)).toBe(2);
  });
  test("the word at fault is marked", () => {
    const text = "sum(rate(up[5m])) by by";
    expect(fromError(text, 'invalid parameter "query": 1:22: parse error: unexpected <by>')).toMatchObject({ from: 21, to: 23, message: "unexpected <by>" });
    expect(fromError(text, "query timed out")).toBeUndefined();
    expect(fromNotes("rate(up[5m])", ['PromQL info: metric might not be a counter: "up" (1:6)'], "info")).toMatchObject([{ from: 5, to: 7, severity: "info" }]);
  });
});

describe("answers", async () => {
  const { columns, stack, summary } = await import("../../src/query/matrix");
  const { distinguish, episodes } = await import("../../src/query/run");
  const { heat } = await import("../../src/query/heat");
  const range = { start: 0, end: 30, step: 10 };

  test("missing points are gaps, or zero where wanted", () => {
    const series = [{ metric: {}, values: [[0, "1"], [20, "NaN"], [30, "3"]] as [number, string][] }];
    expect(columns(series, range, "gap")).toEqual([[0, 10, 20, 30], [1, null, null, 3]]);
    expect(columns(series, range, "zero")[1]).toEqual([1, 0, null, 3]);
    expect(summary([1, null, 5])).toEqual({ min: 1, max: 5, mean: 3, last: 5 });
  });
  test("stacks leave out what is hidden or missing", () => {
    expect(stack([[0, 1], [1, 2], [9, 9], [10, null]], (index) => index === 1)).toEqual([[0, 1], [1, 2], [9, 9], [11, null]]);
  });
  test("labels that all share stand once", () => {
    expect(distinguish([{ __name__: "up", job: "a", dc: "x" }, { __name__: "up", job: "b", dc: "x" }])).toEqual({ common: { __name__: "up", dc: "x" }, names: ["job"] });
  });
  test("classic buckets lose what lies below, native ones are taken as they are", () => {
    const bucket = (le: string, value: string) => ({ metric: { le }, values: [[0, value]] as [number, string][] });
    const classic = heat([bucket("+Inf", "10"), bucket("1", "4"), bucket("5", "9")], { start: 0, end: 0, step: 10 });
    expect([...(classic?.cells ?? [])]).toEqual([4, 5, 1]);
    const native = heat([{ metric: {}, histograms: [[0, { count: "3", sum: "4", buckets: [[0, "1", "2", "1"], [0, "2", "4", "2"]] }]] }], { start: 0, end: 0, step: 10 });
    expect([native?.bounds, [...(native?.cells ?? [])]]).toEqual([[1, 2, 4], [1, 2]]);
    expect(heat([{ metric: {}, values: [[0, "1"]] }], range)).toBeUndefined();
  });
  test("an alert that pauses has two episodes", () => {
    expect(episodes([{ metric: { alertname: "A" }, values: [[0, "1"], [10, "1"], [50, "1"]] }], 10).map(({ start, end }) => [start, end])).toEqual([[0, 10], [50, 50]]);
  });
});

describe("what leaves the page", async () => {
  const { csv, curl, grafanaPanel } = await import("../../src/query/export");
  const { selector } = await import("../../src/parts/labels");

  test("a selector means exactly its labels", () => {
    expect(selector({ __name__: "up", job: 'a"b\\c' })).toBe('up{job="a\\"b\\\\c"}');
    expect(selector({ __name__: "with.dots", "näme": "x" })).toBe('{"with.dots", "näme"="x"}');
  });
  test("cells can neither break out nor become formulas", () => {
    const text = csv({ status: "success", data: { resultType: "vector", result: [{ metric: { a: '=1+1,"x"', b: "-5" }, value: [0, "+Inf"] }] } });
    expect(text).toBe('time,a,b,value\r\n1970-01-01T00:00:00.000Z,"\'=1+1,""x""",-5,+Inf\r\n');
  });
  test("curl quotes for the shell and stays below the prefix", () => {
    const text = curl("up{a='b'}", { start: 0, end: 10, step: 5 }, false);
    expect(text).toContain("'http://weir/a/prefix/api/v1/query_range'");
    expect(text).toContain(`'query=up{a='\\''b'\\''}'`);
  });
  test("a Grafana panel asks the same", () => {
    expect(JSON.parse(grafanaPanel("up", "graph", true))).toMatchObject({ type: "timeseries", targets: [{ expr: "up" }], fieldConfig: { defaults: { custom: { stacking: { mode: "normal" } } } } });
  });
});

describe("signatures", async () => {
  const { EditorState } = await import("@codemirror/state");
  const { LRLanguage } = await import("@codemirror/language");
  const { parser } = await import("@prometheus-io/lezer-promql");
  const { callAt } = await import("../../src/query/signature");

  // The caret stands at the bar.
  const at = (marked: string) => {
    const state = EditorState.create({ doc: marked.replace("|", ""), extensions: [LRLanguage.define({ parser })] });
    const found = callAt(state, marked.indexOf("|"));
    return found && `${found.signature.name}(${found.signature.parameters.map((text, index) => (index === Math.min(found.argument, found.signature.parameters.length - 1) ? `*${text}*` : text)).join(", ")}) ${found.signature.gives}`;
  };
  test("the innermost call around the caret, and its argument", () => {
    expect(at("rate(|)")).toBe("rate(*range*) vector");
    expect(at("histogram_quantile(0.9|, sum by (le) (rate(x[5m])))")).toBe("histogram_quantile(*φ 0–1*, histograms or buckets) vector");
    expect(at("histogram_quantile(0.9, sum by (le) (rate(x[5m]))|)")).toBe("histogram_quantile(φ 0–1, *histograms or buckets*) vector");
    expect(at("histogram_quantile(0.9, sum by (le) (ra|te(x[5m])))")).toBe("sum(*vector*) vector");
    expect(at('topk(3|, up{job="a,b"})')).toBe("topk(*k*, vector) vector");
    expect(at('label_join(up, "a", ",", "b", "c"|)')).toBe("label_join(vector, new label, separator, *[source label …]*) vector");
    expect(at("round(up|)")).toBe("round(*vector*, [to multiples of]) vector");
    expect(at("scalar(up) + |time()")).toBeUndefined();
    expect(at("rate(x[5m])|")).toBeUndefined();
  });
});

describe("alerts", async () => {
  const { byAlert } = await import("../../src/alerts/Timeline");
  test("pending and firing stand in one line an alert", () => {
    const series = (job: string, alertstate: string, ...at: number[]) => ({ metric: { __name__: "ALERTS", alertname: "Down", job, alertstate }, values: at.map((second): [number, string] => [second, "1"]) });
    const found = byAlert([series("a", "pending", 60, 120), series("a", "firing", 180, 600, 660), series("b", "pending", 60)], () => "");
    expect(found.map(({ labels, stretches }) => [labels["job"], stretches.map(({ from, to, fired }) => [from, to, fired])])).toEqual([
      ["a", [[0, 120, false], [120, 180, true], [540, 660, true]]],
      ["b", [[0, 60, false]]],
    ]);
  });
});

describe("pages", async () => {
  const { feeding } = await import("../../src/ha/PairsPage");
  const { parseMetrics } = await import("../../src/api/metrics");
  const { losses } = await import("../../src/senders/losses");
  const { changes } = await import("../../src/tools/Relabel");
  const { distance } = await import("../../src/app/Palette");
  const { forecast, growth } = await import("../../src/status/StoragePage");

  test("each stretch of the hour goes to who fed most of it", () => {
    const explained = { start: 0, end: 40, truncated: false, series: [{ labels: {}, cluster: "", policy: "", counter: false, lanes: [], fedBy: [{ from: 0, to: 15, replica: "a", rows: 3 }, { from: 15, to: 20, replica: "b", rows: 1 }, { from: 32, to: 40, replica: "b", rows: 2 }] }] };
    expect(feeding(explained, 4).map(({ replica }) => replica)).toEqual(["a", "a", undefined, "b"]);
  });
  test("metrics are read with their labels", () => {
    const samples = parseMetrics('# HELP x\nweir_ingest_requests_total{outcome="written"} 5\nweir_ingest_requests_total{outcome="too \\"old\\""} 2\n');
    expect(samples.get("weir_ingest_requests_total")?.map(({ labels, value }) => [labels["outcome"], value])).toEqual([["written", 5], ['too "old"', 2]]);
  });
  test("what senders lost is summed by reason, with the latest offenders and who sent them", () => {
    const sender = (replica: string, refused: Refusal[], failed: Failure[] = []): Sender => ({ address: "10.0.0.1", userAgent: "Prometheus/3", path: "/api/v1/write", protocol: "remote write 1.0", cluster: "eu1", replica, firstAt: 0, lastAt: 9, silent: false, took: 0, requests: 9, samples: 9, histograms: 0, refused, failed, lastError: "" });
    const old = (samples: number, lastAt: number, series: string) => ({ reason: "too_old", samples, lastAt, first: [{ series, at: 1, why: "older" }] });
    const found = losses([
      sender("a", [old(2, 8, "late"), { reason: "relabeled", samples: 50, lastAt: 9, first: [] }]),
      sender("b", [old(1, 5, "early")], [{ reason: "unavailable", requests: 3, lastAt: 4, error: "disk full" }]),
    ]);
    expect(found.map(({ reason, what, number, from }) => [reason, what, number, from.join()])).toEqual([["too_old", "samples", 3, "eu1/a,eu1/b"], ["unavailable", "requests", 3, "eu1/b"], ["relabeled", "samples", 50, "eu1/a"]]);
    expect(found[0]?.first.map(({ series }) => series)).toEqual(["late"]);
  });
  test("a relabelling shows what came and went", () => {
    expect(changes({ a: "1", b: "2" }, { b: "3", c: "4" }).map(({ name, value, kind }) => `${kind} ${name}=${value}`)).toEqual(["gone a=1", "gone b=2", "added b=3", "added c=4"]);
  });
  test("the palette prefers beginnings of words", () => {
    const order = ["process_cpu", "up", "startup_seconds"].sort((left, right) => (distance("up", left) ?? 99) - (distance("up", right) ?? 99));
    expect(order[0]).toBe("up");
    expect(distance("zz", "up")).toBeUndefined();
  });
  test("a disk that holds the retention lasts for good, another until it is full", () => {
    expect(forecast(10, 50, 1000, 90 * 86_400)).toEqual({ full: 900 });
    expect(forecast(10, 50, 800, 90 * 86_400)).toEqual({ lasts: 80 * 86_400 });
    expect(forecast(10, 50, 800, undefined)).toEqual({ lasts: 80 * 86_400 });
  });
  test("growth counts whole days only", () => {
    const day = (bytes: number) => ({ parts: 1, samples: 1, bytes });
    expect(growth([["2026-11-20", day(10)], ["2026-11-21", day(30)], ["2026-11-22", day(5)]])).toBe(20);
    expect(growth([["2026-11-22", day(5)]])).toBeUndefined();
  });
});
