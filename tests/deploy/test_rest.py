"""The API as a client meets it: a real server in a process of its own."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.deploy.popular import Shop, served, until


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.promote("v1")
    return shop


@pytest.fixture(scope="module")
def headers(project: Shop) -> dict[str, str]:
    return project.key("predict", "feedback", "metrics")


@pytest.fixture(scope="module")
def address(project: Shop) -> Iterator[str]:
    with served(project) as (address, process):
        yield address
    assert process.returncode == 0


@pytest.fixture(scope="module")
def client(address: str, headers: dict[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, headers=headers) as client:
        yield client


def _recommended(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/recommend", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def _error(answer: httpx.Response) -> str:
    """The one sentence of a failed answer; it is short and holds no traceback."""
    assert list(answer.json()) == ["error"]
    sentence = answer.json()["error"]
    assert "Traceback" not in answer.text
    assert len(answer.content) < 300
    return str(sentence)


def test_a_user_never_seen_gets_items_and_each_prediction_is_logged(client: httpx.Client, project: Shop) -> None:
    made = _recommended(client, user="new", history=["i0", "i2"], k=3)
    assert [one["item"] for one in made["items"]] == ["i1", "i3", "i4"]
    assert (made["model"], made["version"], made["epoch"]) == ("shop", "v1", 1)
    row = next(row for row in project.rows("predictions") if row["prediction_id"] == made["prediction_id"])
    assert list(row) == ["prediction_id", "ts", "model", "version", "epoch", "user", "items", "scores", "k", "latency_us"]
    assert (row["user"], row["items"], row["k"]) == ("new", ["i1", "i3", "i4"], 3)
    assert len(row["ts"]) == len("2026-01-01T00:00:00.000000Z")
    assert len(_recommended(client)["items"]) == 10


def test_feedback_is_on_disk_when_it_is_acknowledged_and_the_same_twice_is_once(client: httpx.Client, project: Shop) -> None:
    made = _recommended(client, user="u1")
    said = {"prediction_id": made["prediction_id"], "item": made["items"][4]["item"], "event": "click"}
    first = client.post("/feedback", json=said)
    assert first.json()["repeated"] is False
    rows = [row for row in project.rows("feedback") if row["prediction_id"] == said["prediction_id"]]
    assert client.post("/feedback", json={**said, "user": "u1"}).json() == {**first.json(), "repeated": True}
    assert client.post("/feedback", json={**said, "event": "buy"}).json()["repeated"] is False
    (row,) = rows
    assert list(row) == [
        "feedback_id", "prediction_id", "ts", "user", "item", "event", "position", "model", "version", "asserted_by"
    ]  # fmt: skip
    assert (row["user"], row["position"], row["model"], row["version"], row["asserted_by"]) == (
        project.keys.pseudonym("u1"), 4, "shop", "v1", "source"
    )  # fmt: skip
    assert [r["event"] for r in project.rows("feedback") if r["prediction_id"] == said["prediction_id"]] == ["click", "buy"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"item": "i149"}, 422),
        ({"user": "somebody-else"}, 422),
        ({"prediction_id": "AAAA"}, 422),
        ({"prediction_id": "\u00e9" * 50}, 422),
        ({"prediction_id": 7}, 422),
        ({"event": "<script>"}, 422),
        ({"event": None}, 422),
    ],
)
def test_feedback_on_what_was_not_predicted_is_refused_at_the_door(
    client: httpx.Client, project: Shop, change: dict[str, Any], status: int
) -> None:
    made = _recommended(client, user="u1")
    before = project.rows("feedback")
    answer = client.post("/feedback", json={"prediction_id": made["prediction_id"], "item": "i0", "event": "click", **change})
    assert answer.status_code == status
    _error(answer)
    assert project.rows("feedback") == before


_BAD = [
    (b"{", 400), (b"\xff\xfe", 400), (b'{"k": NaN}', 400), (b'{"user": "\\ud800"}', 400), (b"[" * 5000, 400), (b"", 400),
    (b"[]", 422), (b"null", 422), (b'{"user": 7}', 422), (b'{"user": ""}', 422), (b'{"user": "a\\u0000b"}', 422),
    (b'{"user": "\\u001b[31m"}', 422), (b'{"user": "\\u202egnp.exe"}', 422), (b'{"k": 0}', 422), (b'{"k": 101}', 422),
    (b'{"k": true}', 422), (b'{"k": 1.5}', 422), (b'{"k": 99999999999999999999}', 422), (b'{"history": "i1"}', 422),
    (b'{"history": {"a": 1}}', 422), (b'{"history": [["i1"]]}', 422), (b'{"usr": "u"}', 422),
    (json.dumps({"user": "u" * 257}).encode(), 422), (json.dumps({"history": ["i"] * 201}).encode(), 422),
    (json.dumps({"<b>" * 5000: 1}).encode(), 422),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status"), _BAD)
def test_what_is_out_of_bounds_is_refused_in_one_sentence_without_an_echo(client: httpx.Client, body: bytes, status: int) -> None:
    answer = client.post("/recommend", content=body)
    assert answer.status_code == status, answer.text
    assert _error(answer).isprintable()


def test_a_body_that_is_too_large_is_refused_before_it_is_read(address: str, headers: dict[str, str]) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        head = f"POST /recommend HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['authorization']}\r\nContent-Length: 9999999999\r\n\r\n"
        line.sendall(head.encode() + b"{")
        assert line.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(
            head.replace("Content-Length: 9999999999", "Transfer-Encoding: chunked").encode()
            + b"10000\r\n"
            + b" " * 65536
            + b"\r\n1\r\n \r\n"
        )
        assert line.recv(100).startswith(b"HTTP/1.1 413")


def test_hostile_ids_come_back_as_data_and_never_as_a_metric_label(client: httpx.Client, project: Shop) -> None:
    hostile = "<script>alert(1)</script>\"\\'};=cmd|calc"
    _recommended(client, user=hostile, history=[hostile])
    assert client.post(f"/v2/models/{hostile}/infer", json={}).status_code == 404
    assert client.get(f"/{hostile}").status_code == 404
    assert project.rows("predictions")[-1]["user"] == hostile
    metrics = client.get("/metrics")
    assert "script" not in metrics.text
    answer = client.post("/recommend", json={"user": "u"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_model_that_raises_is_a_500_without_its_secret_is_logged_as_failed_and_the_server_goes_on(
    client: httpx.Client, project: Shop
) -> None:
    answer = client.post("/recommend", json={"user": "crash"})
    assert answer.status_code == 500
    assert "secret" not in _error(answer)
    assert (project.rows("predictions")[-1]["user"], project.rows("predictions")[-1]["items"]) == ("crash", [])
    _recommended(client, user="u1")


def test_scopes_are_kept_401_is_who_are_you_and_403_is_you_may_not(address: str, project: Shop) -> None:
    calls = {"predict": ("POST", "/recommend"), "feedback": ("POST", "/feedback"), "metrics": ("GET", "/metrics")}
    for held in calls:
        key = project.key(held)
        for wanted, (method, path) in calls.items():
            until(lambda key=key: httpx.get(f"{address}/v2", headers=key).status_code != 401)
            answer = httpx.request(method, address + path, headers=key, json={} if method == "POST" else None)
            assert (answer.status_code == 403) == (held != wanted)
            assert answer.status_code != 401
    for wrong in ({}, {"authorization": "Bearer hw_wrong"}, {"authorization": "Basic eDp5"}, {"authorization": "Bearer " + "x" * 9000}):
        for method, path in calls.values():
            answer = httpx.request(method, address + path, headers=wrong)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            _error(answer)


def test_health_and_the_pages_need_no_key_and_nothing_from_elsewhere(address: str) -> None:
    assert httpx.get(f"{address}/v2/health/live").json() == {"live": True}
    assert httpx.get(f"{address}/v2/health/ready").json() == {"ready": True, "deployment_refused": False, "spool_failing": False}
    document = httpx.get(f"{address}/openapi.json").json()
    assert {"/recommend", "/feedback", "/metrics", "/v2/models/{model}/infer"} <= document["paths"].keys()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    page = httpx.get(f"{address}/docs").text
    assert "/recommend" in page
    assert "//" not in page.replace("<!doctype", "")


def test_metrics_count_requests_predictions_refusals_and_tell_the_epoch(client: httpx.Client) -> None:
    client.post("/recommend", content=b"{")
    client.post("/feedback", json={"prediction_id": "x", "item": "i", "event": "click"})
    lines = client.get("/metrics").text.splitlines()
    for start in (
        'headwater_requests_total{code="400",route="/recommend"}', 'headwater_feedback_refused_total{reason="forged"}',
        'headwater_request_seconds_bucket{le="0.005",route="/recommend"}', "headwater_predictions_total",
        "headwater_deployment_epoch 1.0", "headwater_deployment_refused 0.0", "headwater_spool_waiting 0.0",
    ):  # fmt: skip
        assert any(line.startswith(start) for line in lines), start


def test_the_open_inference_protocol_answers_a_batch_and_its_predictions_take_feedback(client: httpx.Client) -> None:
    assert client.get("/v2").json()["name"] == "headwater"
    about = client.get("/v2/models/shop").json()
    assert (about["versions"], [t["name"] for t in about["outputs"]]) == (["v1"], ["item", "score", "prediction_id"])
    assert (
        client.get("/v2/models/shop/ready").json()
        == client.get("/v2/models/shop/versions/v1/ready").json()
        == {"name": "shop", "ready": True}
    )
    long = [f"i{n}" for n in range(2, 150)]
    body = {
        "id": "call-1",
        "inputs": [
            {"name": "user", "shape": [2], "datatype": "BYTES", "data": ["u1", ""]},
            {"name": "history", "shape": [2], "datatype": "BYTES", "data": ["", json.dumps(long)]},
            {"name": "k", "shape": [1], "datatype": "INT64", "data": [3]},
        ],
    }
    answer = client.post("/v2/models/shop/versions/v1/infer", json=body).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("shop", "v1", "call-1")
    item, score, prediction = answer["outputs"]
    assert (item["shape"], item["datatype"], item["data"]) == ([2, 3], "BYTES", ["i0", "i1", "i2", "i0", "i1", ""])
    assert (score["shape"], score["datatype"], score["data"][5]) == ([2, 3], "FP32", 0.0)
    said = {"prediction_id": prediction["data"][1], "item": "i1", "event": "view"}
    assert client.post("/feedback", json=said).status_code == 200
    only = client.post("/v2/models/shop/infer", json={**body, "outputs": [{"name": "item"}]}).json()
    assert [tensor["name"] for tensor in only["outputs"]] == ["item"]


_USER = {"name": "user", "shape": [1], "datatype": "BYTES", "data": ["u"]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("clinic/infer", {"inputs": [_USER]}, 404),
        ("shop/versions/v2/infer", {"inputs": [_USER]}, 404),
        ("shop/infer", {}, 400),
        ("shop/infer", {"inputs": [{**_USER, "name": "x" * 9000}]}, 400),
        ("shop/infer", {"inputs": [{**_USER, "name": ["user"]}]}, 400),
        ("shop/infer", {"inputs": [{**_USER, "datatype": "FP32"}]}, 400),
        ("shop/infer", {"inputs": [{**_USER, "shape": [2]}]}, 400),
        ("shop/infer", {"inputs": [{**_USER, "data": [7]}]}, 400),
        ("shop/infer", {"inputs": [{**_USER, "data": ["a\x1b"]}]}, 400),
        ("shop/infer", {"inputs": [{**_USER, "shape": [65], "data": ["u"] * 65}]}, 400),
        ("shop/infer", {"inputs": [_USER, {**_USER, "name": "history", "data": ['{"a": 1}']}]}, 400),
        ("shop/infer", {"inputs": [_USER, {**_USER, "name": "history", "data": [7]}]}, 400),
        ("shop/infer", {"inputs": [_USER], "outputs": [{"name": "weights"}]}, 400),
        ("shop/infer", {"inputs": [_USER], "outputs": [{"name": ["item"]}]}, 400),
        ("shop/infer", {"inputs": [_USER], "id": 7}, 400),
        ("shop/infer", [], 400),
    ],
)
def test_a_wrong_inference_request_is_an_error_as_the_protocol_says(client: httpx.Client, path: str, body: object, status: int) -> None:
    answer = client.post(f"/v2/models/{path}", json=body)
    assert answer.status_code == status, answer.text
    _error(answer)


def test_a_contributor_who_goes_too_fast_waits_and_others_do_not(shop: Shop) -> None:
    shop.promote("v1")
    headers = shop.key("predict", "feedback")
    with served(shop, limits={"contributor_per_s": 0.1, "contributor_burst": 3}) as (address, _), httpx.Client(headers=headers) as client:
        codes = [client.post(f"{address}/recommend", json={"user": "u1"}).status_code for _ in range(4)]
        assert codes == [200, 200, 200, 429]
        late = client.post(f"{address}/recommend", json={"user": "u1"})
        assert 1 <= int(late.headers["retry-after"]) <= 10
        assert client.post(f"{address}/recommend", json={"user": "u2"}).status_code == 200


def test_without_authentication_everything_answers_and_identities_are_only_claimed(shop: Shop) -> None:
    shop.promote("v1")
    with served(shop, auth="none", limits={"feedback_days": 0.0}) as (address, _):
        made = httpx.post(f"{address}/recommend", json={"user": "u1"}).json()
        assert httpx.get(f"{address}/metrics").status_code == 200
        said = {"prediction_id": made["prediction_id"], "item": "i0", "event": "click"}
        assert httpx.post(f"{address}/feedback", json=said).status_code == 410
    with served(shop, auth="none") as (address, _):
        said["user"] = "u1"
        assert httpx.post(f"{address}/feedback", json=said).status_code == 200
    (row,) = shop.rows("feedback")
    assert (row["user"], row["asserted_by"], row["version"]) == ("u1", "payload", "v1")
    told = [entry.body for entry in shop.ledger.entries("flushed")]
    assert [(body["stream"], body["rows"]) for body in told] == [("predictions", 1), ("feedback", 1)]
    assert Path(shop.folder / "spool" / told[1]["file"]).exists()


def test_a_body_that_does_not_come_is_given_up(shop: Shop) -> None:
    shop.promote("v1")
    with served(shop, auth="none", limits={"body_s": 0.2}) as (address, _):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=20) as line:
            line.sendall(b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert line.recv(100).startswith(b"HTTP/1.1 408")
        assert httpx.post(f"{address}/recommend", json={}).status_code == 200
