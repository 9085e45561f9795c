"""Predict: the route that asks a classifier about rows."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from headwater.deploy.bounds import read_json
from headwater.deploy.direct import Direct
from headwater.deploy.predictor import is_row_predictor
from headwater.deploy.rows import parse_rows
from headwater.deploy.schemas import ROWS, described
from headwater.deploy.service import Made, Service, answer

__all__ = ["add_predict"]


def add_predict(app: FastAPI, service: Service) -> None:
    """Add `POST /predict`."""

    async def predict(request: Request) -> Response:
        caller = service.door.admit(request, "predict")
        body = await read_json(request, service.limits)
        served = service.served()
        model = served.predictor
        if not is_row_predictor(model):
            raise HTTPException(404, "the model that serves here recommends: POST /recommend")
        rows, user = parse_rows(body, model.features, service.limits)
        service.door.pace(caller, user, cost=rows.height)
        made = await asyncio.to_thread(service.classify, served.deployment, model, rows, user)
        by = served.deployment
        about = {"model": by.name, "version": by.version, "epoch": by.epoch}
        return answer({**about, "predictions": [_told(one) for one in made]})

    about = described(ROWS, "predict") | {"summary": "Tell the classes of rows, with probabilities", "tags": ["predict"]}
    app.router.add_api_route("/predict", predict, methods=["POST"], route_class_override=Direct, **about)


def _told(made: Made) -> dict[str, Any]:
    certified = {} if made.radius is None else {"radius": made.radius}
    shares = dict(zip(made.items, made.scores, strict=True))
    return {"prediction_id": made.prediction_id, "label": made.items[0], "probabilities": shares, **certified}
