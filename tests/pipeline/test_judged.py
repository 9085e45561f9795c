"""What is new is judged before it is learned from; what a gate asks for is done, remembered, shown, and can be undone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from headwater.core.errors import Refused, UsageError
from headwater.pipeline import review
from headwater.pipeline.judged import last_judged
from headwater.pipeline.project import Project
from headwater.pipeline.status import status

Copy = Callable[[Path], Path]

GATES = '''
class Simple:
    """Asks for what the file `ask.json` says, once there is a history; counts the rounds it has seen."""

    name = "simple"
    tables = ("events", "reviews")

    def judge(self, artifact: Any, evidence: Any) -> Any:
        import json
        from pathlib import Path

        from headwater import Verdict
        from headwater.core.gate import Action, Finding, Severity

        rounds = evidence.state.get("rounds", 0) + 1
        fresh = evidence.inputs["fresh"]["events"]
        asked = json.loads((Path(__file__).parent / "ask.json").read_text())
        if asked == "crash":
            raise ValueError("no")
        found = [
            Finding(
                severity=Severity[one.get("severity", "REVIEW")],
                code="test.asked",
                subject=one["subject"],
                message=f"{one['subject']} was asked for",
                evidence={"new": fresh.new.height, "history": fresh.history.height, "champion": fresh.champion is not None},
                action=Action(one["action"]),
                table="events",
                rows=tuple((s, b, r) for s, b, r in one.get("rows", [])),
            )
            for one in asked
            if fresh.history.height
        ]
        return Verdict(gate="simple", digest=artifact.digest, findings=tuple(found), state={"rounds": rounds})


pipeline ='''


def ask(folder: Path, asked: object) -> None:
    (folder / "ask.json").write_text(json.dumps(asked))


def quarantine(subject: str, **more: object) -> dict[str, object]:
    return {"subject": subject, "action": "quarantine", **more}


def arrive(folder: Path, name: str, users: list[str], *, events: int = 3) -> None:
    newest = max((folder / "data/events").glob("*.jsonl"))
    with open(newest, "a") as file:
        for user in users:
            for n in range(events):
                event = {
                    "event_id": f"{name}-{user}-{n}",
                    "user_id": user,
                    "item_id": f"i{n}",
                    "ts": f"2030-01-0{n + 1}T00:00:00Z",
                    "kind": "view",
                }
                file.write(json.dumps(event) + "\n")


def users_in(project: Project, turn_until: str = "judge") -> set[str]:
    turn = project.run(until=turn_until)
    assert turn.prepared is not None
    return set(turn.prepared.scan(project.lake, "interactions").collect()["user_id"])


@pytest.fixture(scope="module")
def gated_shop(tmp_path_factory: pytest.TempPathFactory, fresh_shop: Path) -> Path:
    """A shop with the simple gate, after one run. Not to be changed: copy it."""
    folder = Path(shutil.copytree(fresh_shop, tmp_path_factory.mktemp("gated") / "shop"))
    code = (
        (folder / "shop.py").read_text().replace("\npipeline =", GATES).replace("retrain=Policy(", "gates=[Simple()],\n    retrain=Policy(")
    )
    (folder / "shop.py").write_text(code)
    ask(folder, [])
    Project.open(folder).run()
    return folder


@pytest.fixture
def shop(gated_shop: Path, copied: Copy) -> Path:
    return copied(gated_shop)


def test_without_anything_new_no_gate_is_asked(shop: Path) -> None:
    project = Project.open(shop)
    ask(shop, "crash")
    assert project.run().judged is None


def test_a_gate_sees_what_is_new_and_what_was_accepted_and_the_champion(shop: Path) -> None:
    project = Project.open(shop)
    known = project.lake.table("tables/events").scan().collect().height
    arrive(shop, "a", ["anna", "bert"])
    ask(shop, [{"subject": "contributor:anna@events", "action": "accept"}])
    judged = project.run(until="judge").judged
    assert judged is not None
    assert dict(judged.findings[0]["evidence"]) == {"new": 6, "history": known, "champion": True}


def test_a_quarantined_contributor_is_out_of_what_is_learned_and_back_exactly_when_released(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna", "bert"])
    ask(shop, [])
    with_all = project.run(until="process")
    ask(shop, [quarantine("contributor:anna@events")])
    turn = project.run()
    assert turn.prepared is not None
    assert turn.model is not None
    assert turn.model.dataset == turn.prepared.digest
    left = set(turn.prepared.scan(project.lake, "interactions").collect()["user_id"])
    assert "anna" not in left
    assert "bert" in left
    listed = review.exclusions(project)
    assert [(line["kind"], line["rows"], line["by"]) for line in listed] == [("contributor", 3, "gate")]
    assert "anna" not in json.dumps([entry.body for entry in project.ledger.entries("judged")])
    project.release(listed[0]["entry"])
    again = project.run(until="process")
    assert with_all.snapshot is not None
    assert again.snapshot is not None
    assert again.snapshot.digest == with_all.snapshot.digest
    assert project.verify().clean


def test_the_evidence_is_shown_with_the_rows(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, [quarantine("contributor:anna@events")])
    project.run(until="judge")
    shown = review.shown(project, review.exclusions(project)[0]["entry"])
    assert shown["code"] == "test.asked"
    assert shown["evidence"]["new"] == 3
    assert [row["table"] for row in shown["rows"]] == ["events"] * 3
    assert all("user_id=anna" in row["values"] for row in shown["rows"])


def test_a_name_that_only_the_payload_claims_takes_nothing_out_of_another_source(shop: Path) -> None:
    project = Project.open(shop)
    reviewer = str(project.lake.table("tables/reviews").scan().collect()["user_id"][0])
    arrive(shop, "a", [reviewer])
    ask(shop, [quarantine(f"contributor:{reviewer}@events")])
    turn = project.run(until="judge")
    assert turn.snapshot is not None
    for table, left in (("events", 0), ("reviews", None)):
        mine = turn.snapshot.scan(project.lake, table).filter(pl.col("user_id") == reviewer).collect().height
        assert mine == left if left is not None else mine > 0


def test_single_rows_are_taken_out_alone(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"], events=4)
    batch = project.run(until="collect").collected[0]
    assert batch.rows == 4
    new = project.lake.table("tables/events").scan().filter(pl.col("user_id") == "anna").sort("_row").collect()
    names = new.select("_source", "_batch", "_row").rows()
    ask(shop, [quarantine("item:i1", rows=names[1:3])])
    turn = project.run(until="judge")
    assert turn.snapshot is not None
    left = turn.snapshot.scan(project.lake, "events").filter(pl.col("user_id") == "anna").sort("_row").collect()
    assert left.select("_source", "_batch", "_row").rows() == [names[0], names[3]]
    assert [line["kind"] for line in review.exclusions(project)] == ["rows"]
    assert project.verify().clean


def test_what_two_findings_ask_for_is_taken_out_once_and_stays_back_when_a_person_puts_it_back(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, [quarantine("contributor:anna@events")] * 2)
    project.run(until="judge")
    assert len(review.exclusions(project)) == 1
    project.release(review.exclusions(project)[0]["entry"])
    assert "anna" in users_in(project)
    assert review.exclusions(project) == []


def test_the_ledger_names_no_contributor_even_if_a_gate_does(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["mallory\u202e\x07"])
    ask(shop, [quarantine("contributor:mallory\u202e\x07@events")])
    project.run(until="judge")
    listed = review.exclusions(project)[0]
    assert listed["why"] == "test.asked: see the evidence"
    told = json.dumps([entry.body for kind in ("judged", "excluded") for entry in project.ledger.entries(kind)])
    assert "mallory" not in told
    judged = last_judged(project)
    assert judged is not None
    assert judged.body["verdicts"][0]["findings"][0]["subject"] == f"contributor:{listed['name'].replace(' from ', '@')}"


@pytest.mark.parametrize("subject", ["day:2030-01-02", "age:new", "batch:events/2"])
def test_any_group_can_be_taken_out(shop: Path, subject: str) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, [quarantine(subject)])
    turn = project.run(until="judge")
    assert turn.snapshot is not None
    left = turn.snapshot.scan(project.lake, "events").filter(pl.col("user_id") == "anna").collect()
    assert left.height == (2 if subject.startswith("day") else 0)


def test_a_refused_round_is_never_trained_on_until_a_person_accepts_it(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, [{"subject": "table:events", "action": "hold", "severity": "BLOCK"}])
    for _ in range(2):
        with pytest.raises(Refused, match=r"nothing is trained: test\.asked"):
            project.run()
    rounds = list(project.ledger.entries("judged"))
    assert len(rounds) == 2  # the first run's, and one refusal, however often it is asked for
    ask(shop, "crash")
    waiting = review.refused(project)
    assert [line["code"] for line in waiting] == ["test.asked"]
    (problem,) = status(shop)["problems"]
    assert f"ledger entry {waiting[0]['entry']}" in problem
    assert "headwater review" in problem
    with pytest.raises(UsageError, match="is no round that waits"):
        review.accept(project, waiting[0]["entry"] + 1)
    review.accept(project, waiting[0]["entry"], why="looked at it")
    assert "anna" in users_in(project, "train")
    assert review.refused(project) == []
    assert status(shop)["problems"] == []


def test_a_person_agrees_with_a_refusal_and_what_the_gates_ask_for_is_done(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna", "bert"])
    hold = {"subject": "table:events", "action": "hold", "severity": "BLOCK"}
    ask(shop, [quarantine("contributor:anna@events"), quarantine("contributor:bert@events"), hold])
    with pytest.raises(Refused):
        project.run()
    assert review.exclusions(project) == []
    project.exclude("contributor:anna", source="events")  # a person has begun by himself
    review.confirm(project, review.refused(project)[0]["entry"])
    assert {"anna", "bert"}.isdisjoint(users_in(project))
    assert len(review.exclusions(project)) == 2
    for line in review.exclusions(project):
        project.release(line["entry"])
    assert {"anna", "bert"} <= users_in(project)


def test_a_gate_that_crashes_refuses(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, "crash")
    with pytest.raises(Refused, match=r"gate\.crashed"):
        project.run()


def test_a_gates_memory_moves_on_only_with_rounds_that_passed(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, [{"subject": "table:events", "action": "hold", "severity": "BLOCK"}])
    with pytest.raises(Refused):
        project.run()
    arrive(shop, "b", ["bert"])
    ask(shop, [])
    project.run(until="judge")
    entry = last_judged(project)
    assert entry is not None
    assert entry.body["states"]["simple"] == {"rounds": 2}


def test_whom_a_person_released_loses_only_what_is_new_next_time(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, [quarantine("contributor:anna@events")])
    project.run(until="judge")
    project.release(review.exclusions(project)[0]["entry"])
    arrive(shop, "b", ["anna"], events=2)
    turn = project.run(until="judge")
    assert turn.snapshot is not None
    left = turn.snapshot.scan(project.lake, "events").filter(pl.col("user_id") == "anna").collect()
    assert left["event_id"].str.starts_with("a-").all()
    assert left.height == 3


def test_a_person_confirms_what_a_gate_took_out(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    ask(shop, [quarantine("contributor:anna@events")])
    project.run(until="judge")
    entry = review.exclusions(project)[0]["entry"]
    review.confirm(project, entry)
    assert review.exclusions(project)[0]["by"] == "gate, confirmed"
    with pytest.raises(UsageError, match="takes nothing out"):
        review.confirm(project, entry + 100)


def test_poison_that_the_champion_has_learned_is_taken_out_and_an_older_model_serves(shop: Path) -> None:
    project = Project.open(shop)
    arrive(shop, "a", ["anna"])
    project.run(until="train")
    project.promote("2")
    arrive(shop, "b", ["anna"])
    ask(shop, [{"subject": "contributor:anna@events", "action": "roll-back"}])
    turn = project.run(until="judge")
    assert turn.judged is not None
    assert turn.judged.taken_out[0]["rows"] == 6
    assert project.deployments.current("shop").version == "1"
