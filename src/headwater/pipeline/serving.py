"""Serving: the project's server, assembled and run until it is told to stop."""

from __future__ import annotations

from pathlib import Path

from headwater.deploy.bounds import Limits
from headwater.deploy.deployment import pointer_path
from headwater.deploy.rest import create_app
from headwater.deploy.segment import Sealed
from headwater.deploy.server import serve as run_server
from headwater.deploy.serving import Serving
from headwater.deploy.spool import Spool
from headwater.pipeline.build import load_served
from headwater.pipeline.project import Project

__all__ = ["serve"]


def serve(folder: str | Path, profile: str, *, host: str | None = None, port: int | None = None) -> None:
    """Serve what is deployed; follow it when it changes; stop cleanly on SIGTERM."""
    project = Project.open(folder, profile=profile)
    project.deployments.current(project.pipeline.name)  # a pointer that a killed promotion left behind is brought up to date
    pointer = pointer_path(project.lake.root / "deployments", project.pipeline.name)
    serving = Serving(pointer, project.keys, lambda deployment: load_served(project.registry, deployment))
    serving.start()
    settings = project.profile.serve

    def flushed(sealed: Sealed) -> None:
        project.ledger.append("flushed", {"stream": sealed.stream, "file": sealed.file, "rows": sealed.rows, "digest": sealed.digest})

    spool = Spool(project.profile.spool, on_flush=flushed)
    app = create_app(
        serving,
        keys=project.keys,
        spool=spool,
        auth=settings.auth,
        limits=Limits(contributor_per_s=settings.rate, contributor_burst=5 * settings.rate),
    )
    run_server(app, host=host or settings.host, port=settings.port if port is None else port)
