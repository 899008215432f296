// A pair as `/api/v1/status/ha` and `/api/v1/ha/explain` describe it: states that a real one takes hours to get into.

export function pairs(now) {
  const lane = (replica, more) => ({ replica, rank: 1, state: "live", newestSample: now - 1, lastArrival: now - 0.4, lag: 0.6, clockSkew: null, received: 481_220, covered: 240, kept: 480_980, conflicts: 0, ...more });
  const none = { seen: 12, oneReplicaOnly: [], oneReplicaOnlyCount: 0 };
  return {
    replicaLabel: "__replica__", clusterLabels: ["cluster", "prometheus"],
    groups: [
      {
        cluster: "eu1", label: "cluster", series: 12_345, order: ["a", "b"], preference: [{ from: now - 86_400, order: ["a", "b"], by: "operator" }], leading: "b",
        lastSwitch: { at: now - 1500, from: "a", to: "b", why: "a sent nothing" }, fillRatio: 0.4166, gapsFilled: 37,
        lanes: [lane("a", { state: "silent", newestSample: now - 1500, lastArrival: now - 1499 }), lane("b", { rank: 2, clockSkew: 12.4, received: 480_100, covered: 270_400, kept: 209_700, conflicts: 3 })],
        targets: { seen: 41, oneReplicaOnly: [{ labels: { job: "node", instance: "<b>h1</b>:9100" }, replica: "b" }], oneReplicaOnlyCount: 1 },
        warnings: [{ kind: "silent", replica: "a", text: "replica \"a\" of cluster=\"eu1\" has sent nothing for 25m" }],
      },
      {
        cluster: "us1", label: "cluster", series: 8_020, order: ["a", "b"], preference: [], leading: "a", lastSwitch: null, fillRatio: 0.0002, gapsFilled: 1,
        lanes: [lane("a", {}), lane("b", { rank: 2, lag: 2.1, clockSkew: 0.4, covered: 479_000, kept: 1_200 })], targets: none, warnings: [],
      },
    ],
  };
}

/** The last minutes of one series: `a` until it fell silent, `b` after. */
export function explained(start, end) {
  const silent = start + (end - start) * 0.58;
  const rows = { a: [], b: [] };
  for (let at = Math.ceil(start / 15) * 15; at <= end; at += 15) {
    if (at < silent) rows.a.push({ at: at + 0.12, value: "1", kind: "float", kept: true, verdict: "preferred", interval: 15, why: "a solid row of the preferred replica" });
    const fills = at >= silent + 30;
    rows.b.push({ at: at + 6.4, value: "1", kind: "float", kept: fills, verdict: fills ? "fills" : "covered", interval: 15, why: fills ? "the preferred replica sent nothing for two intervals" : "the preferred replica has a row within half an interval" });
  }
  return {
    start, end, truncated: false,
    series: [{
      labels: { __name__: "up", cluster: "eu1", job: "node", instance: "h1:9100" }, cluster: "eu1", policy: "prefer", counter: false,
      lanes: [{ replica: "a", rank: 1, rows: rows.a }, { replica: "b", rank: 2, rows: rows.b }],
      fedBy: [{ from: rows.a[0].at, to: rows.a.at(-1).at, replica: "a", rows: rows.a.length }, { from: silent + 36, to: end - 1, replica: "b", rows: rows.b.filter((row) => row.kept).length }],
    }],
  };
}

export async function route(page) {
  const answer = (data) => ({ contentType: "application/json", body: JSON.stringify({ status: "success", data }) });
  await page.route("**/api/v1/status/ha*", (route) => route.fulfill(answer(pairs(Date.now() / 1000))));
  await page.route("**/api/v1/ha/explain*", (route) => {
    const { searchParams } = new URL(route.request().url());
    return route.fulfill(answer(explained(Number(searchParams.get("start")), Number(searchParams.get("end")))));
  });
}
