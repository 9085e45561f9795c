"""Decide: from what the tests say about groups to findings, with the chance of any false alarm in a retraining bounded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headwater.core.artifact import Fact
from headwater.core.gate import Action, Finding, Severity
from headwater.core.names import printable
from headwater.gates.suspicion import Suspicion

__all__ = ["Kind", "Limits", "decide"]

_STRENGTH = (Action.ACCEPT, Action.DOWN_WEIGHT, Action.QUARANTINE, Action.ROLL_BACK, Action.HOLD)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What an alarm of one test means. `words` follow the group's name: `writes labels that …`.

    `weight` is the test's share of what its axis may spend on false alarms; the weights of the tests that one group can
    be given sum to 1 at most.
    """

    code: str
    words: str
    action: Action = Action.QUARANTINE
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How sure a gate must be, and how much it may take out before a person must say so.

    `alpha` is the chance of any alarm when nothing is wrong; `shares` divides it among axes (1 for an axis that is not named).
    """

    alpha: float = 0.04
    shares: Mapping[str, float] = field(default_factory=lambda: {"contributor": 4.0, "round": 2.0})
    most_rows: float = 0.3
    most_groups: float = 0.34


def decide(
    suspicions: Sequence[Suspicion],
    kinds: Mapping[str, Kind],
    *,
    table: str,
    tested: Mapping[str, int],
    rows: int,
    limits: Limits | None = None,
) -> tuple[Finding, ...]:
    """One finding for every group that the tests are sure about; none for the others.

    `kinds` says what each `Suspicion.test` means; `tested` how many groups of each axis were judged, with those about
    which nothing was suspected; `rows` how many rows there are, new and accepted before. Tests of one group are combined by
    weighted Bonferroni, which holds however they depend on each other; groups of one axis by Benjamini & Hochberg
    (1995); axes share `alpha`. If all p-values are valid, nothing is wrong and groups are independent, the chance of any
    finding is at most `alpha`. A finding about named rows asks for these only. If too much would go, or a source as a
    whole, one more finding holds the training.
    """
    limits = limits or Limits()
    total = sum(limits.shares.get(axis, 1.0) for axis in tested)
    findings: list[Finding] = []
    for axis in sorted(tested):
        level = limits.alpha * limits.shares.get(axis, 1.0) / total
        for (first, *others), p, q, needed in _alarms([s for s in suspicions if s.axis == axis], kinds, max(tested[axis], 1), level):
            findings.append(_finding(first, others, kinds, table, {"p": p, "q": q, "threshold": needed, "level": level}))
    return (*findings, *_holds(findings, table, tested, rows, limits))


def _alarms(
    suspicions: Sequence[Suspicion], kinds: Mapping[str, Kind], tested: int, level: float
) -> list[tuple[list[Suspicion], float, float, float]]:
    """The groups of one axis that Benjamini & Hochberg reject at `level`: suspicions (strongest first), p, q, the p that was needed."""
    by_group: dict[str, list[tuple[float, str, Suspicion]]] = {}
    for suspicion in suspicions:
        by_group.setdefault(suspicion.group, []).append((suspicion.p / kinds[suspicion.test].weight, suspicion.test, suspicion))
    ranked = sorted((min(min(p for p, _, _ in found), 1.0), group) for group, found in by_group.items())
    tested = max(tested, len(ranked))
    rejected = max((rank for rank, (p, _) in enumerate(ranked, 1) if p <= level * rank / tested), default=0)
    alarms, q = [], 1.0
    for rank in range(len(ranked), 0, -1):
        p, group = ranked[rank - 1]
        q = min(q, p * tested / rank)
        if rank <= rejected:
            found = [s for _, _, s in sorted(by_group[group], key=lambda item: item[:2])]
            alarms.append((found, p, q, level * rejected / tested))
    return alarms[::-1]


def _finding(first: Suspicion, others: Sequence[Suspicion], kinds: Mapping[str, Kind], table: str, sure: Mapping[str, float]) -> Finding:
    """`first` alone crossed the line surely; the others that crossed it with it may ask for a stronger action."""
    crossed = [s for s in others if s.p / kinds[s.test].weight <= sure["threshold"]]
    action = max((kinds[s.test].action for s in (first, *crossed)), key=_STRENGTH.index)
    evidence: dict[str, Fact] = {**first.numbers, "records": first.records, "test": first.test, **sure}
    for other in others:
        evidence[f"p.{other.test}"] = other.p
    whole = any(not s.rows for s in (first, *crossed) if kinds[s.test].action is action)
    named = () if whole else tuple(sorted({row for s in (first, *crossed) for row in s.rows}))
    return Finding(
        severity=Severity.BLOCK if action is Action.HOLD else Severity.REVIEW,
        code=kinds[first.test].code,
        subject=f"{first.axis}:{first.group}",
        message=_message(first, kinds[first.test].words),
        evidence=evidence,
        action=action,
        table=table,
        rows=named,
    )


def _message(suspicion: Suspicion, words: str) -> str:
    """In words. Who a contributor is, the subject says: the ledger keeps messages, and no names."""
    who = "" if suspicion.axis == "contributor" else f"{printable(suspicion.group)} "
    return f"{suspicion.axis} {who}{words}"


def _holds(findings: Sequence[Finding], table: str, tested: Mapping[str, int], rows: int, limits: Limits) -> list[Finding]:
    """A person decides when the remedy itself would be an event: an attacker may want honest people thrown out."""
    acting = [f for f in findings if f.action in (Action.QUARANTINE, Action.ROLL_BACK)]
    held = []
    for axis in sorted({f.subject.partition(":")[0] for f in acting}):
        mine = [f for f in acting if f.subject.startswith(f"{axis}:")]
        groups = sum(not f.rows for f in mine)
        taken = sum(len(f.rows) or int(f.evidence["records"] or 0) for f in mine)
        why = _too_much(axis, groups, tested[axis], taken, rows, limits)
        if why:
            numbers: dict[str, Fact] = {"groups": groups, "tested": tested[axis], "taken": taken, "rows": rows}
            held.append(_hold(table, why, numbers))
    return held


def _too_much(axis: str, groups: int, tested: int, taken: int, rows: int, limits: Limits) -> str:
    if axis == "source" and groups:
        return "A whole source would be taken out"
    if groups and groups == tested and axis != "contributor":
        return f"All that is new on axis {axis} would be taken out"
    if groups >= 2 and groups > limits.most_groups * tested:
        return f"{groups} of {tested} groups of axis {axis} would be taken out"
    if taken > limits.most_rows * rows:
        return f"{taken} of {rows} rows would be taken out"
    return ""


def _hold(table: str, why: str, numbers: Mapping[str, Fact]) -> Finding:
    return Finding(
        severity=Severity.BLOCK,
        code="gate.too-much",
        subject=f"table:{table}",
        message=f"{why}: too much to do without a person",
        evidence=numbers,
        action=Action.HOLD,
        table=table,
    )
