"""Metrics: what Prometheus may scrape. Every label value is one of ours; nothing an outsider wrote becomes one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from headwater.deploy.serving import Serving
    from headwater.deploy.spool import Spool

__all__ = ["Measured", "Metrics"]

_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self, serving: Serving, spool: Spool) -> None:
        self.registry = CollectorRegistry()
        requests = Counter("headwater_requests", "Requests answered.", ["route", "code"], registry=self.registry)
        seconds = Histogram("headwater_request_seconds", "Time to answer.", ["route"], buckets=_BUCKETS, registry=self.registry)
        refused = Counter("headwater_feedback_refused", "Feedback refused, by reason.", ["reason"], registry=self.registry)
        self.requests: Callable[[str, str], Any] = lru_cache(maxsize=1000)(requests.labels)
        self.seconds: Callable[[str], Any] = lru_cache(maxsize=100)(seconds.labels)
        self.refused: Callable[[str], Any] = lru_cache(maxsize=100)(refused.labels)
        self.predictions = Counter("headwater_predictions", "Predictions made.", registry=self.registry)
        self.feedback = Counter("headwater_feedback", "Feedback acknowledged.", registry=self.registry)
        self.repeated = Counter("headwater_feedback_repeated", "Feedback that was acknowledged before.", registry=self.registry)
        self.failures = Counter("headwater_model_failures", "Predictions on which the model raised.", registry=self.registry)
        self._gauge("headwater_deployment_epoch", "The epoch that serves.", lambda: serving.now.deployment.epoch if serving.now else 0)
        self._gauge("headwater_deployment_refused", "1 if the deployment named now was refused.", lambda: int(serving.problem is not None))
        self._gauge("headwater_spool_waiting", "Feedback rows not on disk yet.", lambda: spool.waiting)
        self._gauge("headwater_spool_unsealed", "Closed spool files the ledger does not know yet.", lambda: spool.unsealed)
        self._gauge("headwater_spool_failing", "1 if the spool does not take rows.", lambda: int(spool.problem is not None))
        self._gauge("headwater_predictions_not_logged", "Predictions answered but not logged.", lambda: spool.lost_predictions)

    def text(self) -> bytes:
        """Everything, in the Prometheus text format."""
        return generate_latest(self.registry)

    def _gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        Gauge(name, what, registry=self.registry).set_function(value)


class Measured:
    """ASGI middleware: counts every answer by route and code, and times it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        code = 500

        async def counted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.requests(route, str(code)).inc()
            self.metrics.seconds(route).observe(time.perf_counter() - started)
