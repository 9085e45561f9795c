"""Model: what was learned, as its manifest tells it. The digest of a model is the digest of its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Artifact, Fact
from headwater.core.digest import bytes_digest, canonical_json
from headwater.core.errors import DataError
from headwater.core.names import check_name
from headwater.formats.strictjson import parse_object
from headwater.train.trainer import Fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FORMAT", "MAX_MANIFEST", "Model", "fitted_of", "manifest_bytes", "model_of"]

FORMAT = 1
MAX_MANIFEST = 4 * 1024 * 1024
_TEXTS = ("name", "framework", "dataset", "derivation", "code")
_MAPPINGS = ("declared", "parameters", "metrics", "environment", "facts", "files")


@dataclass(frozen=True, kw_only=True)
class Model(Artifact):
    """A trained model in the registry.

    `dataset` is the digest of what it learned from, `derivation` that of everything that made it, `files` the SHA-256
    of every file. Nothing in it depends on when it was made. `parents` holds the dataset's digest.
    """

    name: str
    version: int
    framework: str
    dataset: str
    derivation: str
    code: str
    declared: Mapping[str, Fact] = field(default_factory=dict)
    parameters: Mapping[str, Fact] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def fitted_of(model: Model, arrays: Mapping[str, NDArray[Any]]) -> Fitted:
    """What was learned, as its trainer's `score` takes it: a champion is judged like a challenger."""
    return Fitted(framework=model.framework, arrays=arrays, parameters=model.parameters, facts=model.facts)


def manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    """The manifest as it is kept: canonical JSON, so one model has one digest."""
    return canonical_json({**manifest, "format": FORMAT})


def model_of(content: bytes) -> Model:
    """The model that a manifest's bytes describe. Raises `DataError` if they are not a manifest of this format."""
    manifest = parse_object(content, "the manifest model.json", limit=MAX_MANIFEST)
    if manifest.get("format") != FORMAT:
        raise DataError(f"the manifest has format {manifest.get('format')!r}, this Headwater reads format {FORMAT}")
    version, parents = manifest.get("version"), manifest.get("parents")
    whole = (
        all(isinstance(manifest.get(key), str) for key in _TEXTS)
        and all(isinstance(manifest.get(key), dict) for key in _MAPPINGS)
        and type(version) is int
        and version >= 1
        and isinstance(parents, list)
        and all(isinstance(parent, str) for parent in parents)
    )
    if not whole:
        raise DataError("the manifest model.json lacks a part, or has one of the wrong kind")
    name = check_name(manifest["name"], "model")
    return Model(
        uri=f"lake:models/{name}@{version}",
        digest=bytes_digest(content),
        parents=tuple(parents or ()),
        version=version or 0,
        **{key: manifest[key] for key in (*_TEXTS, *_MAPPINGS)},
    )
