"""What outsiders wrote is hostile, and harmless wherever it is shown: terminal, HTML, JSON, errors, the page of the report."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path

import pytest
from tests.killing import arrive, small_shop
from tests.typed import Typed, typed

from headwater.pipeline.project import Project

SCRIPT = "<script>alert(1)</script>"
ESCAPE = "\x1b[2J\x1b]0;owned\x07"
FORMULA = '=HYPERLINK("http://evil","x")'
MARKUP = "[red]u[/red]:smile:"
BREAKS = "one\u0085two\u2028three\u2029four\rfive\x1csix"
SURPRISING = "\u202egnp.exe"  # written from right to left
IDS = [SCRIPT, ESCAPE, FORMULA, MARKUP, BREAKS, SURPRISING]
TERMINAL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Visitors with hostile names look at items with hostile names, in a file with a hostile name; some of it is broken too."""
    folder = small_shop(tmp_path_factory.mktemp("hostile") / "shop")
    with open(folder / "data/events" / f"x{ESCAPE[:4]}<b>.jsonl", "w") as file:
        for n in range(240):
            person, item = IDS[n % 6], IDS[n * 7 // 6 % 6]
            event = {"event_id": f"h{n}", "user_id": person, "item_id": item, "ts": f"2015-06-{1 + n // 24:02d}T{n % 24:02d}:00:00Z"}
            file.write(json.dumps(event | {"kind": "view" if n % 40 else SCRIPT + ESCAPE}) + "\n")
    assert typed("run", "-C", folder).code == 0
    arrive(folder, 1)
    return folder


def harmless(done: Typed) -> None:
    assert not TERMINAL.search(done.out + done.err), TERMINAL.search(done.out + done.err)


def test_names_that_no_terminal_should_see_are_rows_like_others(shop: Path) -> None:
    rows = Project.open(shop).lake.table("tables/events").scan().collect()
    assert set(IDS) <= set(rows["user_id"]) & set(rows["item_id"])
    assert typed("verify", "-C", shop).code == 0


@pytest.mark.parametrize("name", IDS, ids=["script", "escape", "formula", "markup", "breaks", "right-to-left"])
def test_impact_shows_them_harmlessly(shop: Path, name: str) -> None:
    done = typed("impact", f"contributor:{name}", "-C", shop)
    assert done.code == 0
    harmless(done)
    answer = typed("impact", f"contributor:{name}", "-C", shop, "-o", "json")
    harmless(answer)
    assert answer.json["subject"]["name"] == name
    unknown = typed("impact", f"contributor:{name}!", "-C", shop)
    assert unknown.code == 2
    harmless(unknown)


@pytest.mark.parametrize("words", ["status", "why shop", "verify", "run collect", "run collect -o json", "why shop -o json"])
def test_so_does_every_other_answer(shop: Path, tmp_path: Path, words: str) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    done = typed(*words.split(), "-C", folder)
    assert done.code == 0
    harmless(done)


def test_what_goes_wrong_with_a_file_of_such_a_name_is_told_harmlessly(shop: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shop, tmp_path / "shop"))
    (evil,) = (path for path in (folder / "data/events").iterdir() if path.name.startswith("x"))
    evil.write_bytes(b"{}\n")
    done = typed("run", "-C", folder)
    assert done.code == 1
    harmless(done)
    for subject in IDS:
        harmless(typed("why", subject, "-C", folder))
        harmless(typed("promote", subject, "-C", folder))
        harmless(typed("run", subject, "-C", folder))
        harmless(typed("run", "-p", subject, "-C", folder))


def test_the_page_of_the_report_and_a_notebook_let_none_of_it_in(shop: Path) -> None:
    project = Project.open(shop)
    page = (shop / "lake/reports/latest.html").read_text()
    for text in (page, project._repr_html_(), project.run(until="process").prepared._repr_html_()):  # type: ignore[union-attr]
        assert SCRIPT not in text
        assert ESCAPE not in text
        assert "<script" not in text
    assert html.escape("interactions") in page


def test_rejects_keep_what_was_written_as_it_was(shop: Path) -> None:
    rejected = Project.open(shop).lake.table("rejected/events").scan().collect()
    mine = rejected.filter(rejected["at"].str.contains("<b>", literal=True), rejected["code"] == "contract.check")
    assert mine.height == 6
    assert all(SCRIPT in raw for raw in mine["raw"])
    assert not any(TERMINAL.search(reason) for reason in mine["reason"])
