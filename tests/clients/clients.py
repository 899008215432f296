"""Real clients against a real Weir: Debian's Prometheus, promtool, vmagent, vmalert; the clients of PyPI and npm.

Each check names what it is; the first that fails ends the run with its output. Ports are free ones of this moment.
"""

import datetime
import json
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

WEIR, TOOLS, CACHE = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="weir-clients-"))
HERE = pathlib.Path(__file__).parent
STARTED = []


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def start(name, *command):
    log = open(FOLDER / f"{name}.log", "wb")
    process = subprocess.Popen([str(word) for word in command], stdout=log, stderr=log, cwd=FOLDER)
    STARTED.append((name, process))
    return process


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def ask(path, body=None, headers=None):
    request = urllib.request.Request(URL + path, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from None


def value(expression, url=None):
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url or URL}/api/v1/query?{query}", timeout=30) as answer:
        result = json.load(answer)["data"]["result"]
    return float(result[0]["value"][1]) if result else None


def eventually(what, check, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = check()
        except (OSError, AssertionError):
            found = None
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.3)


def write(name, text):
    path = FOLDER / name
    path.write_text(text)
    return path


CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def prometheus_writes_and_promtool_reads():
    config = write(
        "sender.yml",
        f"""
global: {{scrape_interval: 1s, external_labels: {{cluster: ci, __replica__: a}}}}
scrape_configs: [{{job_name: prometheus, static_configs: [{{targets: ["127.0.0.1:{SENDER}"]}}]}}]
remote_write: [{{url: "{URL}/api/v1/write", send_exemplars: true, send_native_histograms: true}}]
""",
    )
    start("sender", TOOLS / "prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{SENDER}",
          f"--storage.tsdb.path={FOLDER}/sender", "--enable-feature=exemplar-storage,native-histograms")
    eventually("samples of Prometheus", lambda: value('count_over_time(up{job="prometheus",cluster="ci"}[1m]) >= 3'))
    promtool = TOOLS / "promtool"
    assert 'cluster="ci"' in run(promtool, "query", "instant", URL, "up")
    end = datetime.datetime.now(datetime.timezone.utc)
    start_at = (end - datetime.timedelta(minutes=1)).isoformat()
    assert "up" in run(promtool, "query", "range", f"--start={start_at}", f"--end={end.isoformat()}", URL, "up")
    assert "prometheus" in run(promtool, "query", "labels", URL, "job")
    assert "up" in run(promtool, "query", "series", "--match=up", URL)
    if "check healthy" in subprocess.run([str(promtool), "--help"], capture_output=True, text=True).stderr:
        run(promtool, "check", "healthy", f"--url={URL}")
        run(promtool, "check", "ready", f"--url={URL}")


@check
def prometheus_reads_remotely_and_federates():
    config = write(
        "reader.yml",
        f"""
global: {{scrape_interval: 1s}}
remote_read: [{{url: "{URL}/api/v1/read", read_recent: true}}]
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ['{{job="prometheus",__name__=~"prometheus_build_info|up"}}']}}
    static_configs: [{{targets: ["127.0.0.1:{PORT}"]}}]
""",
    )
    start("reader", TOOLS / "prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{READER}",
          f"--storage.tsdb.path={FOLDER}/reader")
    reader = f"http://127.0.0.1:{READER}"
    # Only Weir has it: remote read, streamed.
    eventually("remote read", lambda: value("sum(count_over_time(prometheus_tsdb_head_series[1m]))", reader))
    at = time.time()
    counted = f"sum(count_over_time(prometheus_tsdb_head_series[1h] @ {at:.3f}))"
    assert value(counted) == value(counted, reader) > 0
    eventually("federation", lambda: value('up{job="federate"} == 1', reader))
    eventually("federated series", lambda: value('scrape_samples_scraped{job="federate"} > 1', reader))


@check
def vmagent_writes():
    config = write("vmagent.yml", f"""
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: weir, static_configs: [{{targets: ["127.0.0.1:{PORT}"]}}]}}]
""")
    start("vmagent", TOOLS / "vmagent", f"-promscrape.config={config}", f"-remoteWrite.url={URL}/api/v1/write",
          f"-remoteWrite.tmpDataPath={FOLDER}/vmagent", f"-httpListenAddr=127.0.0.1:{free_port()}")
    eventually("samples of vmagent", lambda: value('up{job="weir"} == 1'))


@check
def vmalert_reads_and_writes_back():
    rules = write("rules.yml", """
groups:
  - name: ci
    interval: 1s
    rules:
      - {record: "ci:up:count", expr: count(up)}
      - {alert: AlwaysUp, expr: "up == 1", for: 1s, labels: {severity: none}}
""")
    start("vmalert", TOOLS / "vmalert", f"-rule={rules}", f"-datasource.url={URL}", f"-remoteWrite.url={URL}",
          f"-remoteRead.url={URL}", f"-notifier.url=http://127.0.0.1:{free_port()}",
          f"-httpListenAddr=127.0.0.1:{free_port()}", "-remoteWrite.flushInterval=500ms")
    eventually("a recorded series", lambda: value("ci:up:count"))
    eventually("an alert's state", lambda: value('count(ALERTS_FOR_STATE{alertname="AlwaysUp"})'))


@check
def prometheus_api_client_reads():
    from prometheus_api_client import PrometheusConnect

    client = PrometheusConnect(url=URL, disable_ssl=True)
    assert client.check_prometheus_connection()
    assert "up" in client.all_metrics()
    assert client.get_current_metric_value("up")
    end = datetime.datetime.now()
    start_at = end - datetime.timedelta(minutes=2)
    assert client.get_metric_range_data("up", start_time=start_at, end_time=end)
    assert client.custom_query("sum(up)")
    assert client.custom_query_range("sum(up)", start_time=start_at, end_time=end, step="15")
    assert "job" in client.get_label_names()
    assert "prometheus" in client.get_label_values("job")
    assert client.get_series(start=start_at, end=end, params={"match[]": "up"})
    client.get_targets()
    client.get_metric_metadata("up")


@check
def prometheus_client_parses_what_we_expose():
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
    from prometheus_client.parser import text_string_to_metric_families as text

    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    assert len(list(open_metrics(ask("/metrics", headers=accept)))) > 20
    selector = urllib.parse.quote('{job="prometheus"}')
    assert len(list(text(ask(f"/federate?match[]={selector}")))) > 50
    assert len(list(open_metrics(ask(f"/federate?match[]={selector}", headers=accept)))) > 50


@check
def opentelemetry_writes_otlp():
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider, Counter, Histogram
    from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
    from opentelemetry.sdk.resources import Resource

    resource = Resource({"service.name": "shop", "service.instance.id": "one", "host.name": "h"})
    delta = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
    exporter = OTLPMetricExporter(endpoint=f"{URL}/api/v1/otlp/v1/metrics", preferred_temporality=delta)
    views = [View(instrument_name="native", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)], resource, views=views)
    meter = provider.get_meter("ci")
    counter = meter.create_counter("orders", unit="1")
    classic, native = meter.create_histogram("latency", unit="s"), meter.create_histogram("native", unit="s")
    for round_number in range(2):
        counter.add(3, {"kind": "book"})
        for observed in (0.1, 0.2, 7.0):
            classic.record(observed)
            native.record(observed)
        assert provider.force_flush()
        time.sleep(0.05)
    eventually("a sum of deltas", lambda: value('orders_total{job="shop",kind="book"} == 6'))
    eventually("classic buckets", lambda: value('latency_seconds_bucket{le="+Inf"} == 6'))
    eventually("a native histogram", lambda: value("histogram_count(native_seconds) == 6"))
    eventually("target_info", lambda: value('target_info{host_name="h",instance="one"} == 1'))
    provider.shutdown()


@check
def native_histograms_go_out():
    config = write(
        "federator.yml",
        f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {{"match[]": ["native_seconds"]}}
    static_configs: [{{targets: ["127.0.0.1:{PORT}"]}}]
""",
    )
    federator = free_port()
    start("federator", TOOLS / "prometheus", f"--config.file={config}", f"--web.listen-address=127.0.0.1:{federator}",
          f"--storage.tsdb.path={FOLDER}/federator", "--enable-feature=native-histograms")
    url = f"http://127.0.0.1:{federator}"

    def buckets(of):
        """The newest histogram with its buckets; how quantiles lie inside one differs from version to version."""
        query = urllib.parse.urlencode({"query": "native_seconds"})
        with urllib.request.urlopen(f"{of}/api/v1/query?{query}", timeout=30) as answer:
            result = json.load(answer)["data"]["result"]
        return result[0]["histogram"][1] if result else None

    ours = eventually("a native histogram", lambda: buckets(URL))
    theirs = eventually("a native histogram, federated", lambda: buckets(url))
    # 2.42 writes the rule of a bucket as a number too, but the last digits of bounds may differ.
    numbers = lambda one: [float(number) for bucket in one["buckets"] for number in bucket]
    assert (ours["count"], ours["sum"], len(ours["buckets"])) == (theirs["count"], theirs["sum"], len(theirs["buckets"])), (ours, theirs)
    assert all(abs(left - right) <= 1e-9 * abs(right) for left, right in zip(numbers(ours), numbers(theirs))), (ours, theirs)
    exported = ask("/api/v1/export?match[]=native_seconds")
    ask("/api/v1/import", exported.replace('"native_seconds"', '"imported_seconds"').encode())
    quantiles = [value(f"histogram_quantile(0.9, {name}_seconds)") for name in ("imported", "native")]
    assert quantiles[0] == quantiles[1] is not None, quantiles
    imported = ask("/api/v1/export?match[]=imported_seconds")
    assert exported.replace('"native_seconds"', '"imported_seconds"') == imported, f"{exported}\n{imported}"


@check
def opentelemetry_writes_by_remote_write():
    from opentelemetry.exporter.prometheus_remote_write import PrometheusRemoteWriteMetricsExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = PrometheusRemoteWriteMetricsExporter(endpoint=f"{URL}/api/v1/write", headers={})
    provider = MeterProvider([PeriodicExportingMetricReader(exporter)])
    provider.get_meter("ci").create_counter("remote_orders").add(5)
    assert provider.force_flush()
    eventually("a counter", lambda: value('max({__name__=~"remote_orders.*"}) == 5'))
    provider.shutdown()


@check
def npm_clients_write_and_read():
    print(run("node", HERE / "clients.mjs", URL, CACHE), end="")


@check
def other_protocols_are_written_by_hand():
    now = int(time.time() * 1000)
    ask("/api/v1/import/prometheus", f'by_text{{a="b"}} 1 {now}\n'.encode())
    ask("/write?precision=ms&db=d", f"by_influx,a=b v=2 {now}\n".encode())
    line = {"metric": {"__name__": "by_json"}, "values": [3], "timestamps": [now]}
    ask("/api/v1/import", json.dumps(line).encode())
    ask("/api/v1/import/csv?format=1:metric:by_csv,2:time:unix_ms", f"4,{now}\n".encode())
    for name, expected in (("by_text", 1), ("by_influx_v", 2), ("by_json", 3), ("by_csv", 4)):
        assert value(name) == expected, name
    assert '"values":[3]' in ask("/api/v1/export?match[]=by_json")


@check
def tokens_show_their_part():
    made = run(WEIR, "token", "create", "ci", "--matchers", '{job="weir"}', "--url", URL).strip()
    answer = json.loads(ask("/api/v1/label/job/values", headers={"Authorization": f"Bearer {made}"}))
    assert answer["data"] == ["weir"], answer
    picture = ask(f"/graph.svg?expr=up&range=5m&token={made}")
    assert "<svg" in picture and "prometheus" not in picture
    with urllib.request.urlopen(f"{URL}/graph.png?expr=up&range=5m", timeout=30) as answer:
        assert answer.read(8) == b"\x89PNG\r\n\x1a\n"


PORT, SENDER, READER = free_port(), free_port(), free_port()
URL = f"http://127.0.0.1:{PORT}"
write("weir.yml", f"listen: 127.0.0.1:{PORT}\ndata: {FOLDER}/data\nhttp: {{admin: true}}\n")
try:
    start("weir", WEIR, "serve", "--config", FOLDER / "weir.yml")
    eventually("Weir is ready", lambda: "ready" in ask("/-/ready"))
    failed = []
    for one in CHECKS:
        began = time.monotonic()
        try:
            one()
            print(f"ok    {one.__name__}  ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception as error:
            failed.append(one.__name__)
            print(f"FAIL  {one.__name__}: {type(error).__name__}: {error}", flush=True)
    print(f"clients: {len(CHECKS) - len(failed)} of {len(CHECKS)} pass; logs in {FOLDER}")
    sys.exit(1 if failed else 0)
finally:
    for _, process in reversed(STARTED):
        process.terminate()
    for _, process in STARTED:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
