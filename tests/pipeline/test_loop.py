"""The loop closed through data: what a server showed, and what people did about it, is collected, learned from, and traced."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import polars as pl
import pytest
from tests.killing import arrive, command, small_shop
from tests.typed import typed

from headwater.pipeline.project import Project

STRANGER = "nobody-ever-saw-him"


@dataclass(frozen=True)
class Server:
    """A `headwater serve` of its own, and what a client sends it."""

    address: str
    token: str
    process: subprocess.Popen[str]

    def post(self, path: str, body: dict[str, Any], token: str | None = None) -> tuple[int, Any]:
        """Status and body of the answer."""
        headers = {"content-type": "application/json", "authorization": f"Bearer {token or self.token}"}
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


def made_key(folder: Path) -> str:
    """A new API key, of a name that no other has."""
    name = f"tests-{time.monotonic_ns()}"
    return str(typed("key", name, "--scope", "predict", "--scope", "feedback", "-C", folder, "-o", "json").json["key"])


@contextmanager
def served(folder: Path) -> Iterator[Server]:
    token = made_key(folder)
    words = command("serve", "--port", "0", "-C", folder)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.fullmatch(r"serving at (http://127\.0\.0\.1:\d+)\n", said)
        assert found, (said, process.stderr.read() if process.stderr else "")
        try:
            yield Server(found[1], token, process)
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


@dataclass(frozen=True)
class Looped:
    """A shop that was run, served, and run again."""

    folder: Path
    user: str
    known: dict[str, Any]
    stranger: dict[str, Any]
    turn: dict[str, Any]


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> Looped:
    folder = small_shop(tmp_path_factory.mktemp("loop") / "shop")
    assert typed("run", "-C", folder).code == 0
    seen = Project.open(folder).lake.table("tables/events").scan().collect()
    user = str(seen["user_id"].value_counts(sort=True)["user_id"][0])
    with served(folder) as server:
        status, known = server.post("/recommend", {"user": user, "k": 5})
        assert status == 200
        status, stranger = server.post("/recommend", {"user": STRANGER, "k": 5})
        assert status == 200
        says = {"prediction_id": known["prediction_id"], "item": known["items"][0]["item"], "event": "click", "user": user}
        assert [server.post("/feedback", says)[1]["repeated"] for _ in range(2)] == [False, True]
        forged = known["prediction_id"][:-4] + ("AAAA" if known["prediction_id"][-4:] != "AAAA" else "BBBB")
        assert server.post("/feedback", says | {"prediction_id": forged})[0] == 422
        assert server.post("/feedback", says | {"item": "never-shown"})[0] == 422
        assert server.post("/recommend", {"user": user}, token="guessed")[0] == 401
    arrive(folder, 1)
    done = typed("run", "-C", folder, "-o", "json")
    assert done.code == 0, done.err
    return Looped(folder, user, known, stranger, done.json)


def test_a_user_nobody_ever_saw_is_recommended_something_too(looped: Looped) -> None:
    assert len(looped.known["items"]) == len(looped.stranger["items"]) == 5
    assert looped.known["epoch"] == looped.stranger["epoch"] == 1


def test_predictions_and_feedback_are_collected_with_their_contributors(looped: Looped) -> None:
    lake = Project.open(looped.folder).lake
    predictions = lake.table("tables/predictions").scan().sort("_row").collect()
    assert predictions["prediction_id"].to_list() == [looped.known["prediction_id"], looped.stranger["prediction_id"]]
    assert predictions["user"].to_list() == [looped.user, STRANGER]
    assert predictions["items"][0].to_list() == [row["item"] for row in looped.known["items"]]
    (feedback,) = lake.table("tables/feedback").scan().collect().rows(named=True)
    assert (feedback["user"], feedback["event"], feedback["position"]) == (looped.user, "click", 0)
    assert (feedback["item"], feedback["asserted_by"]) == (looped.known["items"][0]["item"], "source")
    assert lake.table("prepared/interactions").exists()
    clicks = lake.table("prepared/clicks").scan().collect()
    assert clicks["user_id"].to_list() == [looped.user]


def test_the_ledger_remembers_each_flush_of_the_spool_once(looped: Looped) -> None:
    flushed = [(entry.body["stream"], entry.body["rows"]) for entry in Project.open(looped.folder).ledger.entries("flushed")]
    assert sorted(flushed) == [("feedback", 1), ("predictions", 2)]


def test_the_next_run_trains_again_and_decides_by_a_comparison_that_the_ledger_keeps(looped: Looped) -> None:
    assert looped.turn["decision"]["outcome"] == "promote"
    assert looped.turn["deployment"]["epoch"] == 2
    project = Project.open(looped.folder)
    first, second = (entry.body for entry in project.ledger.entries("decided"))
    assert (first["outcome"], first["champion"]) == ("promote", None)
    assert second["champion"] == first["model"]
    assert second["comparison"]["users"] >= 2
    assert second["comparison"]["low"] <= second["comparison"]["difference"] <= second["comparison"]["high"]
    assert project.verify().clean


def test_why_walks_from_a_prediction_down_to_rows_files_and_lines(looped: Looped) -> None:
    why = typed("why", looped.known["prediction_id"], "-C", looped.folder, "-o", "json").json
    assert (why["prediction"]["user"], why["prediction"]["version"]) == (looped.user, "1")
    assert why["model"]["version"] == 1
    assert [item["item"] for item in why["items"]] == [row["item"] for row in looped.known["items"]]
    mine = [row for row in why["rows"] if row["table"] == "events" and row["key"] != "more rows"]
    assert mine
    for row in mine:
        assert any(row["key"] in line and looped.user in line for line in lines_of(looped.folder, row["read"])), row
    assert {row["table"]: row["contributors"] for row in why["tables"]}["events"] > 100
    assert all(batch["read"].startswith("data/") for batch in why["batches"] if batch["table"] in ("events", "reviews"))
    assert [deployment["epoch"] for deployment in why["deployments"]] == [1]


def lines_of(folder: Path, read: str) -> Iterator[str]:
    """The lines that `file:first-last; file:first-last` names."""
    for part in read.split("; "):
        file, _, span = part.rpartition(":")
        first, last = (int(number) for number in span.split("-"))
        yield from (folder / file).read_text(errors="replace").split("\n")[first - 1 : last]


def test_why_of_the_new_model_names_the_spool_among_what_it_was_made_from(looped: Looped) -> None:
    why = typed("why", "shop@2", "-C", looped.folder, "-o", "json").json
    read = {batch["table"]: batch["read"] for batch in why["batches"]}
    assert re.fullmatch(r"feedback/serve-\d+\.jsonl:1-1", read["feedback"])


def test_impact_walks_from_a_contributor_to_models_and_predictions(looped: Looped) -> None:
    reached = typed("impact", f"contributor:{looped.user}", "-C", looped.folder, "-o", "json").json
    assert [model["model"] for model in reached["models"]] == ["shop@1", "shop@2"]
    stranger = typed("impact", f"contributor:{STRANGER}", "-C", looped.folder)
    assert stranger.code == 0


def test_a_rollback_reaches_a_running_server_and_drops_no_request(looped: Looped) -> None:
    before = Project.open(looped.folder).deployments.current("shop")
    answers: list[tuple[int, int]] = []
    changed, stop = Event(), Event()
    with served(looped.folder) as server:

        def ask() -> None:
            while not stop.is_set() and len(answers) < 100_000:
                status, body = server.post("/recommend", {"user": f"visitor-{len(answers)}", "k": 3})
                answers.append((status, body.get("epoch", 0)))
                if answers[-1][1] > before.epoch:
                    changed.set()

        asking = Thread(target=ask)
        asking.start()
        try:
            rolled = typed("rollback", "-C", looped.folder, "-o", "json").json
            assert changed.wait(30)
        finally:
            stop.set()
            asking.join()
    assert (rolled["epoch"], rolled["version"]) == (before.epoch + 1, "1")
    assert {status for status, _ in answers} == {200}
    epochs = [epoch for _, epoch in answers]
    assert epochs == sorted(epochs)
    assert set(epochs) <= {before.epoch, before.epoch + 1}
    assert typed("verify", "-C", looped.folder).code == 0


def test_what_was_acknowledged_survives_a_killed_server(looped: Looped, tmp_path: Path) -> None:
    feedback = Project.open(looped.folder).lake.table("tables/feedback")
    before = feedback.scan().collect().height
    token = made_key(looped.folder)
    with subprocess.Popen(command("serve", "--port", "0", "-C", looped.folder), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            server = Server(process.stdout.readline().split()[-1], token, process)
            made = [server.post("/recommend", {"user": f"late-{number}"})[1] for number in range(5)]
            says = [{"prediction_id": m["prediction_id"], "item": m["items"][0]["item"], "event": "click"} for m in made]
            ids = [server.post("/feedback", one)[1]["feedback_id"] for one in says]
        finally:
            process.kill()
    assert typed("run", "collect", "-C", looped.folder).code == 0
    after = feedback.scan().collect()
    assert after.height == before + 5
    assert set(ids) <= set(after["feedback_id"])
    assert after.filter(pl.col("feedback_id").is_in(ids))["user"].n_unique() == 5
    with served(looped.folder):
        pass  # the next server tells the ledger of what the killed one left
    told = [entry.body["rows"] for entry in Project.open(looped.folder).ledger.entries("flushed") if entry.body["stream"] == "feedback"]
    assert sum(told) == after.height
