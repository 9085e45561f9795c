"""Labels: the gate of classification pipelines. Who writes labels that neither neighbours nor the champion believe?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headwater.core.artifact import Artifact
from headwater.core.errors import DataError
from headwater.core.gate import Action, Evidence, Finding, Severity, Verdict
from headwater.gates.calibration import Past, history_key, looked_at, past
from headwater.gates.case import Case, champion_pushes, champion_tallies, contributors
from headwater.gates.decide import Kind, Limits, decide
from headwater.gates.drip import remember
from headwater.gates.labelled import Labelled, labelled
from headwater.gates.memory import Memory, recall, stored
from headwater.gates.rounds import class_shifts, pockets, pushes
from headwater.gates.suspects import news_of, of_contributors, of_others
from headwater.retrain.fresh import Fresh

__all__ = ["Labels"]

_WHO = {
    "neighbours": "nearby rows of others",
    "history": "nearby rows of others, over all it ever wrote,",
    "champion": "predictions of the serving model",
}
_POCKET = "has contradicted rows of that class that share a value which is rare in accepted rows"
_WEIGHTS = {"neighbours": 0.35, "history": 0.2, "champion": 0.3, "slow": 0.1, "shift": 0.05}


def _kinds(given: Collection[str] = tuple(_WEIGHTS)) -> dict[str, Kind]:
    """What each test's alarm means; tests that cannot be `given` leave their share to the others."""
    total = sum(_WEIGHTS[test] for test in given)
    weight = {test: _WEIGHTS[test] / total if test in given else 1e-9 for test in _WEIGHTS}
    kinds = {
        "slow": Kind(code="poison.slow", words="writes a few wrong labels, round after round", weight=weight["slow"]),
        "shift": Kind(code="poison.feature-shift", words="has features unlike accepted rows of the same class", weight=weight["shift"]),
        "class-shift": Kind(code="poison.feature-shift", words="has features unlike accepted rows of that class", weight=0.15),
        "pocket": Kind(code="poison.backdoor", words=_POCKET, weight=0.25),
        "pocket-learned": Kind(code="poison.backdoor", words=_POCKET, action=Action.ROLL_BACK, weight=0.25),
        "push": Kind(code="poison.label-flip", words="has more contradicted labels of that class than chance gives", weight=0.2),
        "push-champion": Kind(code="poison.label-flip", words="has more contradicted labels of that class than chance gives", weight=0.15),
    }
    for test, who in _WHO.items():
        for learned in (False, True):
            action = Action.ROLL_BACK if learned else Action.QUARANTINE
            end = "-learned" if learned else ""
            flip = f"writes labels that {who} contradict, and the changes go one way"
            noise = f"writes labels that {who} contradict; for review: mistakes and hard cases look the same"
            kinds[f"{test}.flip{end}"] = Kind(code="poison.label-flip", words=flip, action=action, weight=weight[test])
            kinds[f"{test}.noise{end}"] = Kind(code="poison.label-noise", words=noise, action=action, weight=weight[test])
    return kinds


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Judges the labels of a raw table's new rows against what was accepted before; see `docs/gates.md`.

    `features` are the columns by which rows are near each other (all numbers, booleans and texts of few values, if none is
    named). `neighbours` is how many have a say, `least` how many accepted rows there must be to judge by, `at_most` how many
    of them are looked at (a seeded choice; the time is bounded by it). `limits` says how often it may be wrong and how
    much it may take out without a person.
    """

    table: str
    label: str
    features: tuple[str, ...] = ()
    neighbours: int = 10
    least: int = 200
    at_most: int = 4000
    limits: Limits = field(default_factory=Limits)

    @property
    def name(self) -> str:
        return f"labels:{self.table}"

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        """The verdict on the table's new rows. The same evidence gives the same verdict in whatever order rows come."""
        fresh = evidence.inputs["fresh"].get(self.table)
        if not isinstance(fresh, Fresh):
            raise DataError(f"gate {self.name} was given no table {self.table!r}")
        findings, state = self._findings(fresh, evidence)
        return Verdict(gate=self.name, digest=artifact.digest, findings=findings, state=state)

    def _findings(self, fresh: Fresh, evidence: Evidence) -> tuple[tuple[Finding, ...], Mapping[str, Any]]:
        if not fresh.new.height:
            return (), evidence.state
        rows = labelled(fresh, self.label, self.features)
        if len(rows.history) < self.least or len(rows.classes) < 2:
            return self._without_history(rows, int(evidence.inputs.get("seed", 0))), evidence.state
        case, key = self._case(fresh, rows, evidence)
        findings = self._judged(case)
        after = _remembered(case, _caught(findings, case))
        return (*self._notes(case), *findings), stored(case.memory, after, key, case.past.to_json())

    def _case(self, fresh: Fresh, rows: Labelled, evidence: Evidence) -> tuple[Case, str]:
        seed = int(evidence.inputs.get("seed", 0))
        pseudonym = evidence.inputs.get("pseudonym", str)
        key = history_key(rows, self.label, self.neighbours, self.at_most, seed)
        known = looked_at(rows, at_most=self.at_most, seed=seed)
        cached = evidence.state.get("past", {})
        if cached.get("key") == key:
            before = Past.from_json(cached)
        else:
            before = past(known, classes=len(rows.classes), k=self.neighbours, key=key, seed=seed, pseudonym=pseudonym)
        champion = _asked(fresh.champion, rows)
        memory = recall(evidence.state, key)
        case = Case(
            rows=rows, known=known, past=before, memory=memory, champion=champion, k=self.neighbours, seed=seed, pseudonym=pseudonym
        )
        return case, key

    def _judged(self, case: Case) -> tuple[Finding, ...]:
        """Contributors first; the other axes are judged on what is left, so that one bad contributor does not take his batch with him."""
        import numpy as np

        axes = [axis for axis in case.rows.new.groups if axis in case.past.spreads]
        tested = {axis: len({g for g in case.rows.new.groups[axis] if g is not None}) for axis in axes}
        if "contributor" in tested:
            tested["contributor"] = len(contributors(case))
        tested["round"] = 1
        total = len(case.rows.new) + len(case.rows.history)
        suspicions = of_contributors(case) if "contributor" in tested else []
        given = (
            {"neighbours", "history", "shift"}
            | ({"slow"} if case.memory.rounds else set())
            | ({"champion"} if case.champion_cut else set())
        )
        kinds = _kinds(given)
        first = decide(suspicions, kinds, table=self.table, tested=tested, rows=total, limits=self.limits)
        kept = ~_caught(first, case) if first else np.ones(len(case.rows.new), dtype=bool)
        for axis in axes:
            if axis != "contributor":
                suspicions += of_others(case, axis, kept)
        suspicions += pushes(case, kept) + class_shifts(case, kept) + pockets(case, kept)
        return decide(suspicions, kinds, table=self.table, tested=tested, rows=total, limits=self.limits)

    def _without_history(self, rows: Labelled, seed: int) -> tuple[Finding, ...]:
        """Who stands out among the others is shown to a person, who chose to trust these rows; nothing is taken out."""
        told = self._note(
            "gate.no-history", f"too little was accepted before to judge {len(rows.new)} rows by; a person chose to trust them"
        )
        known = looked_at(replace(rows, history=rows.new), at_most=self.at_most, seed=seed)
        if len(known) < self.least or len(rows.classes) < 2 or "contributor" not in known.groups:
            return (told,)
        own = past(known, classes=len(rows.classes), k=self.neighbours, key="", seed=seed, pseudonym=str)
        case = Case(
            rows=rows,
            known=known,
            past=replace(own, tallies={}),
            memory=Memory(),
            champion=None,
            k=self.neighbours,
            seed=seed,
            pseudonym=str,
        )
        kinds = {test: replace(kind, action=Action.ACCEPT) for test, kind in _kinds(("neighbours", "shift")).items()}
        tested = {"contributor": len(contributors(case))}
        return (told, *decide(of_contributors(case), kinds, table=self.table, tested=tested, rows=len(rows.new), limits=self.limits))

    def _notes(self, case: Case) -> tuple[Finding, ...]:
        notes = []
        unknown = int((case.rows.new.given < 0).sum())
        if unknown:
            notes.append(
                self._note("gate.unknown-class", f"{unknown} new rows have a label that accepted rows hardly have: they were not judged")
            )
        if not case.past.spreads:
            notes.append(self._note("gate.little-history", "too few groups were accepted before to say what is honest: none was judged"))
        return tuple(notes)

    def _note(self, code: str, message: str) -> Finding:
        return Finding(severity=Severity.NOTE, code=code, subject=f"table:{self.table}", message=message, table=self.table)


def _asked(champion: Any, rows: Labelled) -> Any:
    """The champion's probabilities of the new rows, by our classes; None if it cannot say."""
    import numpy as np

    if champion is None or not hasattr(champion, "probabilities"):
        return None
    try:
        given = champion.probabilities(rows.new.frame)
    except DataError:
        return None
    columns = {name: i for i, name in enumerate(champion.labels)}
    shares = np.zeros((len(rows.new), len(rows.classes)))
    for i, name in enumerate(rows.classes):
        if name in columns:
            shares[:, i] = given[:, columns[name]]
    return shares


def _caught(findings: Sequence[Finding], case: Case) -> Any:
    """Which of the new rows a finding takes out."""
    import numpy as np

    rows = case.rows.new
    caught = np.zeros(len(rows), dtype=bool)
    named = {row for f in findings for row in f.rows}
    if named:
        caught |= np.array([name in named for name in rows.names(np.ones(len(rows), dtype=bool))])
    for finding in findings:
        axis, _, group = finding.subject.partition(":")
        if not finding.rows and axis in rows.groups and finding.action in (Action.QUARANTINE, Action.ROLL_BACK):
            caught |= rows.groups[axis] == group
    return caught


def _remembered(case: Case, caught: Any) -> Memory:
    """What to know next time, of rows that are let in: nothing of what is taken out counts as honest."""
    before, kept = case.memory, ~caught
    champion = dict(before.champion)
    for group, pairs in champion_tallies(case, kept).items():
        champion[group] = tuple(a + b for a, b in zip(champion.get(group, (0,) * len(pairs)), pairs, strict=True))
    seen = champion_pushes(case, kept)
    return Memory(
        rounds=before.rounds + 1,
        slow=remember(before.slow, news_of(case)),
        champion=champion,
        pushes=(*before.pushes, seen) if seen else before.pushes,
    )
