"""Champion: whether a new model takes the place of the one that serves. Decided once, by a stated test, and remembered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headwater.core.digest import json_digest
from headwater.core.errors import DataError, UsageError
from headwater.pipeline.exclude import taken_out
from headwater.retrain.compare import Comparison, Outcome, Scores, compare, settle
from headwater.train.model import fitted_of
from headwater.train.trainer import Data, Trainer, Trial

if TYPE_CHECKING:
    from headwater.deploy.deployment import Deployment
    from headwater.pipeline.project import Project
    from headwater.train.model import Model

__all__ = ["Decided", "decide", "promote"]


@dataclass(frozen=True, kw_only=True)
class Decided:
    """What became of a model, and why; `comparison` is empty where there was nothing to compare with."""

    model: str
    champion: str | None
    outcome: Outcome
    why: str
    by: str = "test"
    comparison: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def decide(project: Project, model: Model, data: Data) -> Decided:
    """Promote, keep or hold `model`. The first is promoted unless persons must agree; the one that serves is kept.

    Champion and challenger are compared on what came after the champion's data: the first half of it (in time) may be
    learned from by the challenger, on the second half both are scored. That challenger has the parameters of `model`
    and is fitted for the comparison only.
    """
    champion = _serving(project)
    before = project.ledger.last("decided", model=model.digest)
    if before is not None and before.body["champion"] in (champion.model_digest if champion else None, model.digest):
        return Decided(**before.body)
    if champion is not None and champion.model_digest == model.digest:
        return Decided(model=model.digest, champion=model.digest, outcome="keep", why="it is the one that serves")
    if champion is None:
        decided = _alone(project, model, None, "it is the first: there is none to compare it with")
    elif (entry := taken_out(project, champion)) is not None:  # what learned from rows that a person took out is no measure
        decided = _alone(project, model, champion, f"the one that serves learned from rows that ledger entry {entry} took out")
    else:
        decided = _compared(project, model, champion, data)
    project.ledger.append("decided", decided.to_json())
    return decided


def promote(project: Project, version: str | None) -> Deployment:
    """Serve a version by a person's decision."""
    known = [str(number) for number in project.registry.versions(project.pipeline.name)]
    if not known or (version is not None and version not in known):
        raise UsageError(
            f"there is no version {version or ''} of {project.pipeline.name}. Known: {', '.join(known) or 'none yet: headwater run'}"
        )
    model, _ = project.registry.load(project.pipeline.name, int(version or known[-1]))
    champion = _serving(project)
    decided = Decided(
        model=model.digest, champion=champion.model_digest if champion else None, outcome="promote", why="a person decided", by="person"
    )
    project.ledger.append("decided", decided.to_json())
    return project.deployments.promote(project.pipeline.name, model=model.uri, digest=model.digest, version=str(model.version))


def _alone(project: Project, model: Model, champion: Deployment | None, why: str) -> Decided:
    """Without anything to hold it against: promoted, unless persons have to agree."""
    policy = project.pipeline.retrain
    outcome: Outcome = "promote"
    if policy is not None and policy.approve:
        outcome, why = "hold", f"{why}; it waits for {policy.approve} approvals. Type: headwater promote {model.version}"
    return Decided(model=model.digest, champion=champion.model_digest if champion else None, outcome=outcome, why=why)


def _compared(project: Project, model: Model, champion: Deployment, data: Data) -> Decided:
    trainer = project.pipeline.train
    assert trainer is not None
    policy = project.pipeline.retrain
    try:
        comparison = _comparison(project, trainer, model, champion, data)
    except DataError as error:
        why = f"it could not be compared: {error}. Type: headwater promote {model.version}"
        return Decided(model=model.digest, champion=champion.model_digest, outcome="hold", why=why)
    outcome, why = settle(comparison, approve=policy.approve if policy else 0)
    if outcome == "hold":
        why = f"{why}. Type: headwater promote {model.version}"
    return Decided(model=model.digest, champion=champion.model_digest, outcome=outcome, why=why, comparison=comparison.to_json())


def _comparison(project: Project, trainer: Trainer, model: Model, champion: Deployment, data: Data) -> Comparison:
    old, arrays = project.registry.load(champion.name, int(champion.version), expect_digest=champion.model_digest)
    until = old.facts.get("until_us")
    cut = trainer.between(data, int(until or 0))
    window = trainer.window(data, cut)
    parameters = {name: value for name, value in model.parameters.items() if name != "method"}
    challenger = trainer.fit(window.train, Trial(parameters=parameters, seed=trainer.seed))
    fitted = fitted_of(old, arrays)
    asked = json_digest([data.digest, cut])
    scored = [
        Scores(model=digest, data=asked, by_user=dict(zip(scores.subjects, scores.values[trainer.metric].tolist(), strict=True)))
        for digest, scores in (
            (champion.model_digest, trainer.score(fitted, window.holdout)),
            (model.digest, trainer.score(challenger, window.holdout)),
        )
    ]
    policy = project.pipeline.retrain
    bounds = {"margin": policy.margin, "min_users": policy.min_users} if policy else {}
    return compare(scored[0], scored[1], metric=trainer.metric, **bounds)  # type: ignore[arg-type]


def _serving(project: Project) -> Deployment | None:
    if project.ledger.last("deployed", name=project.pipeline.name) is None:
        return None
    return project.deployments.current(project.pipeline.name)
