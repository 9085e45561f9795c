"""Registry: models kept by name and version, signed when saved, verified before a byte of them is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.core.digest import bytes_digest
from headwater.core.errors import DataError, Refused
from headwater.core.failpoint import failpoint
from headwater.core.files import locked
from headwater.core.keys import Keys
from headwater.core.names import check_name
from headwater.formats import dsse, safetensors
from headwater.train.folder import make_whole, peek, read_all
from headwater.train.model import Model, manifest_bytes, model_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from headwater.train.trainer import Fitted

__all__ = ["MANIFEST", "SIGNATURE", "WEIGHTS", "Registry"]

MANIFEST, WEIGHTS, SIGNATURE = "model.json", "weights.safetensors", "model.dsse.json"
_FILES = frozenset((MANIFEST, WEIGHTS, SIGNATURE))
_PREDICATE = "https://slsa.dev/provenance/v1"
_BUILD = "urn:headwater:train:v1"


class Registry:
    """The models of one lake, in `<root>/<name>/<version>/`.

    Guarantees: a version is there whole or not at all, and is never changed; nothing is loaded that is not signed by
    the key pinned for the role train, for this very name and version, with every file as it was; what is parsed is the
    bytes that were hashed. No link is followed below `root`.
    """

    def __init__(self, root: Path, keys: Keys) -> None:
        self.root = root
        self.keys = keys

    def versions(self, name: str) -> list[int]:
        """The versions of a model, oldest first. Says nothing about whether they can be loaded."""
        home = self.root / check_name(name, "model")
        return sorted(int(p.name) for p in home.iterdir() if p.name.isascii() and p.name.isdigit()) if home.is_dir() else []

    def names(self) -> list[str]:
        """The names of all models, sorted."""
        return sorted(p.name for p in self.root.iterdir() if not p.name.startswith(".") and p.is_dir()) if self.root.is_dir() else []

    def save(self, name: str, fitted: Fitted, *, dataset: str, derivation: str, code: str, about: Mapping[str, Any] | None = None) -> Model:
        """Keep and sign what was learned as the next version, or return the version that has this derivation already.

        `about` may hold `declared`, `metrics` and `environment` for the manifest, and nothing that depends on the time.
        """
        weights = safetensors.write(fitted.arrays)
        with locked(self.root / f".{check_name(name, 'model')}.lock", f"model {name}", wait_s=60):
            known = self.find(name, derivation)
            if known is not None:
                return known
            version = max(self.versions(name), default=0) + 1
            manifest = manifest_bytes(
                {
                    "declared": {}, "metrics": {}, "environment": {}, **(about or {}),
                    "name": name, "version": version, "framework": fitted.framework, "dataset": dataset, "parents": [dataset],
                    "derivation": derivation, "code": code, "parameters": dict(fitted.parameters), "facts": dict(fitted.facts),
                    "files": {WEIGHTS: bytes_digest(weights)},
                }
            )  # fmt: skip
            model = model_of(manifest)
            signature = dsse.sealed(_statement(model, bytes_digest(manifest)), self.keys, "train")
            failpoint("train.registry.write")
            make_whole(self.root / name / str(version), {MANIFEST: manifest, WEIGHTS: weights, SIGNATURE: signature})
        return model

    def find(self, name: str, derivation: str) -> Model | None:
        """The newest version with this derivation, verified. Raises `Refused` if it is there but cannot be trusted."""
        for version in reversed(self.versions(name)):
            if derivation.encode() in peek(self.root, (name, str(version)), MANIFEST):
                model, _ = self.load(name, version)
                if model.derivation == derivation:
                    return model
        return None

    def load(self, name: str, version: int, expect_digest: str | None = None) -> tuple[Model, dict[str, NDArray[Any]]]:
        """A model and its arrays, once signature, manifest and every file hold, in that order.

        Raises `UsageError` if there is no such version; `Refused`, with one sentence that names what is wrong, if it is
        unsigned, changed, incomplete, signed for another name or version, or not the one that `expect_digest` names.
        """
        shown = f"{check_name(name, 'model')}/{version}"
        content = read_all(self.root, (name, str(version)), _FILES)
        signed = dsse.opened(content[SIGNATURE], self.keys, "train", f"model {shown}: {SIGNATURE}")
        digests = _subjects(signed, shown)
        for file in (MANIFEST, WEIGHTS):
            if bytes_digest(content[file]) != digests.get(file):
                raise Refused(f"model {shown} is refused: {file} was changed after it was signed")
        try:
            model = model_of(content[MANIFEST])
            arrays = safetensors.read(content[WEIGHTS])
        except DataError as error:
            raise Refused(f"model {shown} is refused: {error}") from error
        _require_same(model, signed, shown, (name, version), digests)
        if expect_digest is not None and model.digest != expect_digest:
            raise Refused(f"model {shown} is refused: it is {model.digest[:19]}…, {expect_digest[:19]}… was expected")
        return model, arrays


def _statement(model: Model, manifest: str) -> dict[str, Any]:
    """An in-toto statement whose predicate is SLSA provenance: which files, named and versioned how, from which data."""
    about = {"name": model.name, "version": model.version, "manifest": manifest, "derivation": model.derivation}
    materials = [{"name": "dataset", "digest": {"sha256": model.dataset.removeprefix("sha256:")}}]
    definition = {"buildType": _BUILD, "externalParameters": about, "resolvedDependencies": materials}
    predicate = {"buildDefinition": definition, "runDetails": {"builder": {"id": _BUILD}}}
    return dsse.statement({MANIFEST: manifest, **model.files}, _PREDICATE, predicate)


def _subjects(signed: Mapping[str, Any], shown: str) -> dict[str, str]:
    try:
        found = {entry["name"]: "sha256:" + entry["digest"]["sha256"] for entry in signed["subject"]}
        if signed["predicateType"] != _PREDICATE or set(found) != {MANIFEST, WEIGHTS}:
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise Refused(f"model {shown} is refused: {SIGNATURE} is a statement about something else") from None
    return found


def _require_same(model: Model, signed: Mapping[str, Any], shown: str, asked: tuple[str, int], digests: Mapping[str, str]) -> None:
    if (model.name, model.version) != asked:
        raise Refused(f"model {shown} is refused: it was signed as {model.name}/{model.version}")
    if dict(signed) != _statement(model, digests[MANIFEST]) or model.files != {WEIGHTS: digests[WEIGHTS]}:
        raise Refused(f"model {shown} is refused: {SIGNATURE} and {MANIFEST} do not say the same")
