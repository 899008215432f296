"""What a million points cost by OTLP and by remote write: python3 tests/load/otlp.py target/release/weir

The same series, 2,000 points a request, by turns on one connection each: CPU-seconds of the process, settled or not as it
is. Both are counted afterwards.
"""

import struct
import sys
import time

from weir import Weir, field, label_fields, unpacked_snappy, varint, written

INSTANCES, METRICS, PER_METRIC, SCRAPES, INTERVAL_MS = 20, 100, 5, 100, 15_000
STARTS = (time.time_ns() // 1_000_000_000 - SCRAPES * 15) * 1000


def value(series, scrape):
    return struct.pack("<d", series * 1000 + scrape * 17 if series % 3 == 0 else series)


def names():
    for metric in range(METRICS):
        yield metric, f"http_server_something_{metric}_bytes"


def attributes(one):
    return {"http_route": f"/api/v1/things/{one}", "http_method": "GET", "status_code": str(200 + one)}


def remote_write():
    """Bodies with their content type."""
    series = [
        label_fields({"__name__": name, "job": "shop/front", "instance": f"front-{instance:04}", **attributes(one)})
        for instance in range(INSTANCES)
        for _, name in names()
        for one in range(PER_METRIC)
    ]
    for scrape in range(SCRAPES):
        at = STARTS + scrape * INTERVAL_MS
        for first in range(0, len(series), 2000):
            part = enumerate(series[first : first + 2000], first)
            yield unpacked_snappy(b"".join(written(labels, at, value(index, scrape)) for index, labels in part))


def key_value(name, text):
    return field(1, name.encode()) + field(2, field(1, text.encode()))


def otlp():
    def resource(instance):
        texts = {
            "service.name": "front",
            "service.namespace": "shop",
            "service.instance.id": f"front-{instance:04}",
            "host.name": f"node-{instance:04}.example.net",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.language": "go",
        }
        return field(1, b"".join(field(1, key_value(name, text)) for name, text in texts.items()))

    resources = [resource(instance) for instance in range(INSTANCES)]
    points = [b"".join(field(7, key_value(*pair)) for pair in attributes(one).items()) for one in range(PER_METRIC)]
    heads = [field(1, name.encode()) + field(2, b"Something of a server.") + field(3, b"By") for _, name in names()]
    scope = field(1, field(1, b"go.opentelemetry.io/contrib/http") + field(2, b"1.0"))
    per_request = max(1, 2000 // (METRICS * PER_METRIC))
    for scrape in range(SCRAPES):
        at = b"\x19" + struct.pack("<Q", (STARTS + scrape * INTERVAL_MS) * 1_000_000)
        start = b"\x11" + struct.pack("<Q", STARTS * 1_000_000)
        for first in range(0, INSTANCES, per_request):
            body = b""
            for instance in range(first, min(first + per_request, INSTANCES)):
                metrics = b""
                for metric in range(METRICS):
                    base = (instance * METRICS + metric) * PER_METRIC
                    data = b"".join(
                        field(1, points[one] + start + at + b"\x21" + value(base + one, scrape)) for one in range(PER_METRIC)
                    )
                    metrics += field(2, heads[metric] + field(5, data))
                body += field(1, resources[instance] + field(2, scope + metrics))
            yield body


ROADS = {
    "remote write": (remote_write, "/api/v1/write", {"Content-Encoding": "snappy"}),
    "OTLP": (otlp, "/api/v1/otlp/v1/metrics", {}),
}


def cost(binary, road):
    bodies, path, headers = ROADS[road]
    bodies = list(bodies())
    count = INSTANCES * METRICS * PER_METRIC * SCRAPES
    with Weir(binary) as weir:
        connection, began = weir.connect(), weir.cpu_seconds()
        for body in bodies:
            connection.request("POST", path, body, {"Content-Type": "application/x-protobuf", **headers})
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status < 300, f"{road}: {answer.status} {said[:300]}"
        cpu = weir.cpu_seconds() - began
        end = STARTS // 1000 + SCRAPES * 15
        found = sum(weir.value(f'sum(count_over_time({name}{{job="shop/front"}}[{SCRAPES * 15 + 60}s]))', end) for _, name in names())
        assert found == count, f"{road}: {found} of {count}"
    print(f"{road:12}: {cpu:.2f} CPU-s, {cpu / count * 1e9:.0f} ns a point; all {count} read back", flush=True)
    return cpu


def main():
    costs = {road: [] for road in ROADS}
    for road in [*ROADS, *reversed(ROADS)]:
        costs[road].append(cost(sys.argv[1], road))
    write, otlp_cost = (min(costs[road]) for road in ROADS)
    print(f"OTLP costs {otlp_cost / write:.2f} times what remote write costs")


main()
