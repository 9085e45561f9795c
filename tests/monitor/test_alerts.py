"""Alerts reach a real server and a real program, once for each condition, and a channel that is away harms nobody."""

import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from headwater.core.errors import UsageError
from headwater.core.secret import Secret
from headwater.monitor.alerts import Alert, Alerts, alert, drifted, refused
from headwater.monitor.probe import Measure
from headwater.monitor.report import Report

AT = "2026-11-23T00:00:00Z"
DRIFT = Alert(event="drift", key="drift a", message="a moved")
STALE = Alert(event="stale", key="stale", message="no training for 8 days")


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@contextmanager
def server(*answers):
    """A server that gives these status codes in turn (then the last for ever), and the bodies it got."""
    got, codes = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            code = codes.pop(0) if len(codes) > 1 else codes[0]
            self.send_response(code)
            if 300 <= code < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_POST  # noqa: N815 - the name is http.server's

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Secret(f"http://127.0.0.1:{http.server_port}/hooks/T0KEN"), got
        finally:
            http.shutdown()
            thread.join()


def tell(config, alerts, told=None, **more):
    waits = []
    deliveries, state = alert(config, alerts, told or {}, at=AT, wait=waits.append, **more)
    return deliveries, state, waits


def test_a_condition_is_told_once_while_it_holds_and_again_when_it_returns():
    with server(204) as (url, got):
        config = Alerts(webhook=url)
        _, state, _ = tell(config, [DRIFT])
        deliveries, state, _ = tell(config, [DRIFT], json.loads(json.dumps(state)))
        assert deliveries == ()
        _, state, _ = tell(config, [DRIFT, STALE], state)
        assert [[a["key"] for a in body["alerts"]] for body in got] == [["drift a"], ["stale"]]
        _, state, _ = tell(config, [], state)
        assert state == {}
        tell(config, [DRIFT], state)
        assert len(got) == 3


def test_a_caller_who_asks_about_one_event_leaves_the_others_as_they_are():
    with server(204) as (url, got):
        config = Alerts(webhook=url)
        _, state, _ = tell(config, [DRIFT], about=["drift"])
        _, state, _ = tell(config, [STALE], state, about=["stale"])
        _, state, _ = tell(config, [], state, about=["refused"])
        tell(config, [DRIFT], state, about=["drift"])
        assert len(got) == 2
        assert list(tell(config, [], state, about=["drift"])[1]) == ["webhook stale"]


def test_the_message_holds_the_report_and_a_text_for_chat_systems():
    alarm = Measure(probe="drift", name="psi", subject="t.\x1b[2J<b>", value=0.5, status="alarm", detail="moved")
    report = Report.of([alarm], uri="report:shop@1", at=AT)
    with server(200) as (url, got):
        deliveries, _, _ = tell(Alerts(webhook=url), drifted(report), report=report)
    assert deliveries[0].delivered
    assert got[0]["report"]["digest"] == report.digest
    assert got[0]["alerts"][0]["event"] == "drift"
    assert "\x1b" not in got[0]["text"]


def test_a_server_in_trouble_is_tried_again_with_growing_waits():
    with server(503, 429, 200) as (url, got):
        deliveries, _, waits = tell(Alerts(webhook=url, attempts=3), [DRIFT])
    assert deliveries[0].delivered
    assert (len(got), waits) == (3, [0.5, 1.0])


def test_what_could_not_be_told_is_reported_and_told_the_next_time():
    with server(500, 500, 200) as (url, got):
        config = Alerts(webhook=url, attempts=2)
        deliveries, state, _ = tell(config, [DRIFT])
        assert (deliveries[0].delivered, deliveries[0].why, state) == (False, "answered 500 (2 attempts)", {})
        assert tell(config, [DRIFT], state)[0][0].delivered
        assert len(got) == 3


@pytest.mark.parametrize("code", [301, 307, 400, 404])
def test_a_refusal_or_a_redirect_is_final_and_never_followed(code):
    with server(code) as (url, got):
        deliveries, _, waits = tell(Alerts(webhook=url), [DRIFT])
    assert (deliveries[0].delivered, len(got), waits) == (False, 1, [])


def test_a_webhook_that_is_away_raises_nothing_and_shows_no_address():
    with server(200) as (url, _):
        pass  # nobody listens there any more
    deliveries, state, waits = tell(Alerts(webhook=url, timeout=2), [DRIFT])
    assert (deliveries[0].delivered, state, waits) == (False, {}, [0.5, 1.0])
    assert "T0KEN" not in repr(deliveries) + repr(Alerts(webhook=url))


def test_a_command_gets_the_json_on_stdin_without_a_shell(tmp_path):
    out = tmp_path / "got; touch pwned"
    program = "import sys; open(sys.argv[1], 'wb').write(sys.stdin.buffer.read())"
    deliveries, _, _ = tell(Alerts(command=(sys.executable, "-c", program, str(out))), [refused("model shop", "poison.label-flip")])
    assert deliveries[0].delivered
    assert json.loads(out.read_bytes())["alerts"][0]["event"] == "refused"
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("/nonexistent/notify",), "could not be started: FileNotFoundError"),
        ((sys.executable, "-c", "import sys; sys.exit('no \x1b[2J network')"), "ended with 1: no"),
        ((sys.executable, "-c", "pass"), ""),  # ends without reading what it is given
    ],
)
def test_a_command_that_fails_is_reported_and_one_that_reads_nothing_is_fine(command, why):
    deliveries, _, _ = tell(Alerts(command=command), [DRIFT])
    assert why in deliveries[0].why
    assert deliveries[0].delivered == (not why)
    assert "\x1b" not in deliveries[0].why


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path):
    fifo = tmp_path / "held"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    script = 'exec 3>"$1"; echo up >&3; sleep 60; true'  # the shell and its child both hold the pipe open
    before = time.monotonic()
    deliveries, _, _ = tell(Alerts(command=("sh", "-c", script, "sh", str(fifo)), timeout=2), [DRIFT])
    os.set_blocking(reader, True)
    with open(reader, "rb") as held:
        assert held.read() == b"up\n"  # ends only when nobody holds the pipe
    assert "took longer than 2 s" in deliveries[0].why
    assert time.monotonic() - before < 50  # not the sixty seconds that the child wanted


def test_one_channel_that_fails_does_not_silence_the_other():
    with server(200) as (url, got):
        deliveries, state, _ = tell(Alerts(webhook=url, command=("/nonexistent/notify",)), [DRIFT])
    assert [d.delivered for d in deliveries] == [True, False]
    assert (list(state), len(got)) == (["webhook drift a"], 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook": "file:///etc/S3CRET"},
        {"webhook": "S3CRET"},
        {"webhook": "https://host/S3CRET\r\nX: y"},
        {"webhook": "http://[S3CRET"},
        {"command": "notify --loud"},
        {"command": ["notify", 5]},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"attempts": True},
        {"attempts": 99},
        {"web_hook": "https://x"},
    ],
)
def test_a_configuration_that_cannot_work_is_refused_without_showing_the_address(wrong):
    with pytest.raises(UsageError) as error:
        Alerts.from_config(wrong)
    assert "S3CRET" not in str(error.value)
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_a_configuration_that_works_is_read():
    config = Alerts.from_config({"webhook": "https://hooks.example/T0KEN", "command": ["notify"], "timeout": 3})
    assert (config.webhook, config.command, config.timeout) == (Secret("https://hooks.example/T0KEN"), ("notify",), 3.0)
    assert Alerts.from_config({}) == Alerts()
    assert alert(Alerts(), [DRIFT], {}, at=AT) == ((), {})
