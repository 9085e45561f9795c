"""Loading the user's pipeline file: his code runs, his mistakes are told in one line."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from headwater.core.errors import HeadwaterError, UsageError
from headwater.pipeline.spec import Pipeline

__all__ = ["load_pipeline"]


def load_pipeline(root: Path, file: str) -> Pipeline:
    """Run `file` of the project in `root` and return its `pipeline`.

    Raises `UsageError` naming the line that failed, or saying that there is no `pipeline = Pipeline(...)`.
    """
    path = root / file
    if not path.is_file():
        raise UsageError(f"{path} is missing: headwater.toml says that the pipeline is there. Type: headwater init, or set pipeline = …")
    name = f"headwater_project_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that what the file defines can be found again by what it defines
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        spec.loader.exec_module(module)
    except HeadwaterError:
        raise
    except Exception as error:
        raise UsageError(f"{file}{_line(error, path)}: {type(error).__name__}: {error}") from error
    pipeline = getattr(module, "pipeline", None)
    if not isinstance(pipeline, Pipeline):
        raise UsageError(f"{file} has no pipeline: expected  pipeline = Pipeline(…)  at its top level")
    return pipeline


def _line(error: Exception, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f" line {error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    return f" line {lines[-1]}" if lines else ""
