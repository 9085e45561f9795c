"""Build: what the spec and the profile name becomes real; sources, engines and frameworks are injected here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard

from headwater.collect.source import Cursor, Source
from headwater.collect.table import Table
from headwater.connectors import registry as connectors
from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean
from headwater.deploy.predictor import Classes
from headwater.pipeline.profile import Profile, SourceSpec
from headwater.pipeline.spec import Pipeline
from headwater.pipeline.spooled import FEEDBACK, PREDICTIONS, SPOOLED
from headwater.train.certificate import CERTIFIED, Voting, radii, voting

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from headwater.core.artifact import Fact
    from headwater.deploy.deployment import Deployment
    from headwater.process.engine import Engine
    from headwater.train.certificate import Learned
    from headwater.train.examples import Feature
    from headwater.train.model import Model
    from headwater.train.registry import Registry
    from headwater.train.trainer import Ranker

__all__ = [
    "FRAMEWORKS", "Served", "ServedClassifier", "ServedRanker", "all_tables", "engine", "is_classifier", "load_served", "predictor_of",
    "read_tables", "source_specs", "sources", "span",
]  # fmt: skip


FRAMEWORKS = {
    "factors": "headwater.frameworks.factors:predictor",
    "sklearn": "headwater.frameworks.sklearn.kept:predictor",
}
"""Framework → what makes a predictor of arrays and parameters. Other packages add rows by entry points of the group
`headwater.frameworks`: the entry's name is the framework, its value such a function."""


@dataclass(frozen=True)
class ServedRanker:
    """A recommender of the registry, as a server holds it: its predictor under its deployment's names."""

    predictor: Ranker
    name: str
    version: str
    digest: str

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]:
        """What the model recommends."""
        return self.predictor.recommend(user, history=history, k=k)


@dataclass(frozen=True)
class ServedClassifier:
    """A classifier of the registry, as a server holds it; a certified one says with each answer how sure it is of it."""

    predictor: Learned
    name: str
    version: str
    digest: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes, as text."""
        return self.predictor.labels

    @property
    def features(self) -> tuple[Feature, ...]:
        """What every row must have."""
        return self.predictor.features

    def classify(self, rows: pl.DataFrame) -> list[Classes]:
        """What the model tells of each row."""
        import numpy as np

        certain: list[int | None] = [None] * rows.height
        if isinstance(self.predictor, Voting):
            votes = self.predictor.votes(rows)
            shares, certain = votes / votes.sum(axis=1, keepdims=True), radii(votes).tolist()
        else:
            shares = self.predictor.probabilities(rows)
        best = np.argsort(-shares, axis=1, kind="stable")  # of equals the first label is first
        return [
            Classes(tuple((self.labels[at], float(row[at])) for at in order), radius)
            for row, order, radius in zip(shares, best, certain, strict=True)
        ]


Served = ServedRanker | ServedClassifier


def all_tables(pipeline: Pipeline) -> list[Table]:
    """Every table that is collected: the declared ones, then those that serving writes."""
    declared = {table.name for table in pipeline.collect}
    return [*pipeline.collect, *(table for table in SPOOLED if table.name not in declared)]


def read_tables(pipeline: Pipeline) -> list[Table]:
    """The tables that belong to the pipeline's snapshot: the declared ones, and those of serving that a step reads."""
    read = {name for step in pipeline.process for name in step.inputs}
    return [table for table in all_tables(pipeline) if table in pipeline.collect or table.name in read]


def source_specs(profile: Profile, pipeline: Pipeline) -> dict[str, SourceSpec]:
    """Every source by name. Raises `UsageError` for one that feeds a table which the pipeline does not declare."""
    tables = {table.name for table in all_tables(pipeline)}
    for name, spec in profile.sources.items():
        if spec.table not in tables:
            raise UsageError(
                f"headwater.toml [{profile.name}].sources.{name} feeds the table {spec.table!r}. {did_you_mean(spec.table, tables)}"
            )
    spool = {
        "served-predictions": SourceSpec(table=PREDICTIONS.name, url="predictions/*.jsonl"),
        "served-feedback": SourceSpec(table=FEEDBACK.name, url="feedback/*.jsonl", contributor_asserted_by="source"),
    }
    return {**profile.sources, **spool}


def sources(profile: Profile, pipeline: Pipeline) -> Iterator[tuple[Source, Table]]:
    """Every source, opened, with the table it feeds."""
    tables = {table.name: table for table in all_tables(pipeline)}
    for name, spec in source_specs(profile, pipeline).items():
        table = tables[spec.table]
        root = profile.spool if name.startswith("served-") else profile.root
        if name.startswith("served-") and not any((profile.spool / spec.table).glob("*.jsonl")):
            continue  # nothing was ever served
        yield connectors.open_source(spec.url, name=name, schema=table.checked().schema, root=root), table


def span(before: Cursor | None, after: Cursor | None) -> list[dict[str, Any]]:
    """What a source read between two cursors, in its own words."""
    return connectors.span(before, after)


def engine(profile: Profile) -> Engine:
    """The engine that the profile names."""
    if profile.engine != "local":
        raise UsageError(f"there is no engine {profile.engine!r} in this version. Known: local")
    from headwater.engines.local import LocalEngine

    return LocalEngine()


def load_served(registry: Registry, deployment: Deployment) -> Served:
    """The model that a deployment names: signature, chain and digests verified before anything of it is used."""
    model, arrays = registry.load(deployment.name, int(deployment.version), expect_digest=deployment.model_digest)
    made = predictor_of(model, arrays)
    named = {"name": model.name, "version": str(model.version), "digest": model.digest}
    return ServedClassifier(made, **named) if is_classifier(made) else ServedRanker(made, **named)  # type: ignore[arg-type]


def predictor_of(model: Model, arrays: Mapping[str, NDArray[Any]]) -> Ranker | Learned:
    """What a loaded model can do. Raises `UsageError` for a framework that nothing here makes predictors of."""
    framework = model.framework.removeprefix(CERTIFIED)
    make = _maker(framework, model.uri)
    return make(arrays, model.parameters) if framework == model.framework else voting(arrays, model.parameters, make)


def is_classifier(predictor: Ranker | Learned) -> TypeGuard[Learned]:
    """Whether it tells classes; else it recommends."""
    return hasattr(predictor, "probabilities")


def _maker(framework: str, uri: str) -> Callable[[Mapping[str, NDArray[Any]], Mapping[str, Fact]], Any]:
    from importlib.metadata import entry_points

    where = {entry.name: entry.value for entry in entry_points(group="headwater.frameworks")} | FRAMEWORKS
    if framework not in where:
        raise UsageError(f"{uri} was made by the framework {framework!r}, which cannot be served here. {did_you_mean(framework, where)}")
    module, _, name = where[framework].partition(":")
    found: Callable[[Mapping[str, NDArray[Any]], Mapping[str, Fact]], Any] = getattr(importlib.import_module(module), name)
    return found
