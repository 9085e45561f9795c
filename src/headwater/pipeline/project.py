"""Project: a pipeline where it runs, opened. The verbs of the command line are its methods, each a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.core.keys import Keys
from headwater.core.secret import Secret
from headwater.ledger.entries import Ledger
from headwater.pipeline.load import load_pipeline
from headwater.pipeline.profile import Profile, read_profile
from headwater.pipeline.spec import Pipeline
from headwater.store.lake import Lake

if TYPE_CHECKING:
    from headwater.deploy.deployment import Deployment, Deployments
    from headwater.pipeline.run import Turn
    from headwater.trace.verify import Verified
    from headwater.train.registry import Registry

__all__ = ["Project"]


@dataclass(frozen=True)
class Project:
    """One profile of one project: its pipeline, keys, ledger and lake."""

    profile: Profile
    pipeline: Pipeline
    keys: Keys
    ledger: Ledger
    lake: Lake

    @classmethod
    def open(cls, folder: str | Path = ".", *, profile: str = "default", pipeline: Pipeline | None = None) -> Project:
        """Open the project in `folder`. Raises `UsageError` with what to type if a part of it is missing."""
        found = read_profile(Path(folder), profile)
        loaded = pipeline or load_pipeline(found.root, found.pipeline)
        keys = Keys(found.keys)
        return cls(profile=found, pipeline=loaded, keys=keys, ledger=Ledger(found.ledger, keys), lake=Lake(found.lake))

    @cached_property
    def registry(self) -> Registry:
        """The signed models."""
        from headwater.train.registry import Registry

        return Registry(self.lake.root / "models", self.keys)

    @cached_property
    def deployments(self) -> Deployments:
        """What serves, and what did."""
        from headwater.deploy.deployment import Deployments
        from headwater.pipeline.exclude import vouch

        return Deployments(self.lake.root / "deployments", self.ledger, check=lambda candidate: vouch(self, candidate))

    def run(self, *, until: str | None = None, progress: Callable[[str, int, float], None] | None = None) -> Turn:
        """Carry everything new from the sources to the deployment. Killed anywhere and run again, it ends the same."""
        from headwater.pipeline.run import run

        return run(self, until=until, progress=progress)

    def why(self, subject: str) -> dict[str, Any]:
        """What a model (`shop`, `shop@3`, a digest) or a prediction was made from."""
        from headwater.pipeline.answers import why

        return why(self, subject)

    def impact(self, subject: str) -> dict[str, Any]:
        """What `contributor:ID`, `source:NAME` or `batch:SOURCE/NUMBER` has reached."""
        from headwater.pipeline.answers import impact

        return impact(self, subject)

    def verify(self, progress: Callable[[int], None] | None = None) -> Verified:
        """Everything read again and held against the signed ledger."""
        from headwater.pipeline.answers import verify

        return verify(self, progress)

    def exclude(self, subject: str, *, since: str | None = None, source: str | None = None, why: str = "") -> dict[str, Any]:
        """Take out a contributor, source or batch: the last model without it serves again, the next run trains without it."""
        from headwater.pipeline.exclude import exclude

        return exclude(self, subject, since=since, source=source, why=why)

    def release(self, entry: int, *, why: str = "") -> dict[str, Any]:
        """Put back what a ledger entry took out, exactly as it was."""
        from headwater.pipeline.exclude import release

        return release(self, entry, why=why)

    def rollback(self, version: str | None = None) -> Deployment:
        """Serve an earlier model again, as a new epoch; running servers follow within two seconds."""
        return self.deployments.rollback(self.pipeline.name, version)

    def promote(self, version: str | None = None) -> Deployment:
        """Serve a version of the model (the newest by default) by a person's decision, which is remembered as one."""
        from headwater.pipeline.champion import promote

        return promote(self, version)

    def gc(self, *, keep: int = 10, dry_run: bool = False) -> Mapping[str, Any]:
        """Compact small files, and delete what neither a model nor one of the `keep` newest snapshots needs."""
        from headwater.pipeline.answers import collect_garbage

        return collect_garbage(self, keep=keep, dry_run=dry_run)

    def api_key(self, name: str, scopes: Sequence[str]) -> Secret:
        """Make an API key for the server; it is kept only as a hash."""
        from headwater.deploy.access import make_api_key

        return make_api_key(self.keys.folder, name, scopes)

    def _repr_html_(self) -> str:
        from html import escape

        parts = "".join(f"<li><code>{escape(t.name)}</code></li>" for t in self.pipeline.collect)
        return f"<b>{escape(self.pipeline.name)}</b> ({escape(self.profile.name)}), {self.ledger.head()[0]} ledger entries<ul>{parts}</ul>"
