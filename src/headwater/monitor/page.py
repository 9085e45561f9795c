"""The report as one HTML page: no script, no request, nothing beside it; it reads well on paper too."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Protocol

from headwater.core.names import printable
from headwater.monitor.plot import COLOURS, short, svg
from headwater.monitor.probe import STATUSES, Measure, worst

__all__ = ["Shown", "page"]

_SIGNS = {"ok": "✓", "unknown": "?", "warn": "!", "alarm": "✕"}
_TITLES = {
    "drift": "Drift: has the data moved?",
    "concept": "Concept drift: do people answer as before?",
    "click_through": "Click-through",
    "ranking_quality": "Ranking quality",
    "latency": "Latency and failed answers",
}
_SHARES = {
    ("click_through", "rate"),
    ("click_through", "first_place"),
    ("concept", "adwin"),
    ("concept", "page_hinkley"),
    ("latency", "failed"),
}
_PLOTS = 60
_SHOWN = (
    ("ks", "KS"),
    ("jensen_shannon", "JS"),
    ("wasserstein", "Wasserstein"),
    ("cramers_v", "Cramér's V"),
    ("chi_square_p", "p"),
    ("low", "low"),
    ("high", "high"),
    ("shown", "shown"),
    ("hits", "hits"),
    ("predictions", "predictions"),
)

_CSS = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0 auto;max-width:1120px;padding:32px 24px 48px;background:#fff;
color:#1c2430;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:26px;line-height:1.2;margin:0 0 4px}h2{font-size:18px;margin:36px 0 10px;padding-top:14px;border-top:1px solid #d8dce2}
p{margin:4px 0}.quiet{color:#5b6470}code{font:12.5px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.pill{display:inline-block;min-width:74px;padding:1px 9px;border-radius:10px;border:1px solid;
font-size:12.5px;font-weight:600;white-space:nowrap;text-align:center}
.ok{color:#0b6b48;background:#e8f5ef;border-color:#a8d5c2}.unknown{color:#4d5663;background:#f1f3f5;border-color:#ccd2d9}
.warn{color:#7a4d00;background:#fff4dc;border-color:#e8c983}.alarm{color:#a1190f;background:#fdecea;border-color:#eaaba5}
.counts{display:flex;flex-wrap:wrap;gap:8px;margin:16px 0 0}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}caption{text-align:left;padding-bottom:4px}
th{font-weight:600;text-align:left;color:#5b6470;font-size:12.5px;white-space:nowrap}
th,td{padding:5px 12px 5px 0;border-bottom:1px solid #eceef1;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.s{overflow-wrap:anywhere;min-width:120px;width:99%}
td.s .quiet{font-size:13px}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:18px 26px;margin-top:18px}
figure{margin:0;break-inside:avoid}figcaption{font-size:13.5px;font-weight:600;overflow-wrap:anywhere;margin-bottom:4px}
.legend{margin-top:14px}.legend .key:not(:first-child){margin-left:14px}
figcaption .quiet{font-weight:400}svg{width:100%;height:auto;display:block;font:10.5px system-ui,sans-serif}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 0;vertical-align:-1px}
@media print{body{max-width:none;padding:0;font-size:11pt}h2{break-after:avoid}tr{break-inside:avoid}
.wide{overflow:visible}table,td.s .quiet{font-size:8.5pt}th{font-size:8pt}th,td{padding-right:7pt}
.plots{grid-template-columns:repeat(2,1fr)}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}@page{margin:16mm 14mm}}
"""


class Shown(Protocol):
    """What a page shows of a report."""

    @property
    def uri(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def at(self) -> str: ...

    @property
    def measures(self) -> Sequence[Measure]: ...


def page(report: Shown) -> str:
    """The whole page. Subjects and categories are outsiders' text: shown escaped, control characters made visible."""
    sections = [
        _section(probe, sorted(group, key=lambda m: -STATUSES.index(m.status)))
        for probe, group in groupby(sorted(report.measures, key=lambda m: _order(m.probe)), key=lambda m: m.probe)
    ]
    counts = [(status, sum(m.status == status for m in report.measures)) for status in reversed(STATUSES)]
    pills = "".join(f"<span class='pill {s}'>{_SIGNS[s]} {n} {s}</span>" for s, n in counts if n)
    title = _text(report.uri)
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width,initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{title}</title><style>{_CSS}</style></head><body><header><h1>{_headline(report)}</h1>"
        f"<p class='quiet'>{title} · {_text(report.at)}</p><p class='quiet'><code>{_text(report.digest)}</code></p>"
        f"<div class='counts'>{pills}</div></header><main>{''.join(sections) or '<p>Nothing was measured.</p>'}</main></body></html>"
    )


def _headline(report: Shown) -> str:
    counts = {s: sum(m.status == s for m in report.measures) for s in STATUSES}
    if counts["alarm"]:
        return f"{counts['alarm']} alarm{'s' if counts['alarm'] > 1 else ''}"
    if counts["warn"]:
        return f"No alarm, {counts['warn']} warning{'s' if counts['warn'] > 1 else ''}"
    return "All is well" if counts["ok"] and not counts["unknown"] else "No alarm, not everything could be measured"


def _order(probe: str) -> tuple[int, str]:
    known = list(_TITLES)
    return (known.index(probe) if probe in known else len(known), probe)


def _section(probe: str, measures: Sequence[Measure]) -> str:
    status = worst([m.status for m in measures])
    extra = [(key, head) for key, head in _SHOWN if any(key in m.evidence for m in measures)]
    names = len({m.name for m in measures}) > 1
    numbers = "".join(f"<th scope='col' class='n'>{escape(head)}</th>" for _, head in extra)
    first = measures[0].name if not names else "value"
    head = f"<th scope='col'>status</th><th scope='col'>subject</th><th scope='col' class='n'>{_text(_said(first))}</th>"
    rows = "".join(_row(m, [key for key, _ in extra], names) for m in measures)
    head += f"<th scope='col' class='n'>limit</th>{numbers}"
    table = f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    title = escape(_TITLES.get(probe, printable(probe)))
    return f"<section><h2>{title} {_pill(status)}</h2>{table}{_plots(measures)}</section>"


def _row(measure: Measure, extra: Sequence[str], names: bool) -> str:
    unit = "share" if (measure.probe, measure.name) in _SHARES else ""
    subject = f"{measure.subject} · {_said(measure.name)}" if names else measure.subject
    remark = f"<div class='quiet'>{_text(measure.detail)}</div>" if measure.detail else ""
    cells = [f"<td>{_pill(measure.status)}</td><td class='s'>{_text(subject)}{remark}</td>"]
    cells += [f"<td class='n'>{_number(value, unit)}</td>" for value in (measure.value, measure.threshold)]
    cells += [f"<td class='n'>{_fact(measure, key, unit)}</td>" for key in extra]
    return f"<tr>{''.join(cells)}</tr>"


def _plots(measures: Sequence[Measure]) -> str:
    drawn = [m for m in measures if m.plot is not None]
    if not drawn:
        return ""
    figures = "".join(_figure(m) for m in drawn[:_PLOTS])
    more = f"<p class='quiet'>{len(drawn) - _PLOTS} more plots are left out; their numbers are above.</p>" if len(drawn) > _PLOTS else ""
    return f"{_key(drawn)}<div class='plots'>{figures}</div>{more}"


def _key(drawn: Sequence[Measure]) -> str:
    names = next((s for m in drawn if m.plot and len(s := m.plot.series) > 1), ())
    swatches = (f"<span class='key' style='background:{COLOURS[i % 2]}'></span>{_text(one.name)}" for i, one in enumerate(names))
    return f"<p class='quiet legend'>{' '.join(swatches)}</p>" if names else ""


def _figure(measure: Measure) -> str:
    plot = measure.plot
    assert plot is not None
    caption = f"{_text(measure.subject)} <span class='quiet'>{_text(plot.unit)}</span>"
    return f"<figure><figcaption>{caption}</figcaption>{svg(plot, f'{measure.subject}, {plot.unit}')}</figure>"


def _pill(status: str) -> str:
    return f"<span class='pill {status}'>{_SIGNS[status]} {status}</span>"


def _said(name: str) -> str:
    known = {"psi": "PSI", "ndcg": "NDCG", "mrr": "MRR", "adwin": "ADWIN", "page_hinkley": "Page–Hinkley"}
    return known.get(name) or name.replace("_", " ").replace(" ms", " (ms)")


def _fact(measure: Measure, key: str, unit: str) -> str:
    value = measure.evidence.get(key)
    if key.endswith("_p") and isinstance(value, float) and value < 0.001:
        return "&lt; 0.001"
    return _number(value, unit if key in ("low", "high") else "")


def _number(value: object, unit: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value is None else _text(str(value))
    return f"{value:,}" if isinstance(value, int) else short(value, unit)


def _text(text: str) -> str:
    return escape(printable(text))
