"""The law of gates as tests: reads what it is given, changes nothing, fails closed, and remembers only what the verdict holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Artifact
from headwater.core.gate import Action, Evidence, Gate, Verdict, judge

if TYPE_CHECKING:
    from headwater.retrain.fresh import Fresh

__all__ = ["GateLaws", "shuffled"]

PREPARED = Artifact(uri="lake:prepared/judged", digest="sha256:" + "1" * 64)
OTHER = "sha256:" + "2" * 64


class GateLaws:
    """Inherit it, and give the fixtures `gate` and `evidence`; `evidence.inputs["fresh"]` holds the tables that it judges,
    with something in them that it finds."""

    def test_what_it_is_given_is_not_changed(self, gate: Gate, evidence: Evidence) -> None:
        before = {name: (one.new.clone(), one.history.clone()) for name, one in _tables(evidence).items()}
        state = deepcopy(dict(evidence.state))
        _asked(gate, evidence)
        assert dict(evidence.state) == state
        for name, one in _tables(evidence).items():
            assert one.new.equals(before[name][0])
            assert one.history.equals(before[name][1])

    def test_the_same_evidence_gives_the_same_verdict(self, gate: Gate, evidence: Evidence) -> None:
        assert _asked(gate, evidence) == _asked(gate, evidence)

    def test_the_order_of_the_rows_makes_no_difference(self, gate: Gate, evidence: Evidence) -> None:
        expected = _asked(gate, evidence)
        for seed in (3, 4):
            assert _asked(gate, shuffled(evidence, seed)) == expected

    def test_it_remembers_nothing_but_what_comes_with_the_evidence(self, gate: Gate, evidence: Evidence) -> None:
        expected = _asked(gate, evidence)
        less = {name: replace(one, new=one.new.head(one.new.height // 2)) for name, one in _tables(evidence).items()}
        _asked(gate, replace(evidence, inputs={**evidence.inputs, "fresh": less}))
        assert _asked(gate, evidence) == expected

    def test_its_memory_is_plain_json_and_comes_back_as_such(self, gate: Gate, evidence: Evidence) -> None:
        state = dict(_asked(gate, evidence).state)
        written = json.loads(json.dumps(state, allow_nan=False))
        assert written == state
        assert _asked(gate, replace(evidence, state=written)) == _asked(gate, replace(evidence, state=state))

    def test_contributors_are_remembered_by_pseudonym_only(self, gate: Gate, evidence: Evidence) -> None:
        inputs = {**evidence.inputs, "pseudonym": lambda name: f"p:{abs(hash(('gate', name))):x}"}
        state = _asked(gate, replace(evidence, inputs=inputs)).state
        people: set[str] = set()
        for one in _tables(evidence).values():
            for frame in (one.new, one.history):
                people |= {str(name) for column in _naming(one) for name in frame[column].unique()}
        assert people.isdisjoint(_texts(state))

    def test_a_contributor_is_named_by_the_subject_only(self, gate: Gate, evidence: Evidence) -> None:
        for finding in _asked(gate, evidence).findings:
            axis, _, group = finding.subject.partition(":")
            if axis == "contributor":
                assert group not in finding.message
                assert group not in set(_texts(finding.evidence))

    def test_its_answer_is_about_what_it_was_asked_and_in_its_name(self, gate: Gate, evidence: Evidence) -> None:
        verdict = _asked(gate, evidence)
        assert (verdict.gate, verdict.digest) == (gate.name, PREPARED.digest)
        json.dumps(verdict.to_json(), allow_nan=False)

    def test_whatever_it_takes_out_is_there(self, gate: Gate, evidence: Evidence) -> None:
        found = [finding for finding in _asked(gate, evidence).findings if finding.action is not Action.ACCEPT]
        assert found, "give evidence in which the gate finds something"
        for finding in found:
            one = _tables(evidence)[finding.table]
            names = {name for frame in (one.new, one.history) for name in frame.select("_source", "_batch", "_row").iter_rows()}
            assert set(finding.rows) <= names
            assert len(set(finding.rows)) == len(finding.rows)
            if finding.action is Action.DOWN_WEIGHT:
                assert finding.rows

    def test_without_its_evidence_it_refuses(self, gate: Gate, evidence: Evidence) -> None:
        assert not judge(gate, PREPARED, Evidence()).passed
        broken = {name: replace(one, new=one.new.drop("_row")) for name, one in _tables(evidence).items()}
        assert not judge(gate, PREPARED, replace(evidence, inputs={**evidence.inputs, "fresh": broken})).passed

    def test_an_answer_about_something_else_refuses(self, gate: Gate, evidence: Evidence) -> None:
        verdict = judge(_Astray(gate), PREPARED, evidence)
        assert [finding.code for finding in verdict.findings] == ["gate.crashed"]
        assert not verdict.passed


def shuffled(evidence: Evidence, seed: int) -> Evidence:
    """The same evidence, its rows in another order."""

    def other(one: Fresh) -> Fresh:
        new, history = (frame.sample(fraction=1.0, shuffle=True, seed=seed) for frame in (one.new, one.history))
        return replace(one, new=new, history=history)

    return replace(evidence, inputs={**evidence.inputs, "fresh": {name: other(one) for name, one in _tables(evidence).items()}})


@dataclass(frozen=True)
class _Astray:
    """A gate that answers about something else."""

    gate: Gate

    @property
    def name(self) -> str:
        return self.gate.name

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        return replace(self.gate.judge(artifact, evidence), digest=OTHER)


def _asked(gate: Gate, evidence: Evidence) -> Verdict:
    verdict = judge(gate, PREPARED, evidence)
    assert all(finding.code != "gate.crashed" for finding in verdict.findings), verdict.findings
    return verdict


def _tables(evidence: Evidence) -> Mapping[str, Fresh]:
    tables: Mapping[str, Fresh] = evidence.inputs["fresh"]
    return tables


def _naming(one: Fresh) -> list[str]:
    """The columns that name contributors."""
    named = ["_by_contributor"] if "contributor" in one.axes else []
    return named + ([one.contributor] if one.contributor in one.new.columns else [])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
