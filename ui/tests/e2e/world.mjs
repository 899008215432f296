// A Weir fed by a real Prometheus pair, as processes on loopback. `node world.mjs` starts one to look at.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { push } from "./push.mjs";

const repository = fileURLToPath(new URL("../../..", import.meta.url));

export function freePort() {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

export const pause = (millis) => new Promise((done) => setTimeout(done, millis));

export async function eventually(what, ask, patience = 60_000) {
  const until = Date.now() + patience;
  let last;
  while (Date.now() < until) {
    try {
      const found = await ask();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await pause(250);
  }
  throw new Error(`${what}: not within ${patience / 1000} s${last ? `: ${last.message}` : ""}`);
}

function tools() {
  const places = [process.env["WEIR_TOOLS"], join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "weir/tools/usr/bin"), "/usr/bin"];
  const found = places.find((place) => place && existsSync(join(place, "prometheus-node-exporter")));
  if (!found) throw new Error("Debian's prometheus is not there: run .ci/tools");
  return found;
}

function weirBinary() {
  const target = process.env["CARGO_TARGET_DIR"] ?? join(repository, "target");
  const binary = process.env["WEIR_BINARY"] ?? join(target, "release/weir");
  if (!existsSync(binary)) throw new Error(`${binary} is not there: cargo build --release`);
  return binary;
}

const RULES = `groups:
  - name: availability
    interval: 2s
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: TargetDown
        expr: up == 0
        labels: {severity: critical}
        annotations:
          summary: "{{ $labels.job }} on {{ $labels.instance }} cannot be scraped"
          description: "Look at the host, then at the exporter."
          runbook_url: "https://runbooks.example/target-down"
      - alert: WaitsLong
        expr: vector(1)
        for: 1h
        labels: {severity: warning}
        annotations: {summary: "Pending for an hour, so that pending can be seen"}
      - alert: NeverFires
        expr: up > 2
        labels: {severity: info}
  - name: node
    interval: 5s
    rules:
      - record: instance:node_cpu_busy:ratio
        expr: 1 - avg by (instance, cluster) (rate(node_cpu_seconds_total{mode="idle"}[30s]))
      - record: broken:rule
        expr: label_replace(up, "job", "same", "job", ".*") + on (job) up
`;

/** Starts everything and waits until samples of both replicas arrived. */
export async function start({ history = true } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "weir-page-"));
  const children = [];
  const run = (name, binary, args) => {
    const log = openSync(join(folder, `${name}.log`), "a");
    const child = spawn(binary, args, { stdio: ["ignore", log, log] });
    children.push(child);
    return child;
  };
  const stop = async () => {
    await Promise.all(
      children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        const ended = new Promise((done) => child.once("exit", done));
        child.kill("SIGKILL");
        return ended;
      }),
    );
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [weir, a, b, node, alertmanager, gossip, dead] = await Promise.all(Array.from({ length: 7 }, freePort));
    const url = `http://127.0.0.1:${weir}`;
    const bin = tools();
    writeFileSync(join(folder, "rules.yml"), RULES);
    writeFileSync(join(folder, "alertmanager.yml"), "route: {receiver: none}\nreceivers: [{name: none}]\n");
    const prometheus = (replica) => `global:
  scrape_interval: 2s
  external_labels: {cluster: eu1, __replica__: ${replica}}
scrape_configs:
  - job_name: node
    static_configs: [{targets: ["127.0.0.1:${node}"]}]
  - job_name: prometheus
    static_configs: [{targets: ["127.0.0.1:${a}", "127.0.0.1:${b}"]}]
  - job_name: weir
    static_configs: [{targets: ["127.0.0.1:${weir}"]}]
  - job_name: gone
    static_configs: [{targets: ["127.0.0.1:${dead}"]}]
${replica === "b" ? `  - job_name: only-b\n    static_configs: [{targets: ["127.0.0.1:${node}"]}]\n` : ""}
remote_write:
  - url: ${url}/api/v1/write
    queue_config: {batch_send_deadline: 500ms}
`;
    mkdirSync(join(folder, "weir"));
    run("weir", weirBinary(), ["serve", "--listen", `127.0.0.1:${weir}`, "--data", join(folder, "weir"), "--rules", join(folder, "rules.yml"), "--notifier", `http://127.0.0.1:${alertmanager}`]);
    run("alertmanager", join(bin, "prometheus-alertmanager"), [
      `--config.file=${join(folder, "alertmanager.yml")}`, `--storage.path=${join(folder, "am")}`, `--web.listen-address=127.0.0.1:${alertmanager}`, `--cluster.listen-address=127.0.0.1:${gossip}`,
    ]);
    run("node", join(bin, "prometheus-node-exporter"), [`--web.listen-address=127.0.0.1:${node}`]);
    await eventually("Weir is ready", async () => (await fetch(`${url}/-/ready`)).ok);
    const replicas = {};
    for (const [name, port] of [["a", a], ["b", b]]) {
      writeFileSync(join(folder, `${name}.yml`), prometheus(name));
      replicas[name] = run(`prometheus-${name}`, join(bin, "prometheus"), [
        `--config.file=${join(folder, `${name}.yml`)}`, `--storage.tsdb.path=${join(folder, `tsdb-${name}`)}`, `--web.listen-address=127.0.0.1:${port}`,
      ]);
    }
    const query = async (text) => (await (await fetch(`${url}/api/v1/query?query=${encodeURIComponent(text)}`)).json()).data.result;
    await eventually("the pair's samples", async () => (await query('count(up{job="prometheus"})'))[0]?.value[1] === "2");
    if (history) await Promise.all([pushHistory(url), pushNative(url)]);
    return { url, folder, replicas, ports: { weir, a, b, node, alertmanager }, query, stop, push: (all) => push(url, all) };
  } catch (error) {
    await stop();
    throw error;
  }
}

export const HOSTILE = {
  __name__: "hostile",
  markup: '<img src=x onerror="window.broken=1"><script>window.broken=1</script>',
  rtl: "שלום עולם مرحبا",
  long: "x".repeat(1500),
  "näme.with.dots": "日本語 \u202e reversed",
};

/** Two hours of a made-up service, 10,000 series of one metric, 200 series of 2,000 points, labels with markup. */
async function pushHistory(url) {
  const end = Math.floor(Date.now() / 15_000) * 15_000;
  const all = [];
  const base = { cluster: "shop", __replica__: "a" };
  let seed = 42;
  const chance = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  for (const [path, load] of [["/cart", 40], ["/checkout", 12], ["/search", 75], ["/login", 22]]) {
    for (const code of ["200", "404", "500"]) {
      let sum = 0;
      const share = code === "200" ? 1 : code === "404" ? 0.07 : 0.015;
      const samples = [];
      for (let at = end - 2 * 3_600_000; at <= end; at += 15_000) {
        const wave = 1 + 0.45 * Math.sin(at / 1_300_000 + load) + 0.2 * Math.sin(at / 310_000) + 0.12 * (chance() - 0.5);
        sum += Math.max(0, load * share * wave * 15);
        samples.push([at, Math.round(sum)]);
      }
      all.push({ labels: { ...base, __name__: "http_requests_total", job: "shop", path, code }, samples });
    }
  }
  const bounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, Number.POSITIVE_INFINITY];
  const sums = bounds.map(() => 0);
  const rows = bounds.map(() => []);
  for (let at = end - 2 * 3_600_000; at <= end; at += 15_000) {
    const middle = Math.log(0.06 + 0.05 * Math.sin(at / 900_000) + (at > end - 2_400_000 && at < end - 1_500_000 ? 0.5 : 0));
    bounds.forEach((bound, index) => {
      const share = bound === Number.POSITIVE_INFINITY ? 1 : 1 / (1 + Math.exp(-(Math.log(bound) - middle) * 2));
      sums[index] += Math.round(900 * share);
      rows[index].push([at, sums[index]]);
    });
  }
  bounds.forEach((bound, index) => {
    const below = bounds[index - 1] ?? 0;
    // A request in each bucket that has some every few minutes, with its trace.
    const exemplars = bound > 0.025 && bound <= 1 ? rows[index].filter((_, step) => step % 24 === index).map(([at], step) => [at - 4000, below + (bound - below) * 0.6, { trace_id: `4bf92f35${index}d${String(step).padStart(3, "0")}` }]) : [];
    all.push({ labels: { ...base, __name__: "http_request_duration_seconds_bucket", job: "shop", le: bound === Number.POSITIVE_INFINITY ? "+Inf" : String(bound) }, samples: rows[index], exemplars });
  });
  all.push({ labels: { ...HOSTILE, ...base }, samples: [[end - 15_000, 1], [end, 2]] });
  await push(url, all);
  // Samples of two hours and more are late for nobody; wide and long sets stay small in bytes.
  await push(url, Array.from({ length: 10_000 }, (_, index) => ({ labels: { ...base, __name__: "many", id: `id-${String(index).padStart(5, "0")}` }, samples: [[end, index % 97]] })), 2000);
  await push(
    url,
    Array.from({ length: 200 }, (_, index) => ({
      labels: { ...base, __name__: "wide", host: `host-${String(index).padStart(3, "0")}` },
      samples: Array.from({ length: 480 }, (_, step) => [end - (479 - step) * 15_000, 50 + 30 * Math.sin((step + index * 7) / 40) + index / 4 + 3 * chance()]),
    })),
    50,
  );
}

/** An hour of a native histogram, as OpenTelemetry sends it, and of no pair. */
async function pushNative(url) {
  const end = Math.floor(Date.now() / 15_000) * 15_000;
  const buckets = new Array(40).fill(0);
  const dataPoints = [];
  for (let at = end - 3_600_000; at <= end; at += 15_000) {
    const middle = 20 + 8 * Math.sin(at / 600_000);
    buckets.forEach((_, index) => { buckets[index] += Math.round(30 * Math.exp(-((index - middle) ** 2) / 18)); });
    dataPoints.push({
      startTimeUnixNano: `${end - 3_600_000}000000`, timeUnixNano: `${at}000000`, count: String(buckets.reduce((sum, one) => sum + one, 0)), sum: at / 1e9,
      scale: 2, zeroCount: "0", positive: { offset: -20, bucketCounts: buckets.map(String) },
    });
  }
  const metrics = [{ name: "latency", unit: "s", exponentialHistogram: { aggregationTemporality: 2, dataPoints } }];
  const body = { resourceMetrics: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: "api" } }] }, scopeMetrics: [{ metrics }] }] };
  const answer = await fetch(`${url}/api/v1/otlp/v1/metrics`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`otlp: ${answer.status} ${await answer.text()}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const world = await start();
  console.log(world.url, JSON.stringify(world.ports), world.folder);
  process.once("SIGINT", () => void world.stop().then(() => process.exit()));
  process.once("SIGTERM", () => void world.stop().then(() => process.exit()));
}
