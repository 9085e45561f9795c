"""The registry: whole or absent, signed, and nothing is loaded that is not exactly what was signed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headwater.core.digest import bytes_digest
from headwater.core.errors import DataError, Refused, UsageError
from headwater.core.keys import Keys
from headwater.formats import dsse, safetensors
from headwater.train.model import Model, model_of
from headwater.train.registry import MANIFEST, SIGNATURE, WEIGHTS, Registry, _statement
from headwater.train.trainer import Fitted


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "models", Keys.make(tmp_path / "keys"))


def fitted(value: float = 1.0) -> Fitted:
    return Fitted(framework="factors", arrays={"w": np.full(8, value)}, parameters={"k": 3}, facts={"users": 2})


def save(registry: Registry, name: str = "shop", value: float = 1.0) -> Model:
    return registry.save(
        name, fitted(value), dataset="sha256:" + "d" * 64, derivation=bytes_digest(str(value).encode()), code="sha256:" + "c" * 64,
        about={"metrics": {"ndcg@10": {"value": 0.5}}},
    )  # fmt: skip


def folder(registry: Registry, name: str = "shop", version: int = 1) -> Path:
    return registry.root / name / str(version)


def test_what_was_saved_is_loaded_and_says_where_it_came_from(registry: Registry) -> None:
    saved = save(registry)
    model, arrays = registry.load("shop", 1, expect_digest=saved.digest)
    assert model == saved
    assert arrays["w"].tolist() == [1.0] * 8
    assert (model.uri, model.parents, model.facts["users"]) == ("lake:models/shop@1", (model.dataset,), 2)
    assert model.digest == bytes_digest((folder(registry) / MANIFEST).read_bytes())


def test_versions_count_up_and_the_same_derivation_is_the_same_version(registry: Registry) -> None:
    one, two, again = save(registry, value=1.0), save(registry, value=2.0), save(registry, value=1.0)
    assert (one.version, two.version, again) == (1, 2, one)
    assert registry.versions("shop") == [1, 2]
    assert registry.names() == ["shop"]


def test_the_same_model_saved_in_two_places_has_the_same_digest(registry: Registry, tmp_path: Path) -> None:
    other = Registry(tmp_path / "elsewhere", Keys.make(tmp_path / "keys2"))
    assert save(registry).digest == save(other).digest


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("file", [MANIFEST, WEIGHTS, SIGNATURE])
def test_one_flipped_bit_anywhere_is_refused_and_the_file_named(registry: Registry, file: str) -> None:
    save(registry)
    path = folder(registry) / file
    good = path.read_bytes()
    payload = len(good) if file != SIGNATURE else good.index(b"payloadType")  # after it, blanks between JSON's words mean nothing
    for at in range(0, payload, max(1, payload // 40)):
        flip(path, at)
        if file == SIGNATURE and json_equal(path.read_bytes(), good):
            continue
        with pytest.raises(Refused, match=file.replace(".", r"\.")):
            registry.load("shop", 1)
        path.write_bytes(good)
    registry.load("shop", 1)


def json_equal(a: bytes, b: bytes) -> bool:
    try:
        return bool(json.loads(a) == json.loads(b))
    except ValueError:
        return False


def test_a_model_signed_by_another_key_is_refused(registry: Registry, tmp_path: Path) -> None:
    save(registry)
    stranger = Registry(tmp_path / "other", Keys.make(tmp_path / "keys2"))
    save(stranger, value=6.6)
    shutil.rmtree(folder(registry))
    shutil.copytree(folder(stranger), folder(registry))
    with pytest.raises(Refused, match="not signed by the key pinned for the role train"):
        registry.load("shop", 1)


@pytest.mark.parametrize(("name", "version"), [("shop", 2), ("clinic", 1)])
def test_a_signed_model_put_under_another_name_or_version_is_refused(registry: Registry, name: str, version: int) -> None:
    save(registry)
    shutil.copytree(folder(registry), folder(registry, name, version))
    with pytest.raises(Refused, match=f"{name}/{version} is refused: it was signed as shop/1"):
        registry.load(name, version)


def test_a_signature_of_one_version_is_none_of_another(registry: Registry) -> None:
    save(registry, value=1.0)
    save(registry, value=2.0)
    shutil.copy(folder(registry, version=1) / SIGNATURE, folder(registry, version=2) / SIGNATURE)
    with pytest.raises(Refused, match=r"model\.json was changed after it was signed"):
        registry.load("shop", 2)


def test_weights_of_an_older_signed_version_are_refused(registry: Registry) -> None:
    save(registry, value=1.0)
    save(registry, value=2.0)
    shutil.copy(folder(registry, version=1) / WEIGHTS, folder(registry, version=2) / WEIGHTS)
    with pytest.raises(Refused, match=r"weights\.safetensors was changed"):
        registry.load("shop", 2)


def test_an_older_version_is_refused_where_a_digest_is_expected(registry: Registry) -> None:
    save(registry, value=1.0)
    newer = save(registry, value=2.0)
    with pytest.raises(Refused, match="was expected"):
        registry.load("shop", 1, expect_digest=newer.digest)


def test_a_statement_signed_for_something_else_is_refused(registry: Registry) -> None:
    model = save(registry)
    other = dsse.statement({MANIFEST: model.digest, **model.files}, "urn:something-else", {})
    (folder(registry) / SIGNATURE).write_bytes(dsse.sealed(other, registry.keys, "train"))
    with pytest.raises(Refused, match="statement about something else"):
        registry.load("shop", 1)


def test_weights_that_are_signed_but_not_finite_are_refused(registry: Registry) -> None:
    save(registry)
    weights = bytearray(safetensors.write({"w": np.zeros(8)}))
    weights[-8:] = np.array([np.nan]).tobytes()
    manifest = json.loads((folder(registry) / MANIFEST).read_bytes())
    manifest["files"] = {WEIGHTS: bytes_digest(bytes(weights))}
    content = json.dumps(manifest).encode()
    (folder(registry) / WEIGHTS).write_bytes(weights)
    (folder(registry) / MANIFEST).write_bytes(content)
    (folder(registry) / SIGNATURE).write_bytes(dsse.sealed(_statement(model_of(content), bytes_digest(content)), registry.keys, "train"))
    with pytest.raises(Refused, match="NaN or infinity"):
        registry.load("shop", 1)


def extra(home: Path) -> None:
    (home / "more.pkl").write_bytes(b"")


def linked_file(home: Path) -> None:
    (home / WEIGHTS).rename(home.parent.parent / "w")
    (home / WEIGHTS).symlink_to(home.parent.parent / "w")


def linked_folder(home: Path) -> None:
    home.rename(home.parent / "real")
    home.symlink_to(home.parent / "real")


def linked_name(home: Path) -> None:
    home.parent.rename(home.parent.parent / "real")
    home.parent.symlink_to(home.parent.parent / "real")


def pipe(home: Path) -> None:
    (home / WEIGHTS).unlink()
    os.mkfifo(home / WEIGHTS)


def subfolder(home: Path) -> None:
    (home / WEIGHTS).unlink()
    (home / WEIGHTS).mkdir()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (extra, "'more.pkl' does not belong there"),
        (lambda home: (home / WEIGHTS).unlink(), r"weights\.safetensors is missing"),
        (lambda home: (home / SIGNATURE).unlink(), r"model\.dsse\.json is missing"),
        (linked_file, "is a link"),
        (linked_folder, "is a link"),
        (linked_name, "is a link"),
        (pipe, "no plain file"),
        (subfolder, "no plain file"),
    ],
)
def test_a_folder_that_is_not_exactly_a_model_is_refused_and_no_link_is_followed(
    registry: Registry, change: Callable[[Path], None], message: str
) -> None:
    save(registry)
    change(folder(registry))
    with pytest.raises(Refused, match=message):
        registry.load("shop", 1)


def test_nothing_is_written_through_a_link(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    registry.root.mkdir()
    (registry.root / "shop").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Refused, match="is a link"):
        save(registry)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_is_not_there_is_said_so(registry: Registry) -> None:
    with pytest.raises(UsageError, match="no models"):
        registry.load("shop", 1)
    save(registry)
    for name, version in (("shop", 2), ("other", 1)):
        with pytest.raises(UsageError, match=f"no model {name}/{version}"):
            registry.load(name, version)
    with pytest.raises(UsageError, match="not a name"):
        registry.load("../keys", 1)


def test_a_machine_without_the_train_key_can_load_and_not_save(registry: Registry) -> None:
    save(registry)
    (registry.keys.folder / "train.key").unlink()
    served = Registry(registry.root, Keys(registry.keys.folder))
    assert served.load("shop", 1)[0].version == 1
    with pytest.raises(UsageError, match="may not act in that role"):
        save(served, value=2.0)
    assert served.versions("shop") == [1]


def test_what_a_crash_left_half_written_is_no_version_and_is_cleared(registry: Registry) -> None:
    save(registry)
    half = registry.root / "shop" / ".2.part"
    half.mkdir()
    (half / MANIFEST).write_bytes(b"{")
    assert registry.versions("shop") == [1]
    assert save(registry, value=2.0).version == 2
    assert not half.exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"format":2}', b'{"format":1}', b'{"format":1,"format":1}', b'{"format":1,"version":true,"name":"shop"}']
)
def test_a_manifest_that_is_none_is_a_data_error(content: bytes) -> None:
    with pytest.raises(DataError):
        model_of(content)
