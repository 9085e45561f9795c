"""Pipeline: what the user declares, in one place and in the order of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.collect.table import Table
from headwater.core.errors import UsageError
from headwater.core.names import check_name

if TYPE_CHECKING:
    from headwater.core.gate import Gate
    from headwater.monitor.probe import Probe
    from headwater.pipeline.project import Project
    from headwater.process.step import Step
    from headwater.retrain.policy import Policy
    from headwater.train.trainer import Trainer

__all__ = ["Pipeline"]


@dataclass(frozen=True)
class Pipeline:
    """One pipeline: tables in, steps, a trainer, what is watched, and when it trains again. It makes one model.

    `gates` judge what is new before it is learned from; unless named, those that fit the tables and the trainer do (see
    `headwater.gates`). An empty sequence turns them off.

    Raises `UsageError` at once for a name that is used twice or a step that reads what is not there.
    """

    name: str
    collect: Sequence[Table]
    process: Sequence[Step] = ()
    train: Trainer | None = None
    monitor: Sequence[Probe] = ()
    retrain: Policy | None = None
    gates: Sequence[Gate] | None = None

    def __post_init__(self) -> None:
        check_name(self.name, "pipeline")
        names = [table.name for table in self.collect] + [step.name for step in self.process]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"pipeline {self.name}: {twice[0]!r} is declared twice")

    def project(self, folder: str = ".", profile: str = "default") -> Project:
        """This pipeline where `folder`'s headwater.toml says it runs."""
        from headwater.pipeline.project import Project

        return Project.open(folder, profile=profile, pipeline=self)

    def run(self, folder: str = ".", profile: str = "default") -> Any:
        """Carry everything new from the sources to the deployment, as `headwater run` does."""
        return self.project(folder, profile).run()

    def why(self, subject: str, folder: str = ".", profile: str = "default") -> Any:
        """What a model or a prediction was made from, as `headwater why` says."""
        return self.project(folder, profile).why(subject)
