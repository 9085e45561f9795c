"""`headwater rollback` while a server answers: how long until it answers with the earlier model, and what is dropped."""

from __future__ import annotations

import json
import time

from bench import data
from bench.budget import Bench, Line, Sizes
from bench.environments import headwater
from bench.measure import CouldNotRun, run
from bench.server import api_key, loading, serving

__all__ = ["BENCH"]

WHAT = "`headwater rollback` beside a server at 200 requests/s"
RATE, MOST_S = 200.0, 2.0


def _run(sizes: Sizes) -> list[Line]:
    project = data.shop_model()
    key = api_key(project)
    found = []
    with serving(headwater("serve", "-C", project, "--port", "0")) as (port, _):
        for turn in range(2 * sizes.rounds):
            with loading(port, 5.0, RATE, key) as asking:
                time.sleep(2.0)  # warm, and some answers by the model that will be left
                typed = time.time()
                verb = ("rollback",) if turn % 2 == 0 else ("promote", "2")
                used = run(headwater(*verb, "-C", project, "-o", "json"))
                said, _err = asking.communicate()
            answered = json.loads(said)
            new = max(answered["epochs"], key=int)
            if len(answered["epochs"]) != 2:
                raise CouldNotRun(f"the server did not follow {verb[0]}: epochs {sorted(answered['epochs'])}")
            failed = answered["failed"]
            first, last = answered["epochs"][new][0] - typed, max(e[1] for n, e in answered["epochs"].items() if n != new) - typed
            found.append(
                {
                    "verb": verb[0],
                    "command_s": used.wall,
                    "answers_after_s": max(first, last),
                    "dropped": failed,
                    "requests": answered["requests"],
                }
            )
    back = [one for one in found if one["verb"] == "rollback"]
    slowest, dropped = max(one["answers_after_s"] for one in back), sum(one["dropped"] for one in found)
    return [
        Line(
            what=WHAT,
            ours=f"{slowest:.2f} s at most, {dropped} of {sum(one['requests'] for one in found):,} requests dropped",
            budget=f"< {MOST_S:g} s, none dropped",
            met=slowest < MOST_S and not dropped,
            figures={"turns": found},
        )
    ]


BENCH = Bench("rollback", (WHAT,), _run)
