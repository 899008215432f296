// The npm clients: prometheus-remote-write writes, prometheus-query reads.
import { createRequire } from "node:module";
import assert from "node:assert";

const [, , url, folder] = process.argv;
const require = createRequire(`${folder}/package.json`);
const { pushTimeseries } = require("prometheus-remote-write");
const { PrometheusDriver } = require("prometheus-query");

const now = Date.now();
const series = { labels: { __name__: "npm_written", client: "npm" }, samples: [{ value: 42, timestamp: now }] };
const written = await pushTimeseries(series, { url: `${url}/api/v1/write`, fetch });
assert(written.status < 300, `written: ${written.status} ${written.errorMessage}`);

const driver = new PrometheusDriver({ endpoint: url, baseURL: "/api/v1" });
const instant = await driver.instantQuery("npm_written");
assert.equal(instant.result[0].value.value, 42);
const range = await driver.rangeQuery("npm_written", now - 60_000, now, 15);
assert.equal(range.result[0].metric.labels.client, "npm");
assert((await driver.labelValues("client")).includes("npm"));
assert((await driver.series("npm_written", now - 60_000, now)).length === 1);
assert(Array.isArray((await driver.rules())));
assert(Array.isArray((await driver.alerts())));
await driver.metadata();
await driver.status();
