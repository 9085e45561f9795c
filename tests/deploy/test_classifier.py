"""A classifier behind the API: rows in, classes out; what does not fit is told by its column."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from tests.deploy.popular import Popular
from tests.train.training import opened

from headwater.core.errors import UsageError
from headwater.deploy.deployment import Deployments, pointer_path
from headwater.deploy.door import Door
from headwater.deploy.rest import create_app
from headwater.deploy.serving import Serving
from headwater.deploy.spool import Spool
from headwater.frameworks.sklearn import Classifier
from headwater.pipeline.build import load_served
from headwater.testing.symptoms import symptoms
from headwater.train.certificate import Certified
from headwater.train.trainer import Fitted, Trainer, Trial

PLAIN = Classifier("cases", "finding", key="case", time="ts", split_by="patient", contributor="site", method="linear")
ROW = {"cough": True, "heat": 39.1, "place": "p2", "pulse": 80}


class Clinic:
    """A trained classifier that serves, in this process."""

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        self.folder = folder
        self.registry, ledger = opened(folder)
        fitted = trainer.fit(symptoms(), Trial(parameters=trainer.defaults()))
        self.model = self.registry.save("clinic", fitted, dataset="sha256:1", derivation="sha256:2", code="sha256:3")
        deployments = Deployments(folder / "deployments", ledger)
        deployments.promote("clinic", model=self.model.uri, digest=self.model.digest, version=str(self.model.version))
        self.loaded = load_served(self.registry, deployments.current("clinic"))
        self.fitted = fitted
        self.serving = Serving(pointer_path(folder / "deployments", "clinic"), ledger.keys, lambda one: load_served(self.registry, one))
        self.serving.start()
        self.spool = Spool(folder / "spool")
        self.app = create_app(self.serving, keys=ledger.keys, spool=self.spool, auth="none")

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """One request to the application, without a socket in between."""

        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://clinic") as client:
                return await client.request(method, path, content=json.dumps(body) if body is not None else None)

        return asyncio.run(asked())

    def logged(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for path in sorted(self.folder.glob("spool/predictions/*.jsonl")) for line in path.read_text().splitlines()
        ]


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = Clinic(tmp_path_factory.mktemp("clinic"), PLAIN)
    yield made
    made.spool.close()


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    made = Clinic(tmp_path_factory.mktemp("certified"), Certified(PLAIN, "site", k=5))
    yield made
    made.spool.close()


def tensors(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    types = {"cough": "BOOL", "heat": "FP64", "place": "BYTES", "pulse": "FP64"}
    return [{"name": name, "datatype": types[name], "shape": [len(rows)], "data": [row[name] for row in rows]} for name in ROW]


def test_rows_get_a_label_with_probabilities_and_are_logged(clinic: Clinic) -> None:
    rows = [ROW, {**ROW, "heat": None, "place": "nowhere"}, dict.fromkeys(ROW)]
    told = clinic.ask("POST", "/predict", {"rows": rows, "user": "u1"}).json()
    assert (told["model"], told["version"], told["epoch"]) == ("clinic", "1", 1)
    expected = PLAIN.predictor(clinic.fitted).probabilities(pl.DataFrame(rows))
    for one, shares in zip(told["predictions"], expected, strict=True):
        assert one["probabilities"] == pytest.approx(dict(zip(("kind0", "kind1", "kind2"), shares, strict=True)))
        assert one["label"] == max(one["probabilities"], key=lambda name: one["probabilities"][name])
        assert set(one) == {"prediction_id", "label", "probabilities"}
        (row,) = [row for row in clinic.logged() if row["prediction_id"] == one["prediction_id"]]
        assert (row["user"], row["items"][0], row["scores"][0], row["k"]) == ("u1", one["label"], max(shares), 3)


@pytest.mark.parametrize("path", ["/predict", "/v2/models/clinic/infer"])
def test_rows_are_classified_by_the_model_they_were_read_for_whatever_is_deployed_meanwhile(
    clinic: Clinic, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = clinic.serving.now
    assert before is not None
    other = replace(before, predictor=Popular("2", "sha256:2", ("milk",)), deployment=replace(before.deployment, version="2", epoch=2))
    admit = Door.pace

    def deployed_meanwhile(door: Door, *asked: Any, **more: Any) -> None:
        admit(door, *asked, **more)
        monkeypatch.setattr(clinic.serving, "now", other)

    monkeypatch.setattr(Door, "pace", deployed_meanwhile)
    answer = clinic.ask("POST", path, {"rows": [ROW]} if path == "/predict" else {"inputs": tensors([ROW])})
    assert answer.status_code == 200, answer.text
    assert "1" in (answer.json().get("version"), answer.json().get("model_version"))


def test_feedback_says_which_class_was_true(clinic: Clinic) -> None:
    (one,) = clinic.ask("POST", "/predict", {"rows": [ROW]}).json()["predictions"]
    said = {"prediction_id": one["prediction_id"], "item": "kind0", "event": "truth"}
    assert clinic.ask("POST", "/feedback", said).status_code == 200
    assert clinic.ask("POST", "/feedback", {**said, "item": "kind9"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "rows must be a list"),
        ({"rows": ROW}, "rows must be a list"),
        ({"rows": []}, "1 to 64 rows, this has 0"),
        ({"rows": [ROW] * 65}, "1 to 64 rows, this has 65"),
        ({"rows": [ROW], "row": 1}, "'row' is not a field"),
        ({"rows": [ROW, {n: v for n, v in ROW.items() if n != "heat"}]}, "row 1 lacks the feature 'heat'"),
        ({"rows": [{**ROW, "site": "a"}]}, "row 0 has a column that is no feature of this model: 'site'"),
        ({"rows": [{**ROW, "heat": "hot"}]}, "'heat' must be a finite number or null; that of row 0"),
        ({"rows": [{**ROW, "heat": True}]}, "'heat' must be a finite number"),
        ({"rows": [{**ROW, "heat": 1e300}]}, "'heat' must be a finite number"),
        ({"rows": [{**ROW, "heat": 10**400}]}, ""),
        ({"rows": [{**ROW, "cough": 1}]}, "'cough' must be true or false"),
        ({"rows": [{**ROW, "place": ["p1"]}]}, "'place' must be a string"),
        ({"rows": [ROW], "user": ""}, "user must have 1 to 256 characters"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_column(clinic: Clinic, body: dict[str, Any], says: str) -> None:
    answer = clinic.ask("POST", "/predict", body)
    assert answer.status_code in (400, 422)
    assert says in answer.json()["error"]


def test_the_open_inference_protocol_tells_of_the_features_and_answers_in_tensors(clinic: Clinic) -> None:
    about = clinic.ask("GET", "/v2/models/clinic").json()
    assert {one["name"]: one["datatype"] for one in about["inputs"]} == {"cough": "BOOL", "heat": "FP64", "place": "BYTES", "pulse": "FP64"}
    rows = [ROW, dict.fromkeys(ROW)]
    answer = clinic.ask("POST", "/v2/models/clinic/infer", {"id": "7", "inputs": tensors(rows)}).json()
    found = {one["name"]: one for one in answer["outputs"]}
    assert (answer["id"], set(found)) == ("7", {"label", "probability", "class", "prediction_id"})
    assert found["class"]["data"] == ["kind0", "kind1", "kind2"]
    assert found["probability"]["shape"] == [2, 3]
    assert found["probability"]["data"] == pytest.approx(PLAIN.predictor(clinic.fitted).probabilities(pl.DataFrame(rows)).ravel())
    named = clinic.ask("POST", "/v2/models/clinic/infer", {"inputs": tensors(rows), "outputs": [{"name": "label"}]}).json()
    assert [one["name"] for one in named["outputs"]] == ["label"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda given: given[1:], "the input 'cough' is missing"),
        (lambda given: [*given, {"name": "site"}], "one tensor for each feature"),
        (lambda given: [{**given[0], "name": "site"}, *given[1:]], "'site' is not an input"),
        (lambda given: [{**given[0], "datatype": "FP64"}, *given[1:]], "'cough' must have the datatype BOOL"),
        (lambda given: [{**given[0], "shape": [3]}, *given[1:]], "data of 'cough'"),
        (lambda given: [{**given[0], "shape": [1], "data": [True]}, *given[1:]], "'heat' must have as many"),
        (lambda given: [given[0], {**given[1], "data": ["x", 1]}, *given[2:]], "'heat' must be a finite number"),
        (lambda given: "no", "one tensor for each feature"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_their_name(clinic: Clinic, change: Any, says: str) -> None:
    answer = clinic.ask("POST", "/v2/models/clinic/infer", {"inputs": change(tensors([ROW, ROW]))})
    assert (answer.status_code, says in answer.json()["error"]) == (400, True), answer.text


def test_a_certified_prediction_says_how_many_could_have_been_poisoned(certified: Clinic) -> None:
    (one,) = certified.ask("POST", "/predict", {"rows": [ROW]}).json()["predictions"]
    assert one["radius"] in (0, 1, 2)
    assert one["radius"] == 2 or max(one["probabilities"].values()) < 1
    answer = certified.ask("POST", "/v2/models/clinic/infer", {"inputs": tensors([ROW])}).json()
    assert next(t for t in answer["outputs"] if t["name"] == "radius")["data"] == [one["radius"]]


def test_what_classifies_does_not_recommend(clinic: Clinic) -> None:
    answer = clinic.ask("POST", "/recommend", {"user": "u1"})
    assert (answer.status_code, answer.json()["error"]) == (404, "the model that serves here tells classes: POST /predict")


def test_a_model_that_fails_is_a_500_that_is_logged_with_no_classes(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headwater.frameworks.sklearn.kept.numbers_of", lambda *_: 1 / 0)
    answer = clinic.ask("POST", "/predict", {"rows": [ROW]})
    assert (answer.status_code, answer.json()["error"]) == (500, "the model failed on this request")
    assert clinic.logged()[-1]["items"] == []


def test_a_framework_that_nobody_knows_is_not_served(clinic: Clinic) -> None:
    fitted = Fitted(framework="sklaern", arrays=clinic.fitted.arrays, parameters={})
    made = clinic.registry.save("clinic", fitted, dataset="sha256:1", derivation="sha256:9", code="sha256:3")
    deployed = type("Named", (), {"name": "clinic", "version": str(made.version), "model_digest": made.digest})
    with pytest.raises(UsageError, match="Did you mean 'sklearn'"):
        load_served(clinic.registry, deployed)  # type: ignore[arg-type]
