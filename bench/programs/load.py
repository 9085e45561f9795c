"""Load: requests for recommendations over kept connections, by a schedule or as fast as they are answered."""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import random
import sys
import time
from pathlib import Path

CALLERS, WARM_S = 16, 1.0


class Caller(asyncio.Protocol):
    """One connection: sends a request, tells when its answer is whole."""

    def __init__(self, done) -> None:
        self.done, self.buffer, self.need = done, b"", 0

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self.buffer.lower().find(b"content-length:", 0, head)
        length = int(self.buffer[at + 15 : self.buffer.find(b"\r\n", at)])
        if len(self.buffer) >= head + 4 + length:
            answer, self.buffer = self.buffer, b""
            self.done(self, answer)

    def connection_lost(self, error) -> None:
        self.done(self, b"")


class Load:
    def __init__(self, port: int, key: str) -> None:
        self.port, self.random = port, random.Random(0)
        access = f"authorization: Bearer {key}\r\n" if key != "-" else ""
        self.head = f"POST /recommend HTTP/1.1\r\nhost: x\r\n{access}content-type: application/json\r\ncontent-length: "
        self.took: list[float] = []
        self.failed, self.first_failure = 0, ""
        self.epochs: dict[str, list[float]] = {}

    def ask(self, caller: Caller, since: float) -> None:
        caller.since = since
        body = f'{{"user":"u{self.random.randrange(1, 1000)}","history":["i{self.random.randrange(1, 1700)}","i50"],"k":10}}'
        caller.transport.write(f"{self.head}{len(body)}\r\n\r\n{body}".encode())

    def note(self, caller: Caller, answer: bytes) -> None:
        now = time.perf_counter()
        self.took.append(now - caller.since)
        if not answer.startswith(b"HTTP/1.1 200"):
            self.failed += 1
            self.first_failure = self.first_failure or answer[:200].decode(errors="replace") or "the connection was lost"
        at = answer.find(b'"epoch":')
        if at > 0:
            epoch = answer[at + 8 : answer.find(b",", at)].decode()
            first_last = self.epochs.setdefault(epoch, [time.time(), 0.0])
            first_last[1] = time.time()

    async def connect(self, count: int, done) -> list[Caller]:
        loop = asyncio.get_running_loop()
        pairs = [await loop.create_connection(lambda: Caller(done), "127.0.0.1", self.port) for _ in range(count)]
        return [caller for _, caller in pairs]

    async def closed(self, seconds: float) -> None:
        """Each caller asks as soon as it has its answer."""
        ends = time.perf_counter() + seconds

        def answered(caller: Caller, answer: bytes) -> None:
            if caller.over:
                return
            self.note(caller, answer)
            caller.over = time.perf_counter() >= ends or not answer
            if not caller.over:
                self.ask(caller, time.perf_counter())

        callers = await self.connect(CALLERS, answered)
        for caller in callers:
            caller.over = False
            self.ask(caller, time.perf_counter())
        while not all(caller.over for caller in callers):
            await asyncio.sleep(0.005)

    async def open(self, seconds: float, rate: float) -> None:
        """Requests come when they come (Poisson), however long the answers take; what waits for a connection counts as waiting."""
        free: list[Caller] = []
        waiting: list[float] = []
        open_ones = [0]

        def answered(caller: Caller, answer: bytes) -> None:
            if not caller.busy:
                return
            caller.busy = False
            self.note(caller, answer)
            open_ones[0] -= 1
            if waiting:
                begin(caller, heapq.heappop(waiting))
            else:
                free.append(caller)

        def begin(caller: Caller, since: float) -> None:
            caller.busy = True
            open_ones[0] += 1
            self.ask(caller, since)

        free += await self.connect(4 * CALLERS, answered)
        for caller in free:
            caller.busy = False
        due, ends = time.perf_counter(), time.perf_counter() + seconds
        while due < ends:
            now = time.perf_counter()
            if due > now:
                await asyncio.sleep(due - now)
            begin(free.pop(), due) if free else heapq.heappush(waiting, due)
            due += self.random.expovariate(rate)
        while open_ones[0] or waiting:
            await asyncio.sleep(0.005)


def processor_s(pid: int) -> float:
    """What a process has used; 0 where that cannot be read."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(port: str, seconds: str, rate: str, server: str, key: str) -> None:
    def once(how_long: float) -> Load:
        load = Load(int(port), key)
        asyncio.run(load.open(how_long, float(rate)) if float(rate) else load.closed(how_long))
        return load

    once(WARM_S)
    before, started = processor_s(int(server)), time.perf_counter()
    load = once(float(seconds))
    took, used = time.perf_counter() - started, processor_s(int(server)) - before
    ordered = sorted(load.took)
    said = {"requests": len(ordered), "failed": load.failed, "first_failure": load.first_failure, "per_s": round(len(ordered) / took, 1)}
    said |= {
        name: round(ordered[int(len(ordered) * part)] * 1e3, 3) for name, part in (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))
    }
    print(json.dumps({**said, "cpu_us": round(used / len(ordered) * 1e6, 1), "epochs": load.epochs}))


main(*sys.argv[1:])
