"""Demo: the shop's story on real data, told in a few lines. Everything it does is what a user would type."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from headwater.core.errors import HeadwaterError, UsageError
from headwater.pipeline.attacked import attacked
from headwater.pipeline.init import init
from headwater.pipeline.project import Project
from headwater.pipeline.run import Turn

__all__ = ["shop"]

Tell = Callable[[str], object]
HELD_BACK = 0.25  # the share of the events' files that arrives after the first model is at work
VISITORS = 200


def shop(folder: Path, *, offline: bool = False, tell: Tell = lambda line: None) -> dict[str, Any]:
    """Collect, train, serve, watch what people do, collect again, retrain, answer. Told again, it only tells what is there.

    Returns the figures as plain JSON values.
    """
    seconds: dict[str, float] = {}
    data = _prepared(folder, offline, tell, seconds)
    project = Project.open(folder)
    first_time = project.ledger.last("deployed", name=project.pipeline.name) is None
    first = project.run()
    _add(seconds, first.seconds)
    _tell_first(project, first, tell, first_time)
    if project.lake.table("tables/predictions").exists() and _served(project):
        tell("The shop has been open before: nothing new has come, so nothing was made again.")
        second = first
    else:
        started = time.perf_counter()
        shown, clicked = _open_shop(project, folder / "arriving")
        seconds["serve"] = round(time.perf_counter() - started, 3)
        tell(f"4. {shown:,} visitors are served over REST; they click {clicked:,} times on what they really went on to look at (replayed).")
        _deliver(folder, last=1)
        second = project.run()
        _add(seconds, second.seconds)
        _tell_second(second, tell)
    story = _figures(project, data, second, seconds)
    _tell_answers(project, tell, story)
    started = time.perf_counter()
    _deliver(folder, last=0)
    story["attack"] = attacked(project, _module(folder, "attack"), tell)
    seconds["attack"] = round(time.perf_counter() - started, 3)
    _tell_next(project, tell, folder, story)
    return story


def _prepared(folder: Path, offline: bool, tell: Tell, seconds: dict[str, float]) -> dict[str, Any]:
    """The project and its data; the last part of the data is kept back, to arrive later."""
    started = time.perf_counter()
    noted = folder / "arriving" / "counts.json"
    if not (folder / "headwater.toml").exists():
        init(folder, "shop")
    if not noted.exists():
        tell("Fetching the data (once, 5 MB) …" if not offline else "Fetching nothing …")
        counts = _module(folder, "get_data").main(folder / "arriving", offline=offline)
        _deliver(folder)
        noted.write_text(json.dumps(counts))
    data: dict[str, Any] = json.loads(noted.read_text())
    seconds["data"] = round(time.perf_counter() - started, 3)
    tell(f"The shop in {folder}/ has {data['events']:,} events and {data['reviews']:,} reviews.")
    if data["why"]:
        tell(f"The real data could not be had ({data['why']}); a simulated shop takes over.")
    for line in str(data["arrangement"]).splitlines():
        tell(f"   {line}")
    return data


def _module(folder: Path, name: str) -> Any:
    """A file of the example, as the user has it."""
    spec = importlib.util.spec_from_file_location(f"headwater_demo_{name}", folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise UsageError(f"{folder / name}.py is missing. Choose an empty folder with -C")
    module = importlib.util.module_from_spec(spec)
    sys.modules[f"headwater_demo_{name}"] = module
    spec.loader.exec_module(module)
    return module


def _deliver(folder: Path, *, last: int | None = None) -> None:
    """Bring what has arrived into data/: all but the `last` files and the reviews of their time; at first a quarter is held back."""
    arrived, data = folder / "arriving" / "data", folder / "data"
    files = sorted((arrived / "events").glob("*.jsonl"))
    held = max(1, round(len(files) * HELD_BACK)) if last is None else last
    late = files[len(files) - held :]
    (data / "events").mkdir(parents=True, exist_ok=True)
    for file in files:
        if file not in late and not (data / "events" / file.name).exists():
            shutil.copy(file, data / "events" / file.name)
    lines = (arrived / "reviews.csv").read_bytes().splitlines(keepends=True)
    now = lines if not late else [line for line in lines if not _is_late(line, late[0].stem.encode())]
    path = data / "reviews.csv"
    before = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    there = set(before)
    path.write_bytes(b"".join([*before, *(line for line in now if line not in there)]))  # a file may only grow


def _is_late(line: bytes, cut: bytes) -> bool:
    parts = line.split(b",")
    return len(parts) > 3 and parts[3][:2].isdigit() and parts[3] >= cut


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """`headwater serve` in a process of its own, stopped in any case; gives its address."""
    command = [sys.executable, "-m", "headwater", "serve", "-C", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if "http://" not in line:
                raise HeadwaterError(f"the server did not start: {line.strip() or 'it said nothing'}. Type: headwater serve -C {folder}")
            yield line[line.index("http://") :].strip()
        finally:
            process.terminate()
            process.wait(timeout=30)


def _open_shop(project: Project, arriving: Path) -> tuple[int, int]:
    """Serve visitors who come later; they click on what is shown if they really turned to it then."""
    later = pl.concat([pl.read_ndjson(file, schema=_EVENT) for file in _late_files(project, arriving)])
    wanted = later.group_by("user_id", maintain_order=True).agg(pl.col("item_id").unique()).head(VISITORS)
    token = project.api_key("demo", ["predict", "feedback"]).reveal()
    clicked = 0
    with _server(project.profile.root) as address:
        for user, items in wanted.iter_rows():
            answer = _post(f"{address}/recommend", {"user": user, "k": 10}, token)
            for item in [row["item"] for row in answer["items"] if row["item"] in set(items)]:
                _post(
                    f"{address}/feedback", {"prediction_id": answer["prediction_id"], "item": item, "event": "click", "user": user}, token
                )
                clicked += 1
    return wanted.height, clicked


_EVENT = {"event_id": pl.String, "user_id": pl.String, "item_id": pl.String, "ts": pl.String, "kind": pl.String}


def _late_files(project: Project, arriving: Path) -> list[Path]:
    there = {path.name for path in (project.profile.root / "data" / "events").glob("*.jsonl")}
    return [path for path in sorted((arriving / "data" / "events").glob("*.jsonl")) if path.name not in there]


def _post(url: str, body: dict[str, Any], token: str) -> Any:
    headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - our own server, on this machine
    for _ in range(50):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - our own server, on this machine
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 429:
                raise HeadwaterError(f"{url} answered {error.code}: {error.read(300).decode(errors='replace')}") from error
            time.sleep(0.2)
    raise HeadwaterError(f"{url} stayed busy")


def _served(project: Project) -> bool:
    return bool(project.lake.table("tables/predictions").scan().head(1).collect().height)


def _tell_first(project: Project, turn: Turn, tell: Tell, first_time: bool) -> None:
    rows, rejected = sum(c.rows for c in turn.collected), sum(c.rejected for c in turn.collected)
    if first_time:
        tell(f"1. Collected {rows:,} records, each with its origin; {rejected} broken ones are kept aside, each with its reason:")
        codes = pl.concat([project.lake.table(f"rejected/{n}").scan() for n in project.lake.tables("rejected")]).collect()
        tell("   " + ", ".join(f"{code} ×{n}" for code, n in codes["code"].value_counts(sort=True).iter_rows()))
    assert turn.model is not None
    test = turn.model.metrics
    metric = test["metric"]
    ours, plain, recent = (test["test"][metric], test["baselines"]["popularity"][metric], test["baselines"]["recent_popularity"][metric])
    tell(f"2. Trained {turn.model.name}@{turn.model.version}: {metric} {_interval(ours)} on later days, {ours['subjects']} users;")
    tell(f"   popularity {_interval(plain)}, recent popularity {_interval(recent)}.")
    assert turn.deployment is not None
    tell(f"3. Signed, verified and put to work as epoch {turn.deployment.epoch}.")


def _tell_second(turn: Turn, tell: Tell) -> None:
    rows = sum(c.rows for c in turn.collected)
    assert turn.decided is not None
    tell(f"5. Later {rows:,} more records come: new activity, the predictions made, the clicks on them. All is collected the same way.")
    tell(f"6. Trained again. Champion against challenger on later data: {turn.decided.outcome}.")
    tell(f"   {turn.decided.why}")


def _tell_answers(project: Project, tell: Tell, story: dict[str, Any]) -> None:
    why = project.why(story["model"])
    user = _someone(project)
    started = time.perf_counter()
    reached = project.impact(f"contributor:{user}")
    took = time.perf_counter() - started
    rows = sum(table["rows"] for table in why["tables"])
    batches, files = len(why["batches"]), {part.split(":")[0] for batch in why["batches"] for part in batch["read"].split("; ") if part}
    tell(f"7. Which rows trained {story['model']}? {rows:,} rows in {batches} batches from {len(files)} files, by name.")
    models = ", ".join(f"{m['model']}{' (serving)' if m['serving'] else ''}" for m in reached["models"])
    tell(f"   What has contributor {user} reached? {reached['subject']['rows']} rows, models {models}: found in {took:.2f} s.")
    verified = project.verify()
    clean = "clean" if verified.clean else "NOT CLEAN"
    tell(f"8. Read again and held against the signed ledger: {verified.rows:,} rows, {verified.entries} entries: {clean}.")


def _tell_next(project: Project, tell: Tell, folder: Path, story: dict[str, Any]) -> None:
    user = _someone(project)
    tell(f"Took {sum(story['seconds'].values()):.0f} s. Try next:")
    for verb in ("status", f"why {story['model']}", f"impact contributor:{user}", "review", "verify", "rollback", "serve"):
        tell(f"   headwater {verb} -C {folder}")
    tell(f"   and open {project.lake.root / 'reports' / 'latest.html'}")


def _someone(project: Project) -> str:
    rows = (
        project.lake.table("tables/events").scan().group_by("user_id").agg(pl.len().alias("rows")).sort("rows", "user_id", descending=True)
    )
    return str(rows.head(1).collect()["user_id"][0])


def _figures(project: Project, data: dict[str, Any], turn: Turn, seconds: dict[str, float]) -> dict[str, Any]:
    assert turn.model is not None
    metrics = turn.model.metrics
    metric = metrics["metric"]
    done = [entry.body for entry in project.ledger.entries("done")]
    return {
        "source": data["source"],
        "events": sum(body["rows"] for body in done if body["table"] == "events"),
        "rejected": sum(body["rejected"] for body in done),
        "users": turn.model.facts["users"],
        "items": turn.model.facts["items"],
        "trials": metrics["search"]["trials"],
        "ndcg_at_10": metrics["test"][metric]["value"],
        "ndcg_at_10_interval": [metrics["test"][metric]["low"], metrics["test"][metric]["high"]],
        "popularity_ndcg_at_10": metrics["baselines"]["popularity"][metric]["value"],
        "recent_popularity_ndcg_at_10": metrics["baselines"]["recent_popularity"][metric]["value"],
        "model": f"{turn.model.name}@{turn.model.version}",
        "model_digest": turn.model.digest,
        "dataset_digest": turn.model.dataset,
        "promoted": turn.deployment is not None and turn.deployment.model_digest == turn.model.digest,
        "decision": turn.decided.outcome if turn.decided else None,
        "seconds": seconds,
    }


def _interval(value: dict[str, float]) -> str:
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _add(seconds: dict[str, float], more: dict[str, float]) -> None:
    for stage, spent in more.items():
        seconds[stage] = round(seconds.get(stage, 0.0) + spent, 3)
