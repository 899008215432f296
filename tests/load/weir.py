"""A Weir under load: started on an empty directory, judged by what the kernel says of its process."""

import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

TICK = os.sysconf("SC_CLK_TCK")


class Weir:
    def __init__(self, binary, *options):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="weir-load-"))
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self.port = held.getsockname()[1]
        command = [binary, "serve", "--listen", f"127.0.0.1:{self.port}", "--data", self.folder / "data", *options]
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen([str(word) for word in command], stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 30
        while self.ask("/-/ready", quiet=True) is None:
            assert time.monotonic() < deadline and self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, path, quiet=False):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status == 200:
                return body
        except OSError:
            body, answer = b"no connection", None
        finally:
            connection.close()
        assert quiet, f"{path}: {answer and answer.status} {body[:300]}"
        return None

    def value(self, query, at):
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": query, "time": at})
        result = json.loads(self.ask(path))["data"]["result"]
        return float(result[0]["value"][1]) if result else 0.0

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def cpu_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def anonymous_bytes(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
        return 0


class Peak:
    """The most anonymous memory that a process has while this is entered."""

    def __init__(self, weir):
        self.weir, self.bytes, self.ended = weir, 0, threading.Event()

    def __enter__(self):
        def watch():
            while not self.ended.wait(0.003):
                self.bytes = max(self.bytes, self.weir.anonymous_bytes())

        self.thread = threading.Thread(target=watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, message):
    """A field of protobuf that has a length."""
    return varint(number << 3 | 2) + varint(len(message)) + message


def unpacked_snappy(body):
    """Snappy that is all literals: what costs a sender nothing, and a receiver the least there is."""
    out = bytearray(varint(len(body)))
    for start in range(0, len(body), 65536):
        piece = body[start : start + 65536]
        out += b"\xf4" + (len(piece) - 1).to_bytes(2, "little") + piece
    return bytes(out)


def written(labels, at, value):
    """A series of remote write 1.0 with one sample; `labels` are its fields, made by `label_fields`."""
    sample = b"\x09" + value + b"\x10" + varint(at)
    return field(1, labels + field(2, sample))


def label_fields(labels):
    return b"".join(field(1, field(1, name.encode()) + field(2, value.encode())) for name, value in sorted(labels.items()))
