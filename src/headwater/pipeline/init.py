"""Init: a project out of the shop, or out of somebody's own file: keys, headwater.toml, a first pipeline."""

from __future__ import annotations

import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from headwater.core.errors import UsageError
from headwater.core.files import write_whole
from headwater.core.keys import Keys
from headwater.core.names import check_name, did_you_mean
from headwater.pipeline.infer import infer_pipeline

__all__ = ["init", "template"]

IGNORED = "lake/\nkeys/\nspool/\nledger.db*\nalerts.json\ndata/\n"


def template(name: str) -> Path:
    """The folder of an example: in the wheel, or beside the package in a checkout. Raises `UsageError` if there is none."""
    for home in (Path(str(files("headwater"))) / "examples", Path(str(files("headwater"))).parents[1] / "examples"):
        if (home / name / "headwater.toml").is_file():
            return home / name
    raise UsageError(f"there is no example {name!r}. {did_you_mean(name, ['shop'])}")


def init(folder: Path, source: str | None = None) -> dict[str, Any]:
    """Make a project in `folder`.

    `source` is `shop`, or a CSV, JSON lines or Parquet file that a contract and a first pipeline are inferred from;
    without one, only keys are made for a headwater.toml that is there. Nothing that exists is changed: `UsageError`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made: list[str] = []
    if source is None:
        if not (folder / "headwater.toml").exists():
            raise UsageError("what to begin from? Type: headwater init shop, or headwater init YOUR-FILE.csv")
    elif (folder / "headwater.toml").exists():
        raise UsageError(f"{folder / 'headwater.toml'} exists: nothing was changed. For another project, choose another folder with -C")
    elif source == "shop":
        made += _copied(template("shop"), folder)
    else:
        made += _inferred(folder, Path(source))
    if not (folder / "keys" / "trusted.json").exists():  # written last: without it nothing was ever signed with the others
        Keys.make(folder / "keys")
        made.append("keys/")
    if not (folder / ".gitignore").exists():
        write_whole(folder / ".gitignore", IGNORED.encode())
        made.append(".gitignore")
    return {"project": str(folder), "made": made, "next": _next(folder, source)}


def _next(folder: Path, source: str | None) -> str:
    there = "" if folder in (Path(), Path()) else f"cd {folder} && "
    return f"{there}python get_data.py && headwater run" if source == "shop" else f"{there}headwater run"


def _copied(origin: Path, folder: Path) -> list[str]:
    paths = [path for path in sorted(origin.iterdir()) if path.is_file() and path.suffix in (".py", ".toml", ".md")]
    paths.sort(key=lambda path: path.suffix == ".toml")  # last: killed before, it is begun again
    _free(*(folder / path.name for path in paths if not _same(path, folder / path.name)))
    for path in paths:
        shutil.copy(path, folder / path.name)
    return [path.name for path in paths]


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def _free(*paths: Path) -> None:
    """What is to be made is not there. Raises `UsageError` before anything was made."""
    taken = next((path for path in paths if path.exists() or path.is_symlink()), None)
    if taken is not None:
        raise UsageError(f"{taken} exists: nothing was changed. Move it away, or choose another folder with -C")


def _inferred(folder: Path, file: Path) -> list[str]:
    if not file.is_file():
        raise UsageError(f"{file} is no file, and no example. {did_you_mean(str(file), ['shop'])}")
    name = check_name(re.sub(r"[^a-z0-9_]+", "_", file.name.split(".")[0].lower()).strip("_") or "records", "table")
    code = infer_pipeline(file, name)
    path, home = file.resolve(), folder.resolve()
    shown = path.relative_to(home) if path.is_relative_to(home) else Path("data") / path.name
    _free(folder / f"{name}_pipeline.py", *([folder / shown] if home / shown != path else []))
    if home / shown != path:  # a file elsewhere is copied in: sources do not reach out of their project
        (folder / "data").mkdir(exist_ok=True)
        shutil.copy(path, folder / shown)
    write_whole(folder / f"{name}_pipeline.py", code.encode())
    toml = f'[default]\npipeline = "{name}_pipeline.py"\nlake = "lake"\n\n[default.sources]\n{name} = "{shown}"\n'
    write_whole(folder / "headwater.toml", toml.encode())
    return [f"{name}_pipeline.py", "headwater.toml"]
