"""Classifiers: keep the law of trainers with each method, prepare inside the model, and hold nothing that runs."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression

from headwater.core.errors import DataError, HeadwaterError, Refused, UsageError
from headwater.formats import safetensors
from headwater.frameworks.sklearn import Classifier, predictor
from headwater.frameworks.sklearn.estimators import MOST_TEXTS, Examples
from headwater.frameworks.sklearn.stored import ALLOWED, ONNX, SKOPS, put_in_order, restored, stored
from headwater.testing.symptoms import symptoms, symptoms_frame
from headwater.testing.trainer_laws import TrainerLaws
from headwater.train.interactions import Frame
from headwater.train.scores import paired
from headwater.train.trainer import Fitted, Trial

METHODS = ("random-forest", "boosting", "linear", "svm")
FEATURES = ["cough", "heat", "place", "pulse"]
PLAIN = Classifier("cases", "finding", key="case", contributor="site", time="ts", split_by=None, features=FEATURES)
SMALL: dict[str, dict[str, Any]] = {"random-forest": {"trees": 20}, "boosting": {"iterations": 10, "min_leaf": 5}}


def of(method: str, **changes: Any) -> Classifier:
    return replace(PLAIN, method=method, parameters=SMALL.get(method, {}), **changes)  # type: ignore[arg-type]


def fit(trainer: Classifier, data: Frame | None = None) -> Fitted:
    return trainer.fit(data or symptoms(), Trial(parameters=trainer.defaults()))


def trained(trainer: Classifier, data: Any) -> bytes:
    return safetensors.write(trainer.fit(data, Trial(parameters=trainer.defaults())).arrays)


@pytest.fixture(scope="module", params=[(method, time) for method in METHODS for time in ("ts", None)], ids=str)
def trainer(request: pytest.FixtureRequest) -> Classifier:
    method, time = request.param
    return of(method, time=time, split_by=None if time else "patient")


@pytest.fixture(scope="module")
def data() -> Frame:
    return symptoms()


class TestClassifier(TrainerLaws):
    """The law, for each method, cut in time and by hash."""


@pytest.mark.parametrize("method", METHODS)
def test_what_can_be_told_is_told_better_than_by_the_majority(method: str, data: Frame) -> None:
    trainer = of(method)
    windows = trainer.windows(data)
    ours = trainer.score(trainer.fit(windows.test.train, Trial(parameters=trainer.defaults())), windows.test.holdout)
    baselines = trainer.baselines(windows)
    assert set(baselines) == {"majority", "linear"}
    assert paired(ours, baselines["majority"].scores, "accuracy").low > 0.2
    assert set(ours.values) == {"accuracy", "log-loss", "f1"}


@pytest.mark.parametrize(("method", "kept"), [("random-forest", ONNX), ("linear", ONNX), ("svm", ONNX), ("boosting", SKOPS)])
def test_a_model_is_kept_as_onnx_where_that_is_exact_and_else_as_skops(method: str, kept: str) -> None:
    fitted = fit(of(method))
    assert fitted.facts["kept_as"] == kept
    assert [name for name in fitted.arrays if name.startswith("model.")] == [kept]
    assert b"cposix" not in fitted.arrays[kept].tobytes()


def test_a_conversion_that_is_not_exact_is_not_kept() -> None:
    numbers = np.array([[1e9 + n, n % 2] for n in range(40)])  # a 32-bit float cannot tell these apart
    truth = (np.arange(40) >= 20).astype(int)
    examples = Examples(numbers=numbers, texts=np.empty((40, 0), object))

    class Inexact(LogisticRegression):  # type: ignore[misc]
        """One that no converter knows."""

    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    model = Pipeline([("scale", StandardScaler()), ("learn", DecisionTreeClassifier(random_state=0))]).fit(numbers, truth)
    assert stored(model, examples, exact=True)[0] == SKOPS
    unknown = Pipeline([("scale", StandardScaler()), ("learn", Inexact())]).fit(numbers, truth)
    name, content = stored(unknown, examples, exact=True)
    assert name == SKOPS
    with pytest.raises(Refused, match="Inexact"):
        restored({name: content}, margin=False)


def test_a_fresh_process_learns_the_same_bytes() -> None:
    code = "from tests.frameworks.test_sklearn import digests; print(digests())"
    env = {"PYTHONPATH": "src:.", "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert other.stdout.split() == digests().split()


@pytest.mark.parametrize("method", ["linear", "svm"])
def test_the_order_in_which_a_converter_listed_things_is_not_kept(method: str) -> None:
    kept = fit(of(method)).arrays[ONNX].tobytes()
    made = onnx.load_from_string(kept)
    for field in (made.graph.node, made.graph.initializer, made.opset_import):
        turned = [type(one).FromString(one.SerializeToString()) for one in reversed(field)]
        del field[:]
        field.extend(turned)
    put_in_order(made)
    assert made.SerializeToString(deterministic=True) == kept


def digests() -> str:
    """One for each method."""
    return " ".join(hashlib.sha256(trained(of(method), symptoms())).hexdigest() for method in METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_rows_get_the_same_answer_alone_or_among_others_and_whatever_is_missing(method: str, data: Frame) -> None:
    made = of(method).predictor(fit(of(method)))
    rows = data.frame.head(40)
    together = made.probabilities(rows)
    assert np.allclose(together.sum(axis=1), 1)
    alone = np.concatenate([made.probabilities(rows[n : n + 1]) for n in range(rows.height)])
    assert np.allclose(alone, together, atol=1e-6)
    nothing = made.probabilities(pl.DataFrame({name: [None] for name in FEATURES}))
    assert np.isfinite(nothing).all()
    strange = rows.with_columns(place=pl.lit("never seen"))
    assert np.isfinite(made.probabilities(strange)).all()


def test_preparation_is_learned_from_the_training_rows_alone(data: Frame) -> None:
    trainer = of("linear")
    train = trainer.windows(data).test.train
    later = pl.col("ts") > train.table("cases").collect()["ts"].max()
    wild = data.frame.with_columns(
        heat=pl.when(later).then(1e6).otherwise(pl.col("heat")), place=pl.when(later).then(pl.lit("elsewhere")).otherwise(pl.col("place"))
    )
    assert not wild.equals(data.frame)
    other = trainer.windows(Frame(name="cases", frame=wild, digest=data.digest)).test.train
    assert trained(trainer, other) == trained(trainer, train)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"heat": pl.lit("hot")}, "'heat' is String"),
        ({"place": pl.lit(3)}, "'place' is Int32"),
        ({"cough": pl.lit(1.0)}, "'cough' is Float64"),
        ({"pulse": pl.lit(float("inf"))}, "'pulse'"),
    ],
)
def test_rows_that_do_not_fit_name_their_column(change: dict[str, pl.Expr], says: str, data: Frame) -> None:
    made = PLAIN.predictor(fit(of("linear")))
    with pytest.raises(DataError, match=says):
        made.probabilities(data.frame.with_columns(**change))
    with pytest.raises(DataError, match="no column 'heat'"):
        made.probabilities(data.frame.drop("heat"))


def test_by_default_every_column_is_a_feature_but_those_that_name_the_row() -> None:
    trainer = replace(of("linear"), features=(), split_by="patient")
    made = trainer.predictor(fit(trainer))
    assert [(feature.name, feature.kind) for feature in made.features] == [
        ("cough", "flag"), ("heat", "number"), ("place", "text"), ("pulse", "number")
    ]  # fmt: skip


def test_a_table_that_does_not_hold_what_was_declared_says_so() -> None:
    frame = symptoms_frame()

    def refused(trainer: Classifier, frame: pl.DataFrame, says: str) -> None:
        with pytest.raises(DataError, match=says):
            trainer.windows(Frame(name="cases", frame=frame, digest="sha256:0"))

    refused(replace(PLAIN, label="findign"), frame, "Did you mean 'finding'")
    refused(replace(PLAIN, features=("ts",)), frame, "'ts' of table cases is Datetime")
    refused(PLAIN, frame.with_columns(finding=pl.when(pl.col("pulse") > 60).then(pl.col("finding"))), "have no finding")
    refused(PLAIN, frame.head(0), "no examples")
    refused(PLAIN, frame.head(30), "at least 20 needed")
    refused(PLAIN, frame.with_columns(finding=pl.lit("one")), "fewer than two values")
    refused(PLAIN, frame.with_columns(ts=pl.lit(0)), "too few different times")
    refused(PLAIN, frame.with_columns(heat=pl.lit(float("inf"))), "'heat'")


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "forest"},
        {"metric": "ndcg@10"},
        {"trials": 0},
        {"parameters": {"tress": 1}},
        {"features": "heat"},
        {"features": ("heat", "finding")},
        {"method": "svm", "metric": "log-loss"},
    ],
)
def test_a_wrong_declaration_is_a_usage_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        replace(PLAIN, **wrong)


def test_rows_with_one_label_make_a_model_that_always_says_so() -> None:
    fitted = fit(PLAIN, Frame(name="cases", frame=symptoms_frame().with_columns(finding=pl.lit("one")), digest="sha256:0"))
    made = predictor(safetensors.read(safetensors.write(fitted.arrays)), fitted.parameters)
    assert made.labels == ("one",)
    assert made.probabilities(symptoms_frame()).tolist() == [[1.0]] * 400


def test_of_many_texts_the_most_frequent_are_told_apart_and_the_rest_is_one() -> None:
    frame = symptoms_frame(rows=600).with_columns(place=pl.Series([f"x{n}" for n in range(300)] + [f"y{n % 50}" for n in range(300)]))
    made = PLAIN.predictor(fit(of("linear"), Frame(name="cases", frame=frame, digest="sha256:0")))
    rows = frame.head(1).drop("place")
    seen = {place: tuple(made.probabilities(rows.with_columns(place=pl.lit(place)))[0]) for place in ("y1", "x299", "x298", "never")}
    assert seen["x299"] == seen["x298"] == seen["never"]
    assert seen["y1"] != seen["never"]
    assert MOST_TEXTS == 100


def _skops_with(change: dict[str, str]) -> np.ndarray[Any, Any]:
    """A model of ours whose outermost part names another type."""
    content = fit(of("boosting")).arrays[SKOPS].tobytes()
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for one in old.namelist():
            text = old.read(one)
            if one == "schema.json":
                text = json.dumps({**json.loads(text), **change}).encode()
            new.writestr(one, text)
    return np.frombuffer(made.getvalue(), np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        {"__module__": "os", "__class__": "system"},
        {"__module__": "sklearn.ensemble._voting", "__class__": "VotingClassifier"},  # skops would trust it
        {"__loader__": "MethodNode"},
        {"__module__": "builtins", "__class__": "eval", "__loader__": "TypeNode"},
    ],
)
def test_a_skops_file_that_names_anything_else_is_refused_before_it_is_made(change: dict[str, str]) -> None:
    with pytest.raises(Refused, match="which no model of ours holds"):
        restored({SKOPS: _skops_with(change)}, margin=False)
    assert not any(
        name.startswith(("os.", "subprocess.")) or name in {"builtins.eval", "builtins.exec", "builtins.getattr"} for name in ALLOWED
    )


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"\x80\x04cposix\nsystem\n", b"junk" * 100])
@pytest.mark.parametrize("name", [ONNX, SKOPS])
def test_bytes_that_are_no_model_are_an_error_of_ours(name: str, content: bytes) -> None:
    fitted = fit(of("linear"))
    arrays = {**{n: a for n, a in fitted.arrays.items() if not n.startswith("model.")}, name: np.frombuffer(content, np.uint8)}
    with pytest.raises(HeadwaterError):
        predictor(arrays, fitted.parameters)


def test_a_missing_array_is_a_data_error() -> None:
    fitted = fit(of("linear"))
    for name in fitted.arrays:
        with pytest.raises(DataError):
            predictor({n: a for n, a in fitted.arrays.items() if n != name}, fitted.parameters)
