"""Gates: the two under test, by name; and two that need no test, an idle one and an oracle, to test the bench itself."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.core.artifact import Artifact
from headwater.core.gate import Action, Evidence, Finding, Gate, Severity, Verdict

__all__ = ["Idle", "Oracle", "Together", "labels", "tastes"]


def labels(table: str, label: str, features: tuple[str, ...]) -> Gate:
    """The gates of classifiers: what is said, and how much of it."""
    from headwater.gates.admission import Admission
    from headwater.gates.labels import Labels

    return Together((Labels(table=table, label=label, features=features), Admission(table=table)))


def tastes(table: str, user: str, item: str) -> Gate:
    """The gate of recommenders; it has admission in it."""
    from headwater.gates.tastes import Tastes

    return Tastes(table=table, user=user, item=item)


@dataclass(frozen=True)
class Together:
    """All of them are asked, as the pipeline asks them; each keeps its own memory."""

    gates: tuple[Gate, ...]
    name: str = "together"

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        said = [gate.judge(artifact, Evidence(inputs=evidence.inputs, state=evidence.state.get(gate.name, {}))) for gate in self.gates]
        findings = tuple(finding for verdict in said for finding in verdict.findings)
        return Verdict(gate=self.name, digest=artifact.digest, findings=findings, state={one.gate: one.state for one in said})


@dataclass(frozen=True)
class Idle:
    """Sees nothing."""

    name: str = "idle"

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        return Verdict(gate=self.name, digest=artifact.digest)


@dataclass(frozen=True)
class Oracle:
    """Was told who they are, as groups of the axis `contributor`."""

    guilty: frozenset[str]
    name: str = "oracle"

    def judge(self, artifact: Artifact, evidence: Evidence) -> Verdict:
        found = tuple(
            Finding(
                severity=Severity.REVIEW,
                code="poison.told",
                subject=f"contributor:{name}",
                message="was told",
                action=Action.QUARANTINE,
            )
            for name in sorted(self.guilty)
        )
        return Verdict(gate=self.name, digest=artifact.digest, findings=found)
