"""The shop's data: real ratings and real review sentences, arranged as a shop's activity; or a simulated shop."""

from __future__ import annotations

import csv
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from headwater.core.errors import UsageError

__all__ = ["ARRANGED", "PACKAGES", "SIMULATED", "Package", "main"]

ARRANGED = """Real: the ratings, their times, users and items (MovieLens-100k), and the sentences (Amazon reviews).
Arranged: a rating is read as shop activity (always a view, with 4 stars or more a cart, with 5 a purchase);
sentences are given to ratings so that the kinder one goes to the higher rating. A few broken records are planted."""
SIMULATED = "Simulated: users, items, times and sentences are made up, in the proportions of published shops."
MOST_BYTES = 8_000_000  # more than any member we read holds
FETCH_SECONDS = 120


@dataclass(frozen=True)
class Package:
    """One file of a package index, named by what is in it."""

    name: str
    version: str
    file: str
    sha256: str


RATINGS = Package("recbole", "1.2.1", "recbole-1.2.1-py3-none-any.whl", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407")
SENTENCES = Package("vaderSentiment", "0.5", "vaderSentiment-0.5.zip", "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a")
PACKAGES = (RATINGS, SENTENCES)

# The only code that pip runs for an sdist whose metadata it wants: ours, in place of the package's own set-up.
_STAND_IN = """
from pathlib import Path

class __legacy__:
    def get_requires_for_build_wheel(settings=None):
        return []

    def prepare_metadata_for_build_wheel(folder, settings=None):
        info = Path(folder, "{name}-{version}.dist-info")
        info.mkdir()
        info.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return info.name
"""


class Unavailable(Exception):
    """The real data could not be had; the message says why."""


def main(folder: str | Path, *, offline: bool = False) -> dict[str, Any]:
    """Write `folder`/data/events/*.jsonl and `folder`/data/reviews.csv, and return what was written.

    The packages are fetched once, by pip as it is configured, into $HEADWATER_CACHE (or ~/.cache/headwater), checked
    against their SHA-256 each time, and only read: no code of theirs runs. Without them a simulated shop takes over:
    then `source` is "simulated", and `why` says what happened. The same source gives the same bytes. Raises `UsageError`
    if the folder holds events from elsewhere.
    """
    data = Path(folder) / "data"
    (data / "events").mkdir(parents=True, exist_ok=True)
    counts: dict[str, Any]
    try:
        ratings, sentences = _real(offline)
    except Unavailable as reason:
        _unmixed(data, "2015-05-03")
        counts = {"source": "simulated", "why": str(reason), "arrangement": SIMULATED, **_sibling("simulate").simulate(folder)}
    else:
        _unmixed(data, "1997-09")
        counts = {"source": "real", "why": "", "arrangement": ARRANGED, **_arranged(data, ratings, sentences)}
    return counts | {"broken": _sibling("broken").plant(data)}


def _unmixed(data: Path, like: str) -> None:
    """Files of another source, or of the user, are neither deleted nor mixed with ours."""
    if strangers := sorted(path.name for path in (data / "events").glob("*.jsonl") if len(path.stem) != len(like)):
        raise UsageError(f"{data / 'events'} already holds {strangers[0]}, from elsewhere: choose an empty folder, or delete that one")


def cache_folder() -> Path:
    """Where fetched packages are kept."""
    return Path(os.environ.get("HEADWATER_CACHE") or Path.home() / ".cache" / "headwater")


def _real(offline: bool) -> tuple[pl.DataFrame, pl.DataFrame]:
    if not offline and any(not _cached(package).is_file() for package in PACKAGES):
        _fetch(PACKAGES, cache_folder())
    archives = [_checked(package) for package in PACKAGES]
    try:
        return read_ratings(archives[0]), read_sentences(archives[1])
    except (LookupError, ValueError, OSError, zipfile.BadZipFile, tarfile.TarError, pl.exceptions.PolarsError) as error:
        raise Unavailable(f"what was fetched cannot be read: {type(error).__name__}: {error}") from error


def _cached(package: Package) -> Path:
    return cache_folder() / package.file


def _checked(package: Package) -> bytes:
    """The archive's bytes, if they are the ones we know."""
    path = _cached(package)
    try:
        content = path.read_bytes()
    except OSError:
        raise Unavailable(f"{package.name} {package.version} is not in {path.parent} and nothing may be fetched") from None
    found = hashlib.sha256(content).hexdigest()
    if found != package.sha256:
        raise Unavailable(f"{path} has SHA-256 {found}, expected {package.sha256}. Delete it and try again")
    return content


def _fetch(packages: tuple[Package, ...], into: Path) -> None:
    """Let pip download `packages` (its index, proxy and certificates are the user's) without building or running them."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        stand_in = work / "setuptools"
        stand_in.mkdir()
        (stand_in / "__init__.py").touch()
        (stand_in / "build_meta.py").write_text(_STAND_IN.format(name=SENTENCES.name, version=SENTENCES.version))
        pins = work / "pins.txt"
        pins.write_text("".join(f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n" for package in packages))
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation", "--ignore-requires-python"]
        command += ["--retries", "1", "--timeout", "20", "--require-hashes", "-r", str(pins), "-d", str(work / "got")]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PYTHONPATH": name},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCH_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"pip did not answer: {type(error).__name__}") from error
        if done.returncode != 0:
            said = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
            last = next((line for line in reversed(said) if "ERROR" in line.upper() or "No module" in line), said[-1])
            raise Unavailable(f"pip could not download the data: {last.strip()[:200]}")
        into.mkdir(parents=True, exist_ok=True)
        for package in packages:
            _move(work / "got" / package.file, into / package.file)


def _move(got: Path, to: Path) -> None:
    try:
        part = to.with_name(f".{to.name}.{os.getpid()}.part")
        part.write_bytes(got.read_bytes())
        part.replace(to)
    except OSError as error:
        raise Unavailable(f"{to.name} could not be kept in {to.parent}: {error.strerror}") from error


def read_ratings(wheel: bytes) -> pl.DataFrame:
    """MovieLens-100k out of the wheel: `user, item, stars, at` (seconds since 1970), in order of time."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        table = _bounded(archive, "recbole/dataset_example/ml-100k/ml-100k.inter")
    frame = pl.read_csv(io.BytesIO(table), separator="\t", has_header=True, new_columns=["user", "item", "stars", "at"])
    return frame.with_columns(pl.col("stars", "at").cast(pl.Int64)).sort("at", "user", "item")


def read_sentences(sdist: bytes) -> pl.DataFrame:
    """The review sentences out of the archive in the archive: `id, mood` (mean of 20 people, -4 to 4), `text`."""
    with zipfile.ZipFile(io.BytesIO(sdist)) as archive:
        inner = _bounded(archive, "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner), mode="r:gz") as tar:
        member = tar.extractfile("hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt")
        if member is None:
            raise KeyError("amazonReviewSnippets_GroundTruth.txt is no file")
        content = member.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"the sentences are more than {MOST_BYTES:,} bytes")
    rows = [line.split("\t", 2) for line in content.decode("utf-8-sig").splitlines()]
    return pl.DataFrame(
        {"id": [row[0] for row in rows], "mood": [float(row[1]) for row in rows], "text": [row[2].strip() for row in rows]},
        schema={"id": pl.String, "mood": pl.Float64, "text": pl.String},
    )


def _bounded(archive: zipfile.ZipFile, name: str) -> bytes:
    """One member, read in memory; nothing is extracted."""
    with archive.open(name) as member:
        content = member.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{name} is more than {MOST_BYTES:,} bytes")
    return content


def _arranged(data: Path, ratings: pl.DataFrame, sentences: pl.DataFrame) -> dict[str, Any]:
    """Write the real data in the shape of a shop."""
    events = _events(ratings)
    files = 0
    for (month,), part in events.group_by(pl.col("ts").str.head(7), maintain_order=True):
        part.write_ndjson(data / "events" / f"{month}.jsonl")
        files += 1
    reviews = _reviews(ratings, sentences)
    with open(data / "reviews.csv", "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(reviews.columns)
        table.writerows(reviews.iter_rows())
    users, items = ratings["user"].n_unique(), ratings["item"].n_unique()
    return {"events": events.height, "reviews": reviews.height, "users": users, "items": items, "files": files}


def _events(ratings: pl.DataFrame) -> pl.DataFrame:
    """A view at the rating's own second, a cart (4 stars or more) a quarter and a purchase (5) half a second later."""
    kinds = {"view": 1, "cart": 4, "purchase": 5}
    parts = [
        ratings.filter(pl.col("stars") >= least).with_columns(kind=pl.lit(kind), ms=pl.lit(250 * step))
        for step, (kind, least) in enumerate(kinds.items())
    ]
    return (
        pl.concat(parts)
        .sort("at", "ms", "user", "item")
        .select(
            event_id=pl.format("e{}", pl.int_range(1, pl.len() + 1)),
            user_id=pl.format("u{}", "user"),
            item_id=pl.format("i{}", "item"),
            ts=_iso(pl.col("at") * 1000 + pl.col("ms")),
            kind="kind",
        )
    )


def _reviews(ratings: pl.DataFrame, sentences: pl.DataFrame) -> pl.DataFrame:
    """One sentence for each of as many ratings, drawn by a hash; both sides sorted from the worst to the best."""
    drawn = [hashlib.sha256(f"{user} {item}".encode()).hexdigest() for user, item in ratings.select("user", "item").iter_rows()]
    chosen = ratings.with_columns(drawn=pl.Series(drawn)).sort("drawn").head(sentences.height).sort("stars", "drawn")
    kind = sentences.sort("mood", "id").head(chosen.height)
    return (
        pl.concat([chosen, kind.select("text")], how="horizontal")
        .sort("at", "user", "item")
        .select(
            review_id=pl.format("r{}", pl.int_range(1, pl.len() + 1)),
            user_id=pl.format("u{}", "user"),
            item_id=pl.format("i{}", "item"),
            ts=_iso(pl.col("at") * 1000 + 750),
            text="text",
            stars="stars",
        )
    )


def _iso(milliseconds: pl.Expr) -> pl.Expr:
    return milliseconds.cast(pl.Datetime("ms")).dt.to_string("%Y-%m-%dT%H:%M:%S%.3fZ")


def _sibling(name: str) -> ModuleType:
    """The file next to this one, wherever both were copied to and however this one was loaded."""
    full = f"headwater_example_shop_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        if spec is None or spec.loader is None:
            raise Unavailable(f"{name}.py is not beside {__file__}")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


if __name__ == "__main__":
    for key, value in main(sys.argv[1] if len(sys.argv) > 1 else ".").items():
        print(f"{key}: {value}")
