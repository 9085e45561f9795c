"""The benches: what they say they measure is what the pages' tables hold. Nothing is timed here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench.budget import Line, Sizes, table
from bench.measure import CouldNotRun, by_turns, run

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", ROOT / "docs" / "bench.md") if page.exists() and "| what | Headwater |" in page.read_text()]


def listed() -> list[str]:
    done = subprocess.run([sys.executable, "-m", "bench", "--list"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [line.split(None, 1)[1] for line in done.stdout.splitlines()]


def rows(page: Path) -> list[str]:
    """The first cells of the benches' table on a page."""
    after = page.read_text().split("| what | Headwater |", 1)[1].splitlines()[2:]
    return [
        line.split(" | ")[0].removeprefix("| ")
        for line in after[: next(i for i, one in enumerate([*after, ""]) if not one.startswith("|"))]
    ]


def test_the_page_about_the_benches_has_their_table() -> None:
    assert ROOT / "docs" / "bench.md" in PAGES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_list_names_every_budget_of_the_table_and_the_table_every_one_of_the_list(page: Path) -> None:
    assert rows(page) == listed()


def test_a_name_that_is_no_bench_is_refused_with_those_that_are() -> None:
    done = subprocess.run([sys.executable, "-m", "bench", "colect"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert re.search(r"no bench 'colect'. Known: .*collect", done.stderr)


def test_a_command_is_measured_from_outside_and_its_answer_read() -> None:
    used = run([sys.executable, "-c", "x = bytearray(80 << 20); print('noise'); print('{\"rows\": 3}')"])
    assert used.said == {"rows": 3}
    assert used.rss > 80 << 20  # and no bound above: until it starts its own program, a child has its parent's memory
    assert used.wall > 0


def test_a_command_that_fails_says_how_it_ended() -> None:
    with pytest.raises(CouldNotRun, match=r"ended with 3: no such luck"):
        run([sys.executable, "-c", "import sys; sys.stderr.write('no such luck'); sys.exit(3)"])


def test_turns_alternate_and_the_median_is_kept() -> None:
    order: list[str] = []

    def one(name: str, walls: list[float]):
        def go():
            from bench.measure import Used

            order.append(name)
            return Used(wall=walls.pop(), cpu=1.0, rss=1)

        return go

    a, b = by_turns(3, one("a", [1.0, 9.0, 2.0]), one("b", [5.0, 4.0, 60.0]))
    assert order == ["a", "b"] * 3
    assert (a.wall, b.wall) == (2.0, 5.0)


def test_a_budget_that_was_missed_is_told_as_plainly_as_one_that_was_met() -> None:
    lines = [Line(what="x", ours="1 s", budget="< 2 s", met=True), Line(what="y", ours="3 s", budget="< 2 s", met=False)]
    assert table(lines).splitlines()[2:] == ["| x | 1 s |  |  | < 2 s | yes |", "| y | 3 s |  |  | < 2 s | **no** |"]
    assert Sizes().events == 10_000_000
