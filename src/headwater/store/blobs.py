"""Blobs: images, audio, pages and documents, each named by the digest of its bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from headwater.core.digest import bytes_digest
from headwater.core.errors import Broken, DataError, UsageError
from headwater.core.files import write_whole

__all__ = ["Blobs"]


class Blobs:
    """A content-addressed folder: `<root>/sha256/ab/cdef…`.

    Guarantees: what `get` returns is what its name says; the same bytes are kept once; a crash leaves no part.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, content: bytes, digest: str | None = None) -> str:
        """Keep `content`; returns its digest. Keeping it again changes nothing. Raises `DataError` if `digest` is another's."""
        named, digest = digest, bytes_digest(content)
        if named not in (None, digest):
            raise DataError(f"a blob was given as {named}, but its bytes are {digest}")
        path = self.path(digest)
        if not path.exists():
            write_whole(path, content)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of that digest. Raises `DataError` if they are not kept, `Broken` if they were changed."""
        try:
            content = self.path(digest).read_bytes()
        except FileNotFoundError:
            raise DataError(f"no blob {digest} in {self.root}") from None
        if bytes_digest(content) != digest:
            raise Broken(f"the blob {digest} was changed: its bytes are {bytes_digest(content)}")
        return content

    def path(self, digest: str) -> Path:
        """Where a digest is kept, or would be."""
        kind, _, value = digest.partition(":")
        if kind != "sha256" or len(value) != hashlib.sha256().digest_size * 2 or set(value) - set("0123456789abcdef"):
            raise UsageError(f"{digest!r} is no digest: expected sha256: and 64 hexadecimal digits")
        return self.root / kind / value[:2] / value[2:]
