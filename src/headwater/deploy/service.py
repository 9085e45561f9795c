"""Service: what every route shares, and the making of one prediction: answered, named, logged, counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from headwater.core.names import printable
from headwater.deploy.bounds import Ask, Limits
from headwater.deploy.deployment import Deployment
from headwater.deploy.door import Door
from headwater.deploy.metrics import Metrics
from headwater.deploy.prediction_id import PredictionIds
from headwater.deploy.predictor import RowPredictor, is_recommender
from headwater.deploy.serving import Served, Serving
from headwater.deploy.spool import Spool

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Made", "Service", "answer", "timestamp"]

_MOST_NAMED = 100  # so many items a prediction id can tell of
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """One prediction that was made: items best first; of a classifier, all classes. `radius` is that of a certificate."""

    prediction_id: str
    deployment: Deployment
    items: Sequence[str]
    scores: Sequence[float]
    radius: int | None = None


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts of a running server."""

    serving: Serving
    spool: Spool
    ids: PredictionIds
    door: Door
    metrics: Metrics
    limits: Limits

    def predict(self, asks: Sequence[Ask]) -> list[Made]:
        """Answer each, all by the same model, and log them in one write. Raises a 503 before a model is there, a 500 if it fails.

        A prediction that failed is logged with no items, so that monitoring sees it.
        """
        served = self.served()
        predictor = served.predictor
        if not is_recommender(predictor):
            raise HTTPException(404, "the model that serves here tells classes: POST /predict")
        made, rows, failed = [], [], False
        for ask in asks:
            started = time.perf_counter_ns()
            try:
                best = predictor.recommend(ask.user, history=ask.history, k=ask.k)
                items, scores = [item for item, _ in best], [float(score) for _, score in best]
            except Exception as error:  # noqa: BLE001 - a model's fault is ours, not the caller's; he sees no traceback
                _LOG.error("the model raised %s: %s", type(error).__name__, printable(str(error)))
                items, scores, failed = [], [], True
            one, row = self._named(served.deployment, ask, items, scores)
            row["latency_us"] = (time.perf_counter_ns() - started) // 1000
            made.append(one)
            rows.append(row)
        self.spool.add_predictions(rows)
        if failed:
            self.metrics.failures.inc()
            raise HTTPException(500, "the model failed on this request")
        self.metrics.predictions.inc(len(rows))
        return made

    def classify(self, deployment: Deployment, predictor: RowPredictor, rows: pl.DataFrame, user: str | None = None) -> list[Made]:
        """Tell the classes of rows that have its features, and log them in one write. Raises a 500 if it fails.

        By the deployment whose features the rows were read by, whatever serves meanwhile. Logged as a recommendation of
        classes: all of them in `items`, likeliest first; so feedback may say which was true.
        """
        started = time.perf_counter_ns()
        try:
            told = predictor.classify(rows)
            answers = [([name for name, _ in one.best], [share for _, share in one.best], one.radius) for one in told]
        except Exception as error:  # noqa: BLE001 - a model's fault is ours, not the caller's; he sees no traceback
            _LOG.error("the model raised %s: %s", type(error).__name__, printable(str(error)))
            answers = [([], [], None)] * rows.height
        made, logged = [], []
        took = (time.perf_counter_ns() - started) // 1000
        for items, scores, radius in answers:
            ask = Ask(user, [], min(len(items), _MOST_NAMED))
            one, row = self._named(deployment, ask, items[:_MOST_NAMED], scores[:_MOST_NAMED])
            row["latency_us"] = took
            made.append(Made(one.prediction_id, one.deployment, items, scores, radius))
            logged.append(row)
        self.spool.add_predictions(logged)
        if not all(one.items for one in made):
            self.metrics.failures.inc()
            raise HTTPException(500, "the model failed on this request")
        self.metrics.predictions.inc(len(made))
        return made

    def served(self) -> Served:
        """What serves now. Raises a 503 before a model is there."""
        served = self.serving.now
        if served is None:
            raise HTTPException(503, "no model is deployed yet", {"retry-after": "1"})
        return served

    def _named(self, deployment: Deployment, ask: Ask, items: list[str], scores: list[float]) -> tuple[Made, dict[str, Any]]:
        at_us = time.time_ns() // 1000
        prediction_id = self.ids.make(deployment, ask.user, items, at_us)
        row = {
            "prediction_id": prediction_id,
            "ts": timestamp(at_us),
            "model": deployment.name,
            "version": deployment.version,
            "epoch": deployment.epoch,
            "user": ask.user,
            "items": items,
            "scores": scores,
            "k": ask.k,
        }
        return Made(prediction_id, deployment, items, scores), row


def timestamp(at_us: int) -> str:
    """ISO 8601 in UTC with microseconds, always as long."""
    return (_EPOCH + timedelta(microseconds=at_us)).isoformat(timespec="microseconds")[:26] + "Z"


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer that no browser takes for anything else."""
    return Response(orjson.dumps(value), status, {"x-content-type-options": "nosniff"}, "application/json")
