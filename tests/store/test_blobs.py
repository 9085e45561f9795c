"""A blob is what its name says, or it is refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.core.errors import Broken, DataError, UsageError
from headwater.store.blobs import Blobs


@given(st.binary(max_size=200))
def test_what_is_kept_comes_back_under_its_digest(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    digest = blobs.put(content)
    assert blobs.put(content) == digest
    assert blobs.get(digest) == content


def test_a_changed_blob_is_refused_and_a_missing_one_is_named(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    digest = blobs.put(b"image")
    blobs.path(digest).write_bytes(b"other")
    with pytest.raises(Broken, match="was changed"):
        blobs.get(digest)
    with pytest.raises(DataError, match="no blob"):
        blobs.get("sha256:" + "0" * 64)


@pytest.mark.parametrize("name", ["", "sha256:../../etc/passwd", "md5:" + "0" * 64, "sha256:" + "g" * 64, "sha256:" + "0" * 63])
def test_what_is_no_digest_names_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no digest"):
        Blobs(tmp_path).get(name)
