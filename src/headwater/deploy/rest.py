"""REST: the application around what serves. Recommendations, classes, feedback, metrics, the Open Inference Protocol, a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from headwater.core.errors import UsageError
from headwater.core.keys import Keys
from headwater.deploy.access import ApiKeys
from headwater.deploy.bounds import Limits, parse_ask, read_json
from headwater.deploy.direct import Direct
from headwater.deploy.door import Door
from headwater.deploy.feedback import add_feedback
from headwater.deploy.inference import add_inference
from headwater.deploy.metrics import Measured, Metrics
from headwater.deploy.predict import add_predict
from headwater.deploy.prediction_id import PredictionIds
from headwater.deploy.schemas import ASK, described, page, secured
from headwater.deploy.service import Service, answer
from headwater.deploy.serving import Serving
from headwater.deploy.spool import Spool

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig

__all__ = ["create_app"]


def create_app(
    serving: Serving, *, keys: Keys, spool: Spool, auth: Literal["keys", "none"] = "keys", limits: Limits | None = None
) -> FastAPI:
    """The application. It watches the deployment while it runs, and closes the spool when it ends.

    Everything but health, `/docs` and `/openapi.json` needs an API key, unless `auth` is `"none"`. Errors are
    `{"error": "one sentence"}`; they hold no traceback.
    """
    if auth not in ("keys", "none"):
        raise UsageError(f"auth must be 'keys' or 'none', this is {auth!r}")
    limits = limits or Limits()
    release = version("headwater")
    service = Service(
        serving=serving,
        spool=spool,
        ids=PredictionIds(serving.name, keys, expires_s=limits.feedback_days * 86_400),
        door=Door(ApiKeys(keys.folder) if auth == "keys" else None, limits),
        metrics=Metrics(serving, spool),
        limits=limits,
    )

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        watcher = asyncio.create_task(serving.watch())
        yield
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher
        await asyncio.to_thread(spool.close)

    # FastAPI can send traces where its environment says so; requests hold people's ids, so this one never does.
    silent: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
    app = FastAPI(title=f"Headwater: {serving.name}", version=release, docs_url=None, redoc_url=None, lifespan=running, telemetry=silent)
    app.add_middleware(Measured, metrics=service.metrics)
    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(RequestValidationError, _misfit)
    app.add_exception_handler(Exception, _broke)
    _add_recommend(app, service)
    add_predict(app, service)
    add_feedback(app, service)
    add_inference(app, service, release)
    _add_about(app, service)
    secured(app)
    return app


def _add_recommend(app: FastAPI, service: Service) -> None:
    async def recommend(request: Request) -> Response:
        caller = service.door.admit(request, "predict")
        ask = parse_ask(await read_json(request, service.limits), service.limits)
        service.door.pace(caller, ask.user)
        (made,) = service.predict([ask])
        return answer(
            {
                "prediction_id": made.prediction_id,
                "model": made.deployment.name,
                "version": made.deployment.version,
                "epoch": made.deployment.epoch,
                "items": [{"item": item, "score": score} for item, score in zip(made.items, made.scores, strict=True)],
            }
        )

    about = described(ASK, "predict") | {"summary": "Recommend items to a user, also to one never seen", "tags": ["recommend"]}
    app.router.add_api_route("/recommend", recommend, methods=["POST"], route_class_override=Direct, **about)


def _add_about(app: FastAPI, service: Service) -> None:
    @app.get("/metrics", tags=["metrics"], summary="Metrics for Prometheus", **described(None, "metrics"))
    async def metrics(request: Request) -> Response:
        service.door.admit(request, "metrics")
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(page(app.openapi()), headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"})


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = answer({"error": error.detail}, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _misfit(request: Request, error: Exception) -> Response:
    return answer({"error": "the request does not fit: see /openapi.json"}, 422)


async def _broke(request: Request, error: Exception) -> Response:
    return answer({"error": "something went wrong here: the server's log says what"}, 500)
