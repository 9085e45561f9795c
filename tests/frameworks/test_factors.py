"""The recommender: keeps the law of trainers with each method, and serves what the library would, whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from headwater.core.errors import DataError, UsageError
from headwater.deploy.predictor import Predictor
from headwater.frameworks import factors
from headwater.frameworks.factors import FactorPredictor, Recommender, predictor
from headwater.testing.tastes import tastes, tastes_frame
from headwater.testing.trainer_laws import TrainerLaws
from headwater.train.interactions import Frame
from headwater.train.packed import Strings, pack
from headwater.train.scores import paired
from headwater.train.trainer import Fitted, Trial

METHODS = ("neighbours", "als", "ease")
PLAIN = Recommender("interactions")


@pytest.fixture(scope="module", params=METHODS)
def trainer(request: pytest.FixtureRequest) -> Recommender:
    return Recommender("interactions", weight="weight", method=request.param)


@pytest.fixture(scope="module")
def data() -> Frame:
    return tastes()


class TestRecommender(TrainerLaws):
    """The law, for each method."""


def fit(trainer: Recommender = PLAIN, data: Frame | None = None, **parameters: Any) -> Fitted:
    return trainer.fit(data or tastes(), Trial(parameters={**trainer.defaults(), **parameters}))


@pytest.fixture(scope="module")
def served() -> FactorPredictor:
    return PLAIN.predictor(fit())


@pytest.fixture(scope="module")
def by_method() -> dict[str, FactorPredictor]:
    trainers = {method: replace(PLAIN, method=method) for method in METHODS}  # type: ignore[arg-type]
    return {method: trainer.predictor(fit(trainer)) for method, trainer in trainers.items()}


def matrix() -> tuple[csr_matrix, list[str], list[str]]:
    """The made-up shop as users by items, by hand."""
    frame = tastes_frame().select("user_id", "item_id").unique()
    users, items = sorted(frame["user_id"].unique()), sorted(frame["item_id"].unique())
    rows, columns = [users.index(u) for u in frame["user_id"]], [items.index(i) for i in frame["item_id"]]
    return csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(len(users), len(items))), users, items


@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_neighbours_recommend_what_the_library_does_by_hand(similarity: str) -> None:
    from implicit import nearest_neighbours as library

    known, users, items = matrix()
    name = {"cosine": "CosineRecommender", "tfidf": "TFIDFRecommender", "bm25": "BM25Recommender"}[similarity]
    model = getattr(library, name)(K=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(known.astype(float), show_progress=False)
    ours = PLAIN.predictor(fit(similarity=similarity, neighbours=20))
    for row in range(0, len(users), 10):
        codes, scores = model.recommend(row, known[row].astype(float), N=5)
        found = ours.recommend(users[row], k=5)
        assert [score for _, score in found] == pytest.approx(scores.tolist(), rel=1e-3, abs=2e-6)
        clear = len(set(np.round(scores, 4))) == len(scores)
        assert not clear or [item for item, _ in found] == [items[code] for code in codes]


def test_als_solves_for_a_user_as_the_library_does_when_told_to(by_method: dict[str, FactorPredictor]) -> None:
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    known, users, items = matrix()
    trial = replace(PLAIN, method="als").defaults()
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(**trial, random_state=0)
        model.fit(known, show_progress=False)
        for row in range(0, len(users), 20):
            codes, scores = model.recommend(row, known[row], N=5, recalculate_user=True)
            found = by_method["als"].recommend(users[row], k=5)
            assert [score for _, score in found] == pytest.approx(scores.tolist(), abs=2e-3)
            assert len({item for item, _ in found} & {items[code] for code in codes}) >= 4


def test_ease_with_all_neighbours_is_its_closed_form(by_method: dict[str, FactorPredictor]) -> None:
    known, users, items = matrix()
    dense = known.toarray().astype(float)
    inverse = np.linalg.inv(dense.T @ dense + 200.0 * np.eye(len(items)))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    expected = dense @ weights
    for row in range(0, len(users), 20):
        for item, score in by_method["ease"].recommend(users[row], k=5):
            assert score == pytest.approx(expected[row, items.index(item)], abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.one_of(st.none(), st.sampled_from(["u0001", "u0050", "nobody", "", "\x00", "ü" * 50])),
    st.lists(st.sampled_from([*(f"i{n:04d}" for n in range(60)), "unheard-of", ""]), max_size=130),
    st.integers(0, 70),
)
def test_whoever_asks_gets_at_most_k_finite_scores_best_first_each_once_and_nothing_he_knows(
    by_method: dict[str, FactorPredictor], method: str, user: str | None, history: Sequence[str], k: int
) -> None:
    found = by_method[method].recommend(user, history=history, k=k)
    items, scores = [item for item, _ in found], [score for _, score in found]
    assert len(items) == len(set(items)) <= k
    assert scores == sorted(scores, reverse=True)
    assert all(np.isfinite(scores))
    assert not set(items) & set(history)
    assert found == by_method[method].recommend(user, history=history, k=k)
    unknown = 60 - len(set(history) & {f"i{n:04d}" for n in range(60)})
    assert user in ("u0001", "u0050") or len(items) == min(k, unknown)


def test_a_predictor_is_what_deploy_takes(served: FactorPredictor) -> None:
    port: Predictor = predictor(fit().arrays, fit().parameters, name="shop", version="3", digest="sha256:x")
    assert (port.name, port.version, port.digest) == ("shop", "3", "sha256:x")
    assert (served.n_users, served.n_items) == (120, 60)
    assert "u0007" in served.contributors


def test_a_user_never_seen_is_served_from_his_first_clicks_like_one_who_was(served: FactorPredictor) -> None:
    history = [item for item in served.items if int(item[1:]) % 4 == 2][:6]
    found = [int(item[1:]) % 4 for item, _ in served.recommend("new", history=history, k=5)]
    assert found.count(2) >= 4  # of the same taste
    assert served.recommend("new", history=history) == served.recommend(None, history=history)


def test_of_whom_nothing_is_known_gets_what_is_popular_of_late() -> None:
    day = 86_400
    rows = [(f"a{n}", "old", 0) for n in range(30)] + [(f"b{n}", "new", 100 * day) for n in range(20)] + [("c", "rare", 100 * day)]
    table = pl.DataFrame(rows, schema=["user_id", "item_id", "ts"], orient="row")
    ours = PLAIN.predictor(fit(data=Frame(name="interactions", frame=table, digest="")))
    assert [item for item, _ in ours.recommend(None)] == ["new", "rare", "old"]
    assert [item for item, _ in ours.recommend(None, history=["unheard-of"])] == ["new", "rare", "old"]


def test_history_adds_to_what_is_known_of_a_user(served: FactorPredictor) -> None:
    alone = served.recommend("u0001", k=3)
    added = served.recommend("u0001", history=[alone[0][0]], k=3)
    assert alone[0][0] not in [item for item, _ in added]
    seen = [item for item, _ in served.recommend("u0001", k=60, exclude_seen=False)]
    assert len(seen) == 60 > len(served.recommend("u0001", k=60))


@pytest.mark.parametrize("method", METHODS)
def test_an_explanation_names_items_of_the_history_and_adds_up_to_the_score(by_method: dict[str, FactorPredictor], method: str) -> None:
    ours = by_method[method]
    item, score = ours.recommend("u0003", k=1)[0]
    reasons = ours.explain(item, user="u0003", k=99)
    rows, _ = ours._known("u0003", ())
    assert {name for name, _ in reasons} <= {ours.items[row] for row in rows}
    assert sum(part for _, part in reasons) >= score - 1e-4  # parts that speak against it are left out
    assert reasons == sorted(reasons, key=lambda reason: -reason[1])
    assert len(ours.explain(item, user="u0003", k=2)) <= 2
    assert ours.explain("unheard-of", user="u0003") == ours.explain(item) == []


@pytest.mark.parametrize("method", METHODS)
def test_tastes_are_learned_beyond_the_interval_over_both_popularities(method: Any) -> None:
    trainer = replace(PLAIN, method=method)
    windows = trainer.windows(tastes(users=300, items=200, events=9_000))
    small = {"factors": 8} if method == "als" else {}  # as few as so small a catalogue bears
    ours = trainer.score(trainer.fit(windows.test.train, Trial(parameters={**trainer.defaults(), **small})), windows.test.holdout)
    for baseline in trainer.baselines(windows).values():
        assert paired(ours, baseline.scores, "ndcg@10").low > 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-3, 30), min_size=0, max_size=300), st.integers(0, 12))
def test_the_best_are_those_that_sorting_everything_gives(scores: list[int], k: int) -> None:
    array = np.array(scores, float)
    assert factors._best(array, k).tolist() == sorted(range(len(scores)), key=lambda at: (-scores[at], at))[:k]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(), unique=True, max_size=30), st.text())
def test_packed_texts_are_found_where_they_are(texts: list[str], other: str) -> None:
    texts = sorted(text for text in texts if text.isprintable())
    packed = Strings(*pack(texts))
    assert packed[:] == texts
    assert [packed.find(text) for text in texts] == list(range(len(texts)))
    assert (packed.find(other) is not None) == (other in texts)


def test_weights_count_as_the_power_says() -> None:
    trainer = replace(PLAIN, weight="weight")
    flat = fit(trainer, power=0.0)
    assert flat.arrays["similarity.weights"].tolist() == fit().arrays["similarity.weights"].tolist()
    assert fit(trainer, power=1.0).arrays["similarity.weights"].tolist() != flat.arrays["similarity.weights"].tolist()


def test_nothing_is_said_while_fitting(capfd: pytest.CaptureFixture[str]) -> None:
    for method in METHODS:
        fit(replace(PLAIN, method=method))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("method", METHODS)
def test_the_first_thing_that_a_process_does_may_be_to_fit(method: str) -> None:
    program = (
        "from headwater.frameworks.factors import Recommender; from headwater.testing.tastes import tastes; "
        "from headwater.train.trainer import Trial; import sys; "
        f"t = Recommender('interactions', method={method!r}); t.fit(tastes(), Trial(parameters=t.defaults()))"
    )
    environment = {**os.environ, "PYTHONPATH": "src", "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("rows", [[("u", "a")], [("u", "a"), ("u", "b")], [("u", "a"), ("v", "a")]])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("similarity", ["cosine", "tfidf", "bm25"])
def test_a_handful_of_rows_is_learned_without_a_warning(rows: list[tuple[str, str]], method: Any, similarity: str) -> None:
    table = pl.DataFrame(rows, schema=["user_id", "item_id"], orient="row").with_columns(ts=0)
    trainer = replace(PLAIN, method=method)
    if method != "neighbours" and similarity != "cosine":
        return
    ours = trainer.predictor(fit(trainer, Frame(name="interactions", frame=table, digest=""), similarity=similarity))
    assert len(ours.recommend(None)) == len({item for _, item in rows})
    assert ours.recommend("u", k=5) == [] or len(rows) > 1


def test_what_cannot_be_learned_or_declared_is_said_plainly() -> None:
    empty = Frame(name="interactions", frame=tastes_frame().clear(), digest="")
    with pytest.raises(DataError, match="no interactions to learn from"):
        fit(data=empty)
    with pytest.raises(UsageError, match="Did you mean 'neighbours'"):
        Recommender("interactions", method="neighbors")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="ndcg@10"):
        Recommender("interactions", metric="auc")
    with pytest.raises(UsageError, match="trials"):
        Recommender("interactions", trials=0)
    with pytest.raises(DataError, match="missing"):
        predictor({}, {})


def test_ease_refuses_a_catalogue_whose_square_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "MAX_EASE_ITEMS", 10)
    with pytest.raises(UsageError, match="Use method='neighbours'"):
        fit(replace(PLAIN, method="ease"))
