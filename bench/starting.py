"""How long Python needs before anything of Headwater runs."""

from __future__ import annotations

from bench.budget import Bench, Line, Sizes
from bench.environments import headwater, user
from bench.measure import by_turns, run

__all__ = ["BENCH"]

IMPORT, HELP = "`import headwater`", "`headwater --help`"
MOST_S = 0.25


def _run(sizes: Sizes) -> list[Line]:
    bare, imported, helped = by_turns(
        5 if sizes.quick else 15,
        lambda: run([user(), "-c", "pass"]),
        lambda: run([user(), "-c", "import headwater"]),
        lambda: run(headwater("--help")),
    )
    return [
        Line(
            what=what,
            ours=f"{used.wall:.3f} s",
            peer=f"bare Python {bare.wall:.3f} s",
            ratio=f"+{used.wall - bare.wall:.3f} s",
            budget=f"< {MOST_S} s over bare Python",
            met=used.wall - bare.wall < MOST_S,
            figures={"ours": used.to_json(), "peer": bare.to_json()},
        )
        for what, used in ((IMPORT, imported), (HELP, helped))
    ]


BENCH = Bench("start", (IMPORT, HELP), _run)
