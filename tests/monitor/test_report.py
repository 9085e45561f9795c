"""The report: the same as JSON and back, as a page that hostile text cannot break, and as metrics."""

import json
import re
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from tests.monitor.served import clicks, evidence, predictions

from headwater.core.errors import DataError
from headwater.monitor.drift import Drift
from headwater.monitor.page import page
from headwater.monitor.probe import STATUSES, Measure, Plot, Series
from headwater.monitor.prometheus import text as metrics
from headwater.monitor.quality import ClickThrough, Latency
from headwater.monitor.report import Report, watch

few = settings(max_examples=50, deadline=None)
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'/><svg/onload=alert(1)>",
    "</title></svg></style><script>",
    "\x1b[2J\u202etxt.exe",
    "=cmd|' /C calc'!A0",
    'a\nb{x="1"} 5\\',
    "x" * 5_000,
]
text = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))
measures = st.builds(
    Measure,
    probe=st.sampled_from(["drift", "concept", "latency", "other"]),
    name=st.sampled_from(["psi", "rate", "p99_ms"]),
    subject=text,
    value=st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    threshold=st.one_of(st.none(), st.floats(-1e9, 1e9)),
    status=st.sampled_from(STATUSES),
    detail=text,
    evidence=st.dictionaries(st.sampled_from(["ks", "low", "hits"]), st.one_of(st.integers(0, 9), st.floats(0, 1))),
    plot=st.one_of(
        st.none(),
        st.builds(
            lambda labels, kind, mark: Plot(
                kind=kind, labels=tuple(labels), series=(Series(name="s", values=(0.5,) * len(labels)),), mark=0 if mark else None
            ),
            st.lists(text, min_size=1, max_size=4),
            st.sampled_from(["bars", "line"]),
            st.booleans(),
        ),
    ),
)


class Seen(HTMLParser):
    """Collects tags and attributes; notes a tag that closes what is not open."""

    VOID = frozenset({"meta", "rect", "path", "polyline", "polygon"})

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.open, self.crossed = set(), set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)


def report(*some, uri="report:shop@1"):
    return Report.of(some, uri=uri, at="2026-11-23T00:00:00Z")


def full():
    was = pl.DataFrame({"kind": HOSTILE * 100, "price": [float(i % 37) for i in range(800)]})
    frames = {"reference/t": was.lazy(), "current/t": was.reverse().head(400).lazy()}
    frames |= evidence(predictions(500), clicks([(i, i % 3) for i in range(0, 480, 4)]))
    return watch([Drift("t"), ClickThrough(), Latency()], frames, uri="report:shop@1", at="2026-11-23T00:00:00Z", parents=["sha256:d"])


@few
@given(st.lists(measures, max_size=6))
def test_a_report_is_the_same_after_json(some):
    one = report(*some)
    assert Report.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_a_changed_report_is_found_out():
    plain = full().to_json()
    plain["measures"][0]["status"] = "warn"
    with pytest.raises(DataError, match="it was changed"):
        Report.from_json(plain)
    for broken in ({}, {**plain, "measures": [{"status": "fine"}]}, {**plain, "measures": 5}):
        with pytest.raises(DataError, match="no report"):
            Report.from_json(broken)


def test_the_same_rows_give_the_same_report():
    assert full().digest == full().digest
    assert full().worst == "ok"
    assert full().facts["measures"] == len(full().measures)


def test_a_report_of_nothing_is_not_well():
    assert report().worst == "unknown"
    assert "Nothing was measured" in page(report())


def test_a_measure_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        Measure(probe="p", name="n", subject="s", value=float("nan"), status="ok")


@few
@given(st.lists(measures, max_size=6), text)
def test_nothing_outsiders_wrote_becomes_markup(some, uri):
    seen = Seen()
    html = page(report(*some, uri=uri))
    seen.feed(html)
    seen.close()
    assert not seen.tags & {"script", "img", "iframe", "link", "a", "object", "foreignobject"}
    assert not {name for name in seen.attributes if name.startswith("on") or name in {"href", "src", "xlink:href"}}
    assert (seen.crossed, seen.open) == ([], [])
    assert "\x1b" not in html
    assert "\u202e" not in html


def test_the_page_needs_nothing_beside_it_and_prints():
    html = full().html()
    seen = Seen()
    seen.feed(html)
    assert not seen.attributes & {"src", "href", "srcset", "xlink:href"}
    assert not re.search(r"@import|url\(", html)
    assert set(re.findall(r"https?://[^\"' )]+", html)) == {"http://www.w3.org/2000/svg"}  # the name of SVG, not an address
    assert "@media print" in html
    assert html.count("<svg") == sum(m.plot is not None for m in full().measures)
    assert "&lt;script&gt;" in html


def test_the_page_says_what_is_wrong_first():
    alarm = Measure(probe="drift", name="psi", subject="t.bad", value=0.5, status="alarm")
    fine = Measure(probe="drift", name="psi", subject="t.good", value=0.0, status="ok")
    html = page(report(fine, alarm))
    assert "<h1>1 alarm</h1>" in html
    assert html.index("t.bad") < html.index("t.good")


@few
@given(st.lists(measures, max_size=6))
def test_metrics_parse_whatever_the_labels_hold(some):
    families = {f.name: f for f in text_string_to_metric_families(metrics(report(*some)))}
    labels = [s.labels for s in families["headwater_measure_status"].samples]
    assert {tuple(sorted(x.items())) for x in labels} and len(labels) <= len(some) if some else labels == []
    assert all(len(value) <= 80 and value.isprintable() for one in labels for value in one.values())
    assert families["headwater_report_status"].samples[0].value == STATUSES.index(report(*some).worst)


def test_metrics_are_bounded_and_long_labels_stay_apart():
    long = [Measure(probe="p", name="n", subject="x" * 500 + str(i), value=1.0, status="ok") for i in range(1_500)]
    families = {f.name: f for f in text_string_to_metric_families(metrics(report(*long)))}
    assert len(families["headwater_measure"].samples) == 1_000
    assert families["headwater_report_measures_left_out"].samples[0].value == 500
    assert "python_info" not in families
