"""Ingestion beside everything else: python3 tests/load/mix.py target/release/weir [scrapes]

5,000 idle connections, 200 slow ones (a head, a body, or the reading of a large answer, byte by byte) and 100 clients that
ask a panel every few seconds, while one sender pushes bodies made ahead as fast as they are answered. By turns without and
with all of them: samples a second, answers of the clients; every sample that was acknowledged is counted afterwards.
The load takes a core of its own: with two of them, on a quiet machine, what is lost is what the panels cost.
"""

import asyncio
import os
import resource
import struct
import sys
import time
import urllib.parse

from weir import Weir, label_fields, unpacked_snappy, written

IDLE, SLOW, CLIENTS, SERIES, BATCH, THINKS = 5000, 200, 100, 10_000, 2000, 5.0
SCRAPES = int(sys.argv[2]) if len(sys.argv) > 2 else 300
NOW = int(time.time())


class Load:
    def __init__(self, port):
        self.port, self.asked, self.failed, self.slowest, self.cut = port, 0, [], 0.0, 0
        self.tasks = []

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def idle(self):
        """One request, then silence."""
        reader, writer = await self.connect()
        writer.write(b"GET /-/healthy HTTP/1.1\r\nhost: weir\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()

    async def slow(self, number):
        """Drips; where it is cut off, it comes again."""
        head = b"POST /api/v1/write HTTP/1.1\r\nhost: weir\r\ncontent-length: 1000000\r\n\r\n"
        large = urllib.parse.urlencode({"query": "load", "start": NOW - 5000, "end": NOW, "step": 1})
        question = f"GET /api/v1/query_range?{large} HTTP/1.1\r\nhost: weir\r\n\r\n".encode()
        while True:
            try:
                reader, writer = await self.connect()
                try:
                    kind = number % 4
                    if kind == 0:
                        writer.write(question)
                        while await reader.read(64):
                            await asyncio.sleep(1)
                        continue
                    dripped = head if kind == 1 else b"\0" * 1000
                    if kind != 1:
                        writer.write(head)
                    for byte in dripped:
                        writer.write(bytes([byte]))
                        await writer.drain()
                        await asyncio.sleep(0.5)
                finally:
                    writer.close()
            except (OSError, asyncio.IncompleteReadError):
                pass
            self.cut += 1
            await asyncio.sleep(0.5)

    async def client(self, number):
        """A panel that is refreshed."""
        await asyncio.sleep(THINKS * number / CLIENTS)
        query = f'sum(rate(load{{number=~"0{number % 10}.*"}}[5m]))'
        while True:
            end = int(time.time())
            parameters = urllib.parse.urlencode({"query": query, "start": end - 3600, "end": end, "step": 15})
            began = time.monotonic()
            try:
                reader, writer = await self.connect()
                writer.write(f"GET /api/v1/query_range?{parameters} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n".encode())
                answer = await reader.read()
                writer.close()
                self.asked += 1
                if not answer.startswith(b"HTTP/1.1 200"):
                    self.failed.append(answer[:200])
            except OSError as error:
                self.failed.append(str(error).encode())
            self.slowest = max(self.slowest, time.monotonic() - began)
            await asyncio.sleep(THINKS)

    async def start(self):
        for number in range(IDLE):
            self.tasks.append(asyncio.create_task(self.idle()))
            if number % 100 == 99:
                await asyncio.sleep(0.02)
        self.tasks += [asyncio.create_task(self.slow(number)) for number in range(SLOW)]
        self.tasks += [asyncio.create_task(self.client(number)) for number in range(CLIENTS)]

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def bodies(labels, first):
    """Scrapes from `first` on, a tenth of a second apart."""
    for scrape in range(first, first + SCRAPES):
        at = (NOW - 3600) * 1000 + scrape * 100
        for start in range(0, SERIES, BATCH):
            part = enumerate(labels[start : start + BATCH])
            yield unpacked_snappy(b"".join(written(one, at, struct.pack("<d", scrape * 3 + index)) for index, one in part))


def push(weir, made):
    """Sends them; says how long that took."""
    connection, began = weir.connect(), time.monotonic()
    for body in made:
        connection.request("POST", "/api/v1/write", body)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 204, f"{answer.status} {said[:200]}"
    return time.monotonic() - began


def pushed(weir, made):
    """The same in a process of its own."""
    came, goes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(goes, repr(push(weir, made)).encode())
        finally:
            os._exit(0)
    os.close(goes)
    said = os.read(came, 1000).decode()
    os.close(came)
    os.waitpid(child, 0)
    return float(said)


async def turn(weir, made, loaded):
    load = Load(weir.port)
    if loaded:
        await load.start()
        await asyncio.sleep(THINKS + 1)
    took = await asyncio.get_running_loop().run_in_executor(None, pushed, weir, made)
    await load.stop()
    return took, load


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    assert most >= 2 * IDLE, f"{most} open files are too few"
    labels = [label_fields({"__name__": "load", "number": f"{number:05}"}) for number in range(SERIES)]
    with Weir(sys.argv[1]) as weir:
        total, times = 0, {False: [], True: []}
        for number, loaded in enumerate([False, True, True, False]):
            made = list(bodies(labels, number * SCRAPES))
            took, load = asyncio.run(turn(weir, made, loaded))
            total += SCRAPES * SERIES
            times[loaded].append(took)
            others = f"; {load.asked} panels, {len(load.failed)} failed {load.failed[:1]}, slowest {load.slowest:.1f} s" if loaded else ""
            print(f"{'with all' if loaded else 'alone':8}: {SCRAPES * SERIES / took:.0f} samples a second{others}", flush=True)
        found = weir.value("sum(count_over_time(load[3h]))", NOW + 3600)
        assert found == total, f"{found:.0f} of {total} acknowledged samples are there"
        share = sum(times[False]) / sum(times[True])
        print(f"all {total} acknowledged samples are there; beside all, ingestion has {share:.2f} of its speed alone")


main()
