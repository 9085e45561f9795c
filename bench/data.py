"""Data: simulated events and projects, made once below bench/ and kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.environments import headwater, program, user
from bench.measure import ROOT, Used, run

__all__ = ["DATA", "collected", "events", "project", "shop_model"]

HERE = Path(__file__).parent
DATA = HERE / ".data"
SHOP = ROOT / "examples" / "shop"

PIPELINE = """
from bench_steps import by_user, cheap
from headwater import Pipeline
from shop import events, sessions

pipeline = Pipeline("bench", collect=[events], process=[sessions, cheap, by_user])
"""
STEPS = '''
"""A row-by-row step and one by user, both cheap."""

import polars as pl

from headwater import step


@step
def cheap(events: pl.LazyFrame) -> pl.LazyFrame:
    item = pl.col("item_id").str.strip_prefix("i").cast(pl.Int64)
    hour, weekday = pl.col("ts").dt.hour().cast(pl.Int64), pl.col("ts").dt.weekday().cast(pl.Int64)
    return events.select("event_id", "user_id", "ts", item=item, hour=hour, weekday=weekday, bought=pl.col("kind") == "purchase")


@step(by="user_id")
def by_user(events: pl.LazyFrame) -> pl.LazyFrame:
    return events.group_by("user_id").agg(events=pl.len().cast(pl.Int64), first=pl.col("ts").min(), last=pl.col("ts").max())
'''


def events(count: int, *, zipf: float | None = None, more: int = 0) -> Path:
    """A folder with `first/*.jsonl`, `count` lines, and where asked for `more/*.jsonl` with the lines that came after."""
    folder = DATA / f"events-{count}{f'-zipf{zipf}' if zipf else ''}{f'-{more}' if more else ''}"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(program("make_events", SHOP, folder, count, more, *([zipf] if zipf else [])))
        (folder / "ready").touch()
    return folder


def project(name: str, sources: str) -> Path:
    """A fresh project over event files: the shop's contract and sessions, and two cheap steps."""
    folder = DATA / "projects" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(SHOP / "shop.py", folder)
    (folder / "bench_steps.py").write_text(STEPS)
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "headwater.toml").write_text(f'[default]\n[default.sources]\nevents = "{sources}"\n')
    run(headwater("init", "-C", folder))
    return folder


def collected(count: int) -> Path:
    """A project with `count` events in its lake; the one that the bench of collect left, if it did."""
    folder = DATA / "projects" / f"events-{count}"
    if not (folder / "collected").exists():
        collect(count)
    return folder


def collect(count: int) -> Used:
    """Collect `count` events into a fresh project; only the command itself is measured."""
    folder = project(f"events-{count}", f"{events(count)}/first/*.jsonl")
    used = run(headwater("run", "collect", "-C", folder, "-o", "json"))
    (folder / "collected").touch()
    return used


def shop_model() -> Path:
    """The shop with two models: trained, trained again on later data, the second promoted."""
    folder = DATA / "projects" / "shop"
    if (folder / "ready").exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run(headwater("init", "shop", "-C", folder))
    shop = folder / "shop.py"
    shop.write_text(shop.read_text().replace("trials=20", "trials=2"))
    with (folder / "headwater.toml").open("a") as file:
        file.write("\n[default.serve]\nrate = 1000000\n")
    run([user(), folder / "get_data.py", folder])
    later = sorted((folder / "data" / "events").glob("*.jsonl"))[-1]
    later.rename(folder / "later")
    run(headwater("run", "-C", folder))
    (folder / "later").rename(later)
    run(headwater("run", "-C", folder))
    run(headwater("promote", "2", "-C", folder))
    (folder / "ready").touch()
    return folder
