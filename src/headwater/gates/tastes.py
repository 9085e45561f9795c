"""Tastes: the gate of tables from which a recommender learns: who turned to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from headwater.core.artifact import Artifact
from headwater.core.gate import Action, Evidence, Finding, Severity, Verdict
from headwater.gates.admission import Caps, admitted
from headwater.gates.adoptions import Columns, adoptions
from headwater.gates.decide import Kind, Limits, decide
from headwater.gates.norms import Norms, crowd_of, norms, remembered
from headwater.gates.profiles import copies
from headwater.gates.pushes import Case, copied, lifted, pushed, surged
from headwater.gates.replay import LEAST_HISTORY, rounds

if TYPE_CHECKING:
    from headwater.gates.adoptions import Adoptions
    from headwater.gates.lift import Round
    from headwater.retrain.fresh import Fresh
    from headwater.train.trainer import Ranker

__all__ = ["Tastes"]

KINDS: Mapping[str, Kind] = {
    "push": Kind(code="poison.push", words="was pushed: new accounts that do not go with it turned to it together", weight=0.25),
    "lift": Kind(
        code="poison.push", words="was turned to far more in one group than anywhere else", action=Action.DOWN_WEIGHT, weight=0.25
    ),
    "surge": Kind(
        code="poison.surge", words="grew beyond its history among people whom it does not suit", action=Action.DOWN_WEIGHT, weight=0.75
    ),
    "pusher": Kind(code="poison.push", words="turned to a pushed item together with others that it does not suit", weight=0.5),
    "copy": Kind(code="poison.near-duplicate", words="repeats another account", action=Action.DOWN_WEIGHT, weight=0.5),
}


def _limits() -> Limits:
    return Limits(alpha=0.02, shares={"item": 2.0, "contributor": 1.0})


@dataclass(frozen=True)
class Tastes:
    """Judges who turned to which item, before a recommender learns it.

    `table` is a raw table with a row for each time that `user` turned to `item`; with `event`, only rows whose `event` is one of
    `events` count as that. It sees an item that one group (a channel, a batch, two days, …) turned to more than history and all the
    others make expected; accounts that repeat another's profile; and growth among people whom the item does not
    suit. An item is quarantined in these rows, and the new accounts with it, only if lift is confirmed by misfit or copies; all else is
    thinned to what was expected. What is normal is learned by replaying history (`Norms`, kept in the state); without
    enough of it only a note is left. `caps` bound what one account, or new ones together, may weigh.
    """

    table: str
    user: str = "user_id"
    item: str = "item_id"
    time: str | None = None
    event: str | None = None
    events: tuple[str, ...] = ()
    limits: Limits = field(default_factory=_limits)
    caps: Caps = field(default_factory=Caps)

    @property
    def name(self) -> str:
        return f"tastes/{self.table}"

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        fresh: Fresh = evidence.inputs["fresh"][self.table]
        if not fresh.new.height:
            return Verdict(gate=self.name, digest=artifact.digest, state=evidence.state)
        seed = int(evidence.inputs.get("seed", 0))
        columns = Columns(user=self.user, item=self.item, time=self.time or fresh.time, event=self.event, events=self.events)
        data = adoptions(fresh, columns, fresh.axes)
        now, past = rounds(data, fresh.axes)
        caps = admitted(fresh, self.caps, item=self.item, seed=seed)
        if not past:
            return Verdict(gate=self.name, digest=artifact.digest, findings=(*caps, *self._untold(data)), state=evidence.state)
        usual = remembered(evidence.state, now) or norms(past, len(data.users))
        champion = cast("Ranker", fresh.champion) if hasattr(fresh.champion, "recommend") else None
        case = self._case(data, now, usual, seed, champion)
        found = self._found(case, now)
        return Verdict(gate=self.name, digest=artifact.digest, findings=(*found, *caps), state={"norms": usual.to_json()})

    def _case(self, data: Adoptions, now: Round, usual: Norms, seed: int, champion: Ranker | None) -> Case:
        crowd, alpha = crowd_of(now, len(data.users)), self.limits.alpha / 2
        return Case(data=data, now=now, crowd=crowd, norms=usual, copies=copies(data, crowd), seed=seed, alpha=alpha, champion=champion)

    def _found(self, case: Case, now: Round) -> tuple[Finding, ...]:
        import numpy as np

        suspicions = [*pushed(case, lifted(case)), *surged(case), *copied(case)]
        tested = {"item": case.items, "contributor": len(np.unique(now.fresh_users))}
        return decide(suspicions, KINDS, table=self.table, tested=tested, rows=case.data.rows.height, limits=self.limits)

    def _untold(self, data: Adoptions) -> tuple[Finding, ...]:
        """A note, if there is too little history to tell what is normal."""
        if not data.new.height:
            return ()
        note = Finding(
            severity=Severity.NOTE,
            code="gate.no-history",
            subject=f"table:{self.table}",
            message=f"{data.history.height} adoptions are too few to tell what is normal: {LEAST_HISTORY} expected. Nothing was judged",
            evidence={"history": data.history.height, "expected": LEAST_HISTORY},
            table=self.table,
        )
        return (note,)
