"""Roll-out and rollback drop no request; what is old, forged or changed never serves; what was acknowledged is kept."""

import json
import resource
import signal
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest
from tests.deploy.popular import Shop, served, until

from headwater.core.errors import Refused
from headwater.deploy.serving import Serving


def _serving(shop: Shop) -> Serving:
    return Serving(shop.pointer, shop.keys, shop.load)


def test_promotions_and_a_rollback_under_load_fail_no_request_and_each_answer_is_of_one_model(shop: Shop) -> None:
    shop.promote("v1")
    seen: Counter[tuple[int, str, int]] = Counter()
    problems: list[object] = []
    stop = threading.Event()

    def load(address: str, name: str) -> None:
        with httpx.Client(base_url=address) as client:
            while not stop.is_set():
                try:
                    answer = client.post("/recommend", json={"user": name})
                    made = answer.json()
                    seen[answer.status_code, made["version"], made["epoch"]] += 1
                except Exception as error:  # noqa: BLE001 - any failure is what the test looks for
                    problems.append(error)

    unlimited = {"contributor_per_s": 1e9, "contributor_burst": 1e9}
    with served(shop, auth="none", limits=unlimited) as (address, _):
        threads = [threading.Thread(target=load, args=(address, f"u{n}")) for n in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: seen[200, "v1", 1] > 10)
        shop.promote("v2")
        until(lambda: seen[200, "v2", 2] > 10)
        shop.promote("v3")
        until(lambda: seen[200, "v3", 3] > 10)
        shop.deployments.rollback("shop")
        until(lambda: seen[200, "v2", 4] > 10)
        stop.set()
        for thread in threads:
            thread.join()
    assert problems == []
    assert set(seen) == {(200, "v1", 1), (200, "v2", 2), (200, "v3", 3), (200, "v2", 4)}
    assert len(shop.rows("predictions")) == sum(seen.values())


def test_a_server_keeps_serving_the_old_model_and_says_so_when_the_pointer_is_forged_old_or_names_a_changed_model(shop: Shop) -> None:
    shop.promote("v1")
    old = shop.pointer.read_bytes()
    shop.promote("v2")
    good = shop.pointer.read_bytes()
    forged = json.loads(good)
    forged["deployment"]["epoch"] = 9
    with served(shop, auth="none") as (address, _):

        def refused() -> bool:
            return bool(httpx.get(f"{address}/v2/health/ready").json()["deployment_refused"])

        for bad in (old, json.dumps(forged).encode(), b"", b"{}"):
            shop.pointer.write_bytes(bad)
            until(refused)
            assert "headwater_deployment_refused 1.0" in httpx.get(f"{address}/metrics").text
            made = httpx.post(f"{address}/recommend", json={"user": "u"}).json()
            assert (made["version"], made["epoch"]) == ("v2", 2)
            shop.pointer.write_bytes(good)
            until(lambda: not refused())
        shop.promote("v3")
        until(lambda: httpx.post(f"{address}/recommend", json={}).json()["version"] == "v3")


@pytest.mark.parametrize("changed", ["weights", "older", "same-epoch"])
def test_a_server_does_not_start_on_what_it_cannot_vouch_for(shop: Shop, tmp_path: Path, changed: str) -> None:
    shop.promote("v1")
    old = shop.pointer.read_bytes()
    shop.promote("v2")
    _serving(shop).start()
    if changed == "weights":
        shop.model("v2", ["swapped"])
    elif changed == "older":
        shop.pointer.write_bytes(old)
    else:
        state = shop.keys.folder / "epoch-shop.json"
        state.write_text(json.dumps({**json.loads(state.read_text()), "digest": "sha256:" + "0" * 64}))
    with pytest.raises(Refused):
        _serving(shop).start()


def test_an_epoch_that_was_seen_is_remembered_even_if_its_model_could_not_be_loaded(shop: Shop) -> None:
    shop.promote("v1")
    old = shop.pointer.read_bytes()
    serving = _serving(shop)
    serving.start()
    shop.promote("v2")
    shop.model("v2", ["swapped"])
    assert not serving.refresh()
    assert serving.now is not None
    assert serving.now.deployment.version == "v1"
    assert "changed" in str(serving.problem)
    shop.pointer.write_bytes(old)
    with pytest.raises(Refused, match="old deployment was put back"):
        _serving(shop).start()


def test_a_model_that_is_not_the_one_deployed_or_cannot_answer_never_serves(shop: Shop) -> None:
    shop.promote("v1")
    made = shop.promote("v2")
    shop.deployments.rollback("shop")
    with pytest.raises(Refused, match="not the one deployed"):
        Serving(shop.pointer, shop.keys, lambda deployment: shop.load(made)).start()
    serving = Serving(shop.pointer, shop.keys, lambda deployment: None)  # type: ignore[arg-type, return-value]
    assert not serving.refresh()
    assert serving.problem
    assert serving.now is None


def test_every_feedback_acknowledged_before_a_kill_is_on_disk_and_the_next_server_tells_of_the_files(shop: Shop) -> None:
    shop.promote("v1")
    acknowledged: list[str] = []
    unlimited = {"contributor_per_s": 1e9, "contributor_burst": 1e9}
    with served(shop, auth="none", limits=unlimited) as (address, process):

        def post(name: str) -> None:
            with httpx.Client(base_url=address) as client:
                try:
                    while True:
                        made = client.post("/recommend", json={"user": name}).json()
                        said = {"prediction_id": made["prediction_id"], "item": "i0", "event": "click"}
                        answer = client.post("/feedback", json=said)
                        if answer.status_code == 200:
                            acknowledged.append(answer.json()["feedback_id"])
                except httpx.TransportError:
                    return

        threads = [threading.Thread(target=post, args=(f"u{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        until(lambda: len(acknowledged) > 100)
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join()
    kept = [row["feedback_id"] for row in shop.rows("feedback")]
    assert set(acknowledged) <= set(kept)
    assert len(kept) == len(set(kept))
    with served(shop, auth="none"):
        pass
    told = [entry.body for entry in shop.ledger.entries("flushed")]
    assert ("feedback", len(kept)) in [(body["stream"], body["rows"]) for body in told]


def test_on_a_full_disk_predictions_go_on_and_feedback_is_refused_until_there_is_room(shop: Shop) -> None:
    shop.promote("v1")
    with served(shop, auth="none") as (address, process), httpx.Client(base_url=address) as client:
        made = client.post("/recommend", json={"user": "u"}).json()
        said = {"prediction_id": made["prediction_id"], "item": "i0", "event": "view"}
        assert client.post("/feedback", json=said).status_code == 200
        full = max(path.stat().st_size for path in shop.folder.glob("spool/*/*.jsonl")) + 10
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full, full * 1000))
        events = [f"e{n}" for n in range(9)]
        codes = {event: client.post("/feedback", json={**said, "event": event}).status_code for event in events}
        assert set(codes.values()) == {503}
        assert [client.post("/recommend", json={"user": "u"}).status_code for _ in range(3)] == [200] * 3
        assert client.get("/v2/health/ready").json()["spool_failing"]
        assert "headwater_predictions_not_logged 3.0" in client.get("/metrics").text
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (full * 1000, full * 1000))
        assert {client.post("/feedback", json={**said, "event": event}).status_code for event in events} == {200}
        assert client.post("/recommend", json={"user": "later"}).status_code == 200
        assert not client.get("/v2/health/ready").json()["spool_failing"]
    assert {row["event"] for row in shop.rows("feedback")} == {"view", *events}
    assert shop.rows("predictions")[-1]["user"] == "later"
