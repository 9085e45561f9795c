"""Build: what the spec and the profile name becomes real; sources, engines and frameworks are injected here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headwater.collect.source import Cursor, Source
from headwater.collect.table import Table
from headwater.connectors import registry as connectors
from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean
from headwater.pipeline.profile import Profile, SourceSpec
from headwater.pipeline.spec import Pipeline
from headwater.pipeline.spooled import FEEDBACK, PREDICTIONS, SPOOLED

if TYPE_CHECKING:
    from headwater.deploy.deployment import Deployment
    from headwater.frameworks.factors import FactorPredictor
    from headwater.process.engine import Engine
    from headwater.train.registry import Registry

__all__ = ["Served", "all_tables", "engine", "load_served", "read_tables", "source_specs", "sources", "span"]


@dataclass(frozen=True)
class Served:
    """A model of the registry, as a server holds it: its predictor under its deployment's names."""

    predictor: FactorPredictor
    name: str
    version: str
    digest: str

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]:
        """What the model recommends."""
        return self.predictor.recommend(user, history=history, k=k)


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
    from headwater.frameworks.factors import FRAMEWORK, predictor

    model, arrays = registry.load(deployment.name, int(deployment.version), expect_digest=deployment.model_digest)
    if model.framework != FRAMEWORK:
        raise UsageError(f"{model.uri} was made by the framework {model.framework!r}, which cannot be served here. Known: {FRAMEWORK}")
    made = predictor(arrays, model.parameters, name=model.name, version=model.version)
    return Served(predictor=made, name=model.name, version=str(model.version), digest=model.digest)
