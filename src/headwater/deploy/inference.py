"""Open Inference Protocol v2: health, metadata and `infer` as tensors, for clients that speak it already.

Inputs: `user` BYTES [n], and optionally `history` BYTES [n] (each a JSON list of items as a string) and `k` INT64 [1].
Outputs: `item` BYTES [n,k], `score` FP32 [n,k] and `prediction_id` BYTES [n]. Where a row has fewer items than the longest
one, it is filled up with "" and 0. A user of "" is nobody known.

Of a classifier the inputs are its features, FP64, BOOL or BYTES [n] (null where missing), the outputs `label` BYTES [n],
`probability` FP64 [n,c], `class` BYTES [c], `prediction_id` BYTES [n] and, where it is certified, `radius` INT64 [n].
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from headwater.core.names import printable
from headwater.deploy.bounds import Ask, Limits, check_id, check_ids, check_k, read_json
from headwater.deploy.deployment import Deployment
from headwater.deploy.door import Caller
from headwater.deploy.predictor import RowPredictor, is_row_predictor
from headwater.deploy.rows import class_tensors, row_inputs, row_outputs, tensor_rows
from headwater.deploy.schemas import INFER, described
from headwater.deploy.service import Made, Service, answer
from headwater.deploy.serving import Served

__all__ = ["add_inference"]

_INPUTS = [
    {"name": "user", "datatype": "BYTES", "shape": [-1]},
    {"name": "history", "datatype": "BYTES", "shape": [-1]},
    {"name": "k", "datatype": "INT64", "shape": [1]},
]
_OUTPUTS = [
    {"name": "item", "datatype": "BYTES", "shape": [-1, -1]},
    {"name": "score", "datatype": "FP32", "shape": [-1, -1]},
    {"name": "prediction_id", "datatype": "BYTES", "shape": [-1]},
]
_TYPES = {tensor["name"]: tensor["datatype"] for tensor in _INPUTS}


def add_inference(app: FastAPI, service: Service, server_version: str) -> None:
    """Add the protocol's routes."""
    open_to_all, to_predictors = described(None, None), described(None, "predict")

    @app.get("/v2/health/live", tags=["health"], summary="Is the server up?", **open_to_all)
    async def live() -> Response:
        return answer({"live": True})

    @app.get("/v2/health/ready", tags=["health"], summary="Does a model serve? 503 if none", **open_to_all)
    async def ready() -> Response:
        now, refused = service.serving.now, service.serving.problem is not None
        state = {"ready": now is not None, "deployment_refused": refused, "spool_failing": service.spool.problem is not None}
        return answer(state, 200 if now else 503)

    @app.get("/v2", tags=["inference"], summary="About the server", **to_predictors)
    async def server(request: Request) -> Response:
        service.door.admit(request, "predict")
        return answer({"name": "headwater", "version": server_version, "extensions": []})

    @app.get("/v2/models/{model}/versions/{version}/ready", tags=["inference"], summary="Does this version serve?", **to_predictors)
    @app.get("/v2/models/{model}/ready", tags=["inference"], summary="Does this model serve?", **to_predictors)
    async def model_ready(request: Request, model: str, version: str | None = None) -> Response:
        service.door.admit(request, "predict")
        _served(service, model, version)
        return answer({"name": model, "ready": True})

    @app.get("/v2/models/{model}/versions/{version}", tags=["inference"], summary="About this version", **to_predictors)
    @app.get("/v2/models/{model}", tags=["inference"], summary="About this model", **to_predictors)
    async def model_metadata(request: Request, model: str, version: str | None = None) -> Response:
        service.door.admit(request, "predict")
        now = _served(service, model, version)
        about = {"name": model, "versions": [now.deployment.version], "platform": "headwater"}
        if is_row_predictor(model_now := now.predictor):
            return answer({**about, "inputs": row_inputs(model_now.features), "outputs": row_outputs(model_now.labels)})
        return answer({**about, "inputs": _INPUTS, "outputs": _OUTPUTS})

    @app.post("/v2/models/{model}/versions/{version}/infer", tags=["inference"], summary="Infer", **described(INFER, "predict"))
    @app.post("/v2/models/{model}/infer", tags=["inference"], summary="Infer", **described(INFER, "predict"))
    async def infer(request: Request, model: str, version: str | None = None) -> Response:
        caller = service.door.admit(request, "predict")
        body = await read_json(request, service.limits, wrong=400)
        served = _served(service, model, version)
        now = served.predictor
        outputs = row_outputs(now.labels) if is_row_predictor(now) else _OUTPUTS
        wanted, name = _wanted(body, outputs), _request_id(body)
        if is_row_predictor(now):
            made, tensors = await _classified(service, caller, body, served.deployment, now)
        else:
            made, tensors = _recommended(service, caller, body)
        about = {"model_name": model, "model_version": made[0].deployment.version}
        return answer({**about, **({"id": name} if name else {}), "outputs": [t for t in tensors if t["name"] in wanted]})


def _recommended(service: Service, caller: Caller, body: dict[str, Any]) -> tuple[list[Made], list[dict[str, Any]]]:
    asks = _asks(body, service.limits)
    for ask in asks:
        service.door.pace(caller, ask.user)
    made = service.predict(asks)
    return made, _tensors(made)


async def _classified(
    service: Service, caller: Caller, body: dict[str, Any], deployment: Deployment, model: RowPredictor
) -> tuple[list[Made], list[dict[str, Any]]]:
    rows = tensor_rows(body, model.features, service.limits)
    service.door.pace(caller, None, cost=rows.height)
    made = await asyncio.to_thread(service.classify, deployment, model, rows)
    return made, class_tensors(made, model.labels)


def _served(service: Service, model: str, version: str | None) -> Served:
    now = service.serving.now
    if model != service.serving.name or now is None or version not in (None, now.deployment.version):
        raise HTTPException(404, "no such model or version serves here")
    return now


def _asks(body: dict[str, Any], limits: Limits) -> list[Ask]:
    """The checked requests in a batch, one for each user."""
    tensors = dict(_inputs(body))
    if "user" not in tensors:
        raise HTTPException(400, "the input 'user' is missing")
    users, histories = tensors["user"], tensors.get("history")
    if not 1 <= len(users) <= limits.batch:
        raise HTTPException(400, f"a batch must have 1 to {limits.batch} users, this has {len(users)}")
    if histories is not None and len(histories) != len(users):
        raise HTTPException(400, f"'history' must have one element for each user: {len(users)}, this has {len(histories)}")
    wanted = tensors.get("k", [10])
    if len(wanted) != 1:
        raise HTTPException(400, "the input 'k' must have the shape [1]")
    k = check_k(wanted[0], limits, wrong=400)
    names = [None if user == "" else check_id(user, "each user", limits, wrong=400) for user in users]
    pasts = [_history(text, limits) for text in histories] if histories is not None else [[] for _ in users]
    return [Ask(user, past, k) for user, past in zip(names, pasts, strict=True)]


def _inputs(body: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or len(inputs) > len(_INPUTS):
        raise HTTPException(400, "'inputs' must be a list of the tensors user, history and k")
    for tensor in inputs:
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if not isinstance(name, str) or name not in _TYPES:
            raise HTTPException(400, f"{printable(str(name), 40)!r} is not an input: the inputs are user, history and k")
        if tensor.get("datatype") != _TYPES[name]:
            raise HTTPException(400, f"the input '{name}' must have the datatype {_TYPES[name]}")
        shape, data = tensor.get("shape"), tensor.get("data")
        if not isinstance(data, list) or shape not in ([len(data)], [len(data), 1]):
            raise HTTPException(400, f"the data of '{name}' must be a flat list with as many elements as its shape says")
        yield name, data


def _history(text: Any, limits: Limits) -> list[str]:
    try:
        items = orjson.loads(text) if text else []
    except orjson.JSONDecodeError:
        raise HTTPException(400, "each element of 'history' must be a JSON list of items, as a string") from None
    check_ids(items, "history", limits, wrong=400)
    return items


def _wanted(body: dict[str, Any], outputs: Sequence[dict[str, Any]]) -> set[str]:
    """The outputs asked for; all if none are named."""
    known = {str(tensor["name"]) for tensor in outputs}
    asked = body.get("outputs")
    if not asked:
        return known
    names = [output.get("name") if isinstance(output, dict) else None for output in asked] if isinstance(asked, list) else [None]
    if any(name not in tuple(known) for name in names):  # a tuple, since what is asked for may be anything
        raise HTTPException(400, f"'outputs' may name {', '.join(sorted(known))}")
    return {str(name) for name in names}


def _request_id(body: dict[str, Any]) -> str | None:
    name = body.get("id")
    if name is not None and not (isinstance(name, str) and len(name) <= 256 and name.isprintable()):
        raise HTTPException(400, "'id' must be a string of at most 256 printable characters")
    return name


def _tensors(made: list[Made]) -> list[dict[str, Any]]:
    rows, width = len(made), max(len(one.items) for one in made)
    items = [item for one in made for item in [*one.items, *[""] * (width - len(one.items))]]
    scores = [score for one in made for score in [*one.scores, *[0.0] * (width - len(one.scores))]]
    return [
        {"name": "item", "datatype": "BYTES", "shape": [rows, width], "data": items},
        {"name": "score", "datatype": "FP32", "shape": [rows, width], "data": scores},
        {"name": "prediction_id", "datatype": "BYTES", "shape": [rows], "data": [one.prediction_id for one in made]},
    ]
