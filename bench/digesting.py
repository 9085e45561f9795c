"""How fast rows are digested beside plain SHA-256, and how fast `headwater verify` reads a lake again."""

from __future__ import annotations

from bench import data
from bench.budget import Bench, Line, Sizes, millions
from bench.environments import headwater, program
from bench.measure import by_turns, run

__all__ = ["BENCH"]

DIGEST = "digest of rows, beside SHA-256 of their bytes"


def _verify(events: int) -> str:
    return f"`headwater verify` of {millions(events)} events"


def _run(sizes: Sizes) -> list[Line]:
    project = data.collected(sizes.events)
    (speed,) = by_turns(sizes.rounds, lambda: run(program("digest", project / "lake" / "tables" / "events")))
    ours, plain = speed.said["digest_gb_s"], speed.said["sha256_gb_s"]
    (verified,) = by_turns(min(sizes.rounds, 2), lambda: run(headwater("verify", "-C", project, "-o", "json")))
    return [
        Line(
            what=DIGEST,
            ours=f"{ours:.2f} GB/s, {speed.said['rows_s'] / 1e6:.1f} M rows/s",
            peer=f"hashlib {plain:.2f} GB/s",
            ratio=f"{ours / plain:.2f} ×",
            figures=speed.to_json(),
        ),
        Line(
            what=_verify(sizes.events),
            ours=f"{verified.wall:.1f} s, {sizes.events / verified.wall / 1e6:.2f} M rows/s",
            figures=verified.to_json(),
        ),
    ]


BENCH = Bench("digest", (DIGEST, _verify(Sizes.events)), _run)
