"""What an answer of ten million points costs: python3 tests/load/answer.py target/release/weir

A thousand series at ten thousand steps, values of sixteen digits and plain ones. Memory: the peak of anonymous memory while
the first answer is read, over what there was before any question, and the same where one series is the answer. CPU: the least of some runs, less that of the same work
with one series for an answer.
"""

import struct
import sys
import time
import urllib.parse

from weir import Peak, Weir, label_fields, unpacked_snappy, written

SERIES, STEPS = 1000, 10_000
END = int(time.time()) - 60
EXPRESSIONS = ["load + time() / 7", "load"]


def ask(weir, query):
    """CPU-seconds, memory and bytes of one answer, read as it comes."""
    parameters = {"query": query, "start": END - STEPS + 1, "end": END, "step": 1}
    connection = weir.connect()
    before, began, read, points, last = weir.anonymous_bytes(), weir.cpu_seconds(), 0, 0, b""
    with Peak(weir) as peak:
        connection.request("GET", "/api/v1/query_range?" + urllib.parse.urlencode(parameters))
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()[:300]
        while piece := answer.read(1 << 20):
            read += len(piece)
            points += piece.count(b'"]') + (last == b'"' and piece.startswith(b"]"))
            last = piece[-1:]
    return weir.cpu_seconds() - began, max(0, peak.bytes - before), read, points


def loaded(weir):
    connection = weir.connect()
    labels = [label_fields({"__name__": "load", "number": f"{number:04}"}) for number in range(SERIES)]
    for at in range(END - STEPS - 60, END, 60):
        body = b"".join(
            written(one, at * 1000, struct.pack("<d", number + at % 977 / 7)) for number, one in enumerate(labels)
        )
        connection.request("POST", "/api/v1/write", unpacked_snappy(body))
        answer = connection.getresponse()
        assert answer.status == 204, answer.read()
        answer.read()
    time.sleep(2)


def main():
    for expression in [f"sum({EXPRESSIONS[0]})", EXPRESSIONS[0]]:
        with Weir(sys.argv[1]) as weir:
            loaded(weir)
            _, memory, size, points = ask(weir, expression)
            print(f"{expression}: {points} points, {size / 1e6:.0f} MB: {memory / 2**20:.1f} MiB more memory than before", flush=True)
    assert points == SERIES * STEPS, f"{points} points"
    with Weir(sys.argv[1]) as weir:
        loaded(weir)
        for expression in EXPRESSIONS:
            base = min(ask(weir, f"sum({expression})")[0] for _ in range(5))
            full = min(ask(weir, expression)[0] for _ in range(5))
            cost = (full - base) / points * 1e9
            print(f"{expression}: {full:.2f} CPU-s, of them {full - base:.2f} for the answer: {cost:.0f} ns a point", flush=True)


main()
