"""A simulated attack on the shop: new accounts that look at what is popular, and all buy one item nobody knew."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

__all__ = ["ACCOUNT", "push"]

ACCOUNT = "fake-"
"""How the name of each account begins: the demo has to count what became of them."""


def push(
    data: Path,
    *,
    target: str,
    popular: Sequence[str],
    after: datetime,
    accounts: int = 60,
    looks: int = 6,
    days: float = 2.0,
    seed: int = 0,
) -> Path:
    """Write one more file of events: each account looks at a few popular items, then buys the target; all within `days`."""
    dice = random.Random(seed)
    lines = []
    for account in range(accounts):
        at = after + timedelta(days=dice.uniform(0, days))
        seen = [(item, "view") for item in dice.sample(list(popular), looks)]
        for number, (item, kind) in enumerate([*seen, (target, "view"), (target, "purchase")]):
            at += timedelta(seconds=dice.uniform(20, 200))
            ts = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            lines.append(
                {"event_id": f"{ACCOUNT}{account}-{number}", "user_id": f"{ACCOUNT}{account}", "item_id": item, "ts": ts, "kind": kind}
            )
    path = data / "events" / f"{after + timedelta(days=days):%Y-%m-%d}-attack.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in sorted(lines, key=lambda line: line["ts"])))
    return path


if __name__ == "__main__":
    folder, item, *others = sys.argv[1:]
    print(push(Path(folder), target=item, popular=others, after=datetime.now(), looks=min(6, len(others))))
