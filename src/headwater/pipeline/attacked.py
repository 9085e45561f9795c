"""Attacked: the end of the demo. Fake accounts push one item; what would have happened, what the gates did, and how it is undone."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import polars as pl

from headwater.core.files import write_whole
from headwater.pipeline.build import predictor_of
from headwater.pipeline.judged import last_judged
from headwater.pipeline.project import Project
from headwater.pipeline.review import shown

if TYPE_CHECKING:
    from headwater.train.model import Model

__all__ = ["attacked"]

Tell = Callable[[str], object]
MOST_ITEMS = 1000
TRIALS = 3  # for models that only serve the story
POPULAR = 20
USERS_OF_TARGET = range(12, 25)  # an item with fewer could as well have just been launched: see docs/gates.md


def attacked(project: Project, attack: ModuleType, tell: Tell) -> dict[str, Any]:
    """Attack the shop with simulated accounts and tell what came of it; told again, it only tells what came of it then.

    Killed anywhere, it goes on from the last part that it noted.
    """
    noted = project.profile.root / "arriving" / "attack.json"
    story: dict[str, Any] = json.loads(noted.read_text()) if noted.exists() else {}
    for name, part in _PARTS.items():
        if name not in story:
            story[name] = part(project, attack, story)
            write_whole(noted, json.dumps(story).encode())
    told = {name: value for part in story.values() for name, value in part.items()}
    _tell(told, tell, project.profile.root)
    return told


def _chosen(project: Project, attack: ModuleType, story: Mapping[str, Any]) -> dict[str, Any]:
    target, popular, newest = _choice(project)
    return {"target": target, "popular": popular, "after": newest.isoformat(), "place_before": _place(project, _serving(project), target)}


def _without_gates(project: Project, attack: ModuleType, story: Mapping[str, Any]) -> dict[str, Any]:
    """The attack arrives, and a copy of the shop learns from it."""
    chosen = story["chosen"]
    after = datetime.fromisoformat(chosen["after"])
    attack.push(project.profile.root / "data", target=chosen["target"], popular=chosen["popular"], after=after)
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare(project, Path(folder) / "shop")
        turn = bare.run()
        assert turn.model is not None
        place = _place(bare, turn.model, chosen["target"])
        return {"place_without_gates": place, "late": _found_late(bare, turn.model, chosen["target"])}


def _with_gates(project: Project, attack: ModuleType, story: Mapping[str, Any]) -> dict[str, Any]:
    """The shop itself learns after its gates have judged."""
    turn = project.run()
    judged = last_judged(project)
    assert judged is not None
    assert turn.snapshot is not None
    taken = [entry for entry in project.ledger.entries("excluded", after=judged.seq) if entry.body.get("judged_finding")]
    findings = [finding for verdict in judged.body["verdicts"] for finding in verdict["findings"]]
    events = project.lake.table("tables/events").scan()
    all_of, kept = _of_attack(events, attack), _of_attack(turn.snapshot.scan(project.lake, "events"), attack)
    fakes = events.filter(pl.col("user_id").str.starts_with(attack.ACCOUNT)).select(pl.col("user_id").unique()).collect()["user_id"]
    people = {entry.body["name"] for entry in taken if entry.body["kind"] == "contributor"}
    return {
        "accounts": len(fakes),
        "accounts_taken_out": len(people & {project.keys.pseudonym(fake) for fake in fakes}),
        "rows": all_of[True],
        "rows_taken_out": all_of[True] - kept[True],
        "others_rows_taken_out": all_of[False] - kept[False],
        "place_with_gates": _place(project, turn.model or _serving(project), story["chosen"]["target"]),
        "findings": [{name: finding[name] for name in ("code", "action", "message")} for finding in findings],
        "evidence": shown(project, taken[0].seq).get("evidence", {}) if taken else {},
        "entry": taken[0].seq if taken else None,
    }


def _of_attack(events: pl.LazyFrame, attack: ModuleType) -> dict[bool, int]:
    """How many rows are the attack's (True), and how many others' (False)."""
    counted = events.group_by(fake=pl.col("user_id").str.starts_with(attack.ACCOUNT)).len().collect()
    return {True: 0, False: 0, **dict(counted.rows())}


def _choice(project: Project) -> tuple[str, list[str], Any]:
    """An item that hardly anybody knows, those that everybody does, and the time of the newest event."""
    events = project.lake.table("tables/events").scan()
    items = events.group_by("item_id").agg(users=pl.col("user_id").n_unique()).sort("users", "item_id", descending=[True, False]).collect()
    known = items.filter(pl.col("users").is_in(list(USERS_OF_TARGET)))["item_id"].sort()
    return str(known[len(known) // 2]), items["item_id"].head(POPULAR).to_list(), events.select(pl.col("ts").max()).collect().item()


def _bare(project: Project, folder: Path) -> Project:
    """The same project elsewhere, without gates."""
    shutil.copytree(project.profile.root, folder)
    trainer: Any = project.pipeline.train
    quick = replace(trainer, trials=TRIALS)
    return Project.open(folder, profile=project.profile.name, pipeline=replace(project.pipeline, gates=(), train=quick))


def _found_late(bare: Project, poisoned: Model, target: str) -> dict[str, Any]:
    """The poisoned model at work; then its batch is found out, and all that came of it is undone."""
    if bare.deployments.current(bare.pipeline.name).model_digest != poisoned.digest:
        bare.promote(str(poisoned.version))
    last = max(entry.body["batch"] for entry in bare.ledger.entries("done", equal={"source": "events"}))
    answer = bare.exclude(f"batch:events/{last}", why="found late")
    started = time.perf_counter()
    turn = bare.run()
    assert turn.model is not None
    return {
        "subject": f"batch:events/{last}",
        "affected": answer["affected_models"],
        "serving": answer["serving"]["model"],
        "clean": answer["serving"]["clean"],
        "seconds_to_clean": answer["seconds"],
        "seconds_to_retrain": round(time.perf_counter() - started, 3),
        "place_after": _place(bare, turn.model, target),
    }


def _serving(project: Project) -> Model:
    deployed = project.deployments.current(project.pipeline.name)
    return project.registry.load(deployed.name, int(deployed.version))[0]


def _place(project: Project, model: Model, target: str) -> int:
    """At which place of the list for a visitor of whom nothing is known the target stands."""
    ranker: Any = predictor_of(*project.registry.load(model.name, model.version, expect_digest=model.digest))
    items = [item for item, _ in ranker.recommend(None, k=MOST_ITEMS)]
    return items.index(target) + 1 if target in items else MOST_ITEMS + 1


def _tell(story: dict[str, Any], tell: Tell, folder: Path) -> None:
    late = story["late"]
    places = [story[name] for name in ("place_before", "place_without_gates", "place_with_gates")]
    tell(
        f"9. An attack (simulated): {story['accounts']} new accounts look at what is popular and all buy {story['target']}, which few knew."
    )
    tell(
        f"   Its place in what a new visitor is shown: {places[0]} before; {places[1]} in a copy of this shop that learned from it without"
    )
    tell(f"   gates; {places[2]} here, where the gates judged it first. What they saw:")
    for (code, action), count in Counter((f["code"], f["action"]) for f in story["findings"]).most_common(3):
        first = next(f["message"] for f in story["findings"] if (f["code"], f["action"]) == (code, action))
        tell(f"   {code} → {action} ×{count}: {first}")
    out, others = story["rows_taken_out"], story["others_rows_taken_out"]
    tell(f"   Taken out: {out} of the attack's {story['rows']} rows ({story['accounts_taken_out']} accounts whole), {others} of others,")
    tell(f"   each to be released again. The evidence: headwater review {story['entry']} -C {folder}")
    took, again = late["seconds_to_clean"], late["seconds_to_retrain"]
    tell(f"10. Found late, in that copy: exclude {late['subject']} put {late['serving']} to work again in {took:.2f} s;")
    tell(f"   trained again without it in {again:.1f} s, the item is at place {late['place_after']}.")


_PARTS = {"chosen": _chosen, "without_gates": _without_gates, "with_gates": _with_gates}
