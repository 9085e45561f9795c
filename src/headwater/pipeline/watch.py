"""Watch: the loop, for ever. Collect, look at what serves, and retrain when the policy says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from headwater.core.errors import Broken, HeadwaterError
from headwater.pipeline.look import request_now, tell_refused
from headwater.pipeline.project import Project
from headwater.pipeline.run import run

__all__ = ["watch"]


def watch(folder: str | Path, profile: str = "default", *, every_s: float = 10.0, turns: int | None = None) -> Iterator[str]:
    """Yield a line for each thing that happened. Everything it knows is in the ledger: kill it and start it again.

    A turn that fails is told and tried again at the next look; `Broken` ends it, since nothing can be trusted then.
    """
    project = Project.open(folder, profile=profile)
    done = 0
    while turns is None or done < turns:
        if done:
            time.sleep(every_s)
        done += 1
        try:
            yield from _look(project)
            tell_refused(project, None)
        except Broken:
            raise
        except HeadwaterError as error:
            yield f"not this time: {error}"
            tell_refused(project, str(error))


def _look(project: Project) -> Iterator[str]:
    collected = run(project, until="collect")
    rows = sum(part.rows for part in collected.collected)
    if rows:
        yield f"collected {rows:,} rows"
    request = request_now(project)
    if request is None:
        return
    project.ledger.append("request", {"trigger": request.trigger, "why": request.why, "tables": list(request.tables)})
    yield f"retraining: {request.why}"
    turn = run(project)
    if turn.decided:
        yield f"{turn.decided.outcome}: {turn.decided.why}"
