"""Memory: what the gate of labels keeps between retrainings, in plain JSON, with contributors under pseudonyms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Memory", "recall", "stored"]

_ROUNDS = 50


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What was seen of rows when they were new, and accepted.

    `rounds` counts retrainings; `slow` is each contributor's Shiryaev–Roberts statistic; `champion` has for each contributor the
    sure and the contrary opinions of the champions of the time, in pairs by cut; `pushes` has for each round, by given class, such a pair.
    """

    rounds: int = 0
    slow: Mapping[str, float] = field(default_factory=dict)
    champion: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    pushes: tuple[Mapping[str, tuple[int, int]], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "rounds": self.rounds,
            "slow": dict(sorted(self.slow.items())),
            "champion": {group: list(pairs) for group, pairs in sorted(self.champion.items())},
            "pushes": [{name: list(pair) for name, pair in sorted(seen.items())} for seen in self.pushes[-_ROUNDS:]],
        }

    @staticmethod
    def from_json(plain: Mapping[str, Any]) -> Memory:
        return Memory(
            rounds=int(plain.get("rounds", 0)),
            slow=dict(plain.get("slow", {})),
            champion={group: tuple(pairs) for group, pairs in plain.get("champion", {}).items()},
            pushes=tuple({name: (pair[0], pair[1]) for name, pair in seen.items()} for seen in plain.get("pushes", ())),
        )


def recall(state: Mapping[str, Any], key: str) -> Memory:
    """The memory to judge with. If the history is still that of last time, nothing of last time's new rows was accepted:
    they come again, and must not be remembered twice."""
    if not state:
        return Memory()
    return Memory.from_json(state["before"] if state.get("history") == key else state["after"])


def stored(before: Memory, after: Memory, key: str, past: Mapping[str, Any]) -> dict[str, Any]:
    """What `recall` takes back, with what was computed from the history of `key`."""
    return {"history": key, "before": before.to_json(), "after": after.to_json(), "past": dict(past)}
