"""Gate: a rule that may refuse an artifact. No answer is not a yes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol

from headwater.core.artifact import Artifact, Fact
from headwater.core.errors import Refused

__all__ = ["Action", "Evidence", "Finding", "Gate", "RowName", "Severity", "Verdict", "judge", "require"]

RowName = tuple[str, int, int]
"""A row's name for ever: its source, batch and place in it."""


class Severity(IntEnum):
    """How much a finding weighs: only `BLOCK` stops the pipeline."""

    NOTE = 0
    REVIEW = 1
    BLOCK = 2


class Action(StrEnum):
    """What a gate asks for. Whatever it takes out is kept in the lake and can be put back exactly."""

    ACCEPT = "accept"
    DOWN_WEIGHT = "down-weight"
    QUARANTINE = "quarantine"
    ROLL_BACK = "roll-back"
    HOLD = "hold"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing a gate saw: a stable `code` for machines, a `message` for people, the evidence in numbers.

    `subject` is what it is about: `contributor:NAME`, `source:NAME`, `batch:SOURCE/NUMBER`, or any other group as
    `AXIS:GROUP`. If `rows` are named, `action` is about these only; else about all that the subject ever wrote.
    """

    severity: Severity
    code: str
    subject: str
    message: str
    evidence: Mapping[str, Fact] = field(default_factory=dict)
    action: Action = Action.ACCEPT
    table: str = ""
    rows: tuple[RowName, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a gate is given beside the artifact: named inputs, and the state it returned last time."""

    inputs: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A gate's answer about one artifact; `state` comes back to the gate as `Evidence.state` next time."""

    gate: str
    digest: str
    findings: tuple[Finding, ...] = ()
    state: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """True when nothing blocks."""
        return all(finding.severity < Severity.BLOCK for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, as the ledger keeps them."""
        return {
            "gate": self.gate,
            "digest": self.digest,
            "passed": self.passed,
            "findings": [
                {
                    "severity": f.severity.name.lower(),
                    "code": f.code,
                    "subject": f.subject,
                    "message": f.message,
                    "evidence": dict(f.evidence),
                    "action": f.action.value,
                    "table": f.table,
                    "rows": len(f.rows),
                }
                for f in self.findings
            ],
        }


class Gate(Protocol):
    """The law of gates: reads what it is given, changes nothing, same input same verdict, a crash refuses."""

    @property
    def name(self) -> str: ...

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict: ...


def judge(gate: Gate, artifact: Artifact, evidence: Evidence) -> Verdict:
    """Ask a gate. A gate that crashes, or answers about something else, refuses."""
    try:
        verdict = gate.judge(artifact, evidence)
        if not isinstance(verdict, Verdict) or verdict.digest != artifact.digest:
            raise TypeError(f"gate {gate.name} gave no verdict on {artifact.digest}")
    except Exception as error:  # noqa: BLE001 - the one place where any error means "no"
        crash = Finding(
            severity=Severity.BLOCK,
            code="gate.crashed",
            subject=artifact.uri,
            message=f"{type(error).__name__} in gate {gate.name}",
        )
        return Verdict(gate=gate.name, digest=artifact.digest, findings=(crash,))
    return verdict


def require(verdict: Verdict) -> None:
    """Raise `Refused` unless the verdict passed."""
    if not verdict.passed:
        blocking = [f for f in verdict.findings if f.severity is Severity.BLOCK]
        why = "; ".join(f"{f.code}: {f.message}" for f in blocking[:3])
        raise Refused(f"gate {verdict.gate} refused {verdict.digest[:19]}: {why}", verdict)
