"""Acting: what the pipeline does with a verdict. Which rows are out, who was named, and whether a person must decide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Artifact
from headwater.core.digest import json_digest
from headwater.core.gate import Action, Evidence, Finding, Gate, RowName, Severity, judge
from headwater.retrain.fresh import GROUP, Fresh

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

__all__ = ["Outcome", "ask", "pseudonym"]

TAKES_OUT = (Action.QUARANTINE, Action.ROLL_BACK, Action.DOWN_WEIGHT)
ACCUSES = (Action.QUARANTINE, Action.ROLL_BACK)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of asking a gate about one round.

    `new` and `history` say which rows are still in; `named` are the contributors (as groups) that it holds for poisoned
    or has for review, `out` those of them who were taken out whole; `findings` are the ones that act, block or are for
    review; `state` is for the next round. `held`: nothing may be trained.
    """

    new: NDArray[np.bool_]
    history: NDArray[np.bool_]
    named: frozenset[str]
    out: frozenset[str]
    groups: frozenset[str]
    held: bool
    findings: tuple[Finding, ...]
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def alarm(self) -> bool:
        """Whether anybody would be called."""
        return bool(self.findings)


def pseudonym(name: str) -> str:
    """Stands for the project's key: a word that says nothing, always the same for a name."""
    return "p" + json_digest(["pseudonym", name])[7:23]


def ask(gate: Gate, fresh: Fresh, *, seed: int, state: Mapping[str, Any] | None = None) -> Outcome:
    """Ask the gate as the pipeline does, and act on what it says. A gate that crashes is an error here, not a "no"."""
    artifact = Artifact(uri="bench:prepared", digest=json_digest([fresh.table, fresh.new.height, fresh.history.height, seed]))
    evidence = Evidence(inputs={"fresh": {fresh.table: fresh}, "seed": seed, "pseudonym": pseudonym}, state=state or {})
    verdict = judge(gate, artifact, evidence)
    if any(finding.code == "gate.crashed" for finding in verdict.findings):
        gate.judge(artifact, evidence)
        raise AssertionError("the gate crashed once and not again")
    loud = tuple(f for f in verdict.findings if f.severity >= Severity.REVIEW or f.action is not Action.ACCEPT)
    groups = frozenset(f.subject for f in loud if f.action in ACCUSES and not f.rows and ":" in f.subject)
    poison = [f for f in loud if f.code.startswith("poison.")]
    return Outcome(
        new=_kept(fresh.new, loud),
        history=_kept(fresh.history, loud),
        named=frozenset(f.subject.partition(":")[2] for f in poison if f.subject.startswith("contributor:")),
        out=frozenset(one.partition(":")[2] for one in groups if one.startswith("contributor:")),
        groups=groups,
        held=any(f.severity is Severity.BLOCK or f.action is Action.HOLD for f in verdict.findings),
        findings=loud,
        state=verdict.state,
    )


def _kept(frame: pl.DataFrame, findings: tuple[Finding, ...]) -> NDArray[np.bool_]:
    import polars as pl

    kept = pl.repeat(True, frame.height, eager=True)
    rows: set[RowName] = set()
    for finding in findings:
        if finding.action not in TAKES_OUT:
            continue
        axis, _, group = finding.subject.partition(":")
        if finding.rows:
            rows.update(finding.rows)
        elif GROUP + axis in frame.columns:
            kept &= (frame[GROUP + axis] != group).fill_null(True)
        else:
            raise ValueError(f"no such group to take out: {finding.subject!r}")
    if rows:
        gone = pl.DataFrame(sorted(rows), schema={"_source": pl.String, "_batch": pl.Int64, "_row": pl.Int64}, orient="row")
        there = frame.select("_source", "_batch", "_row").join(
            gone.with_columns(_gone=pl.lit(True)), on=gone.columns, how="left", maintain_order="left"
        )
        kept &= there["_gone"].is_null()
    return kept.to_numpy()
