"""Keys: who may sign what. Made once by `init`, kept outside the lake, one Ed25519 key a role.

A folder of keys holds `<role>.key` (private, mode 0600), `trusted.json` (the public keys that are pinned, by role) and
`secret.key` (for pseudonyms and prediction ids). A process that should not sign for a role is simply not given that
role's private key.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from headwater.core.errors import Broken, UsageError
from headwater.core.files import write_whole

__all__ = ["ROLES", "Keys", "Role", "Signature"]

Role = Literal["collect", "train", "review", "deploy", "serve"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A role's signature over some bytes; `key` is the SHA-256 of the public key."""

    role: Role
    key: str
    value: str


class Keys:
    """The keys of one project.

    Guarantees: nothing is trusted that `trusted.json` does not pin; a missing or readable-by-others key is an error,
    never a new key.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            pinned: dict[str, str] = json.loads((folder / "trusted.json").read_text())
        except FileNotFoundError:
            raise UsageError(f"no keys in {folder}. Type: headwater init") from None
        except ValueError as error:
            raise Broken(f"{folder / 'trusted.json'} is no JSON: {error}") from error
        self.trusted: Mapping[str, str] = pinned  # role -> public key, hex
        self._public = {role: _public_key(key) for role, key in pinned.items()}
        self._private: dict[str, object] = {}
        self._derived: dict[bytes, bytes] = {}  # purpose -> key: a pseudonym must not cost a read of the disk

    @classmethod
    def make(cls, folder: Path) -> Keys:
        """Make one key a role in `folder` (mode 0700) and pin them. Raises `UsageError` if keys are there already."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if (folder / "trusted.json").exists():
            raise UsageError(f"{folder} has keys already: nothing was changed")
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        pinned = {}
        for role in ROLES:
            private = Ed25519PrivateKey.generate()
            write_whole(folder / f"{role}.key", private.private_bytes_raw().hex().encode(), mode=0o600)
            pinned[role] = private.public_key().public_bytes_raw().hex()
        write_whole(folder / "secret.key", os.urandom(32).hex().encode(), mode=0o600)
        write_whole(folder / "trusted.json", json.dumps(pinned, indent=1).encode(), mode=0o600)
        return cls(folder)

    def sign(self, role: Role, message: bytes) -> Signature:
        """Sign as `role`. Raises `UsageError` if this machine does not hold that role's key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        private = self._private.get(role)
        if private is None:
            private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self._read(f"{role}.key")))
            self._private[role] = private
        assert isinstance(private, Ed25519PrivateKey)
        return Signature(role=role, key=self.key_id(role), value=private.sign(message).hex())

    def verify(self, signature: Signature, message: bytes) -> bool:
        """Whether `signature` is by the key pinned for its role, over exactly `message`."""
        from cryptography.exceptions import InvalidSignature

        public = self._public.get(signature.role)
        if public is None or signature.key != self.key_id(signature.role):
            return False
        try:
            public.verify(bytes.fromhex(signature.value), message)
        except (InvalidSignature, ValueError):
            return False
        return True

    def key_id(self, role: str) -> str:
        """The SHA-256 of the public key pinned for `role`, as hex."""
        try:
            return hashlib.sha256(bytes.fromhex(self.trusted[role])).hexdigest()
        except KeyError:
            raise UsageError(f"no key is pinned for the role {role} in {self.folder / 'trusted.json'}") from None

    def pseudonym(self, contributor: str) -> str:
        """A contributor as the ledger names him: a keyed hash, the same for the same one, not reversible without the key."""
        return "p:" + self.mac(b"contributor", contributor.encode())[:32]

    def mac(self, purpose: bytes, message: bytes) -> str:
        """HMAC-SHA-256 under the project's secret, separated by purpose, as hex."""
        key = self._derived.get(purpose)
        if key is None:
            key = hmac.new(bytes.fromhex(self._read("secret.key")), purpose, hashlib.sha256).digest()
            self._derived[purpose] = key
        return hmac.new(key, message, hashlib.sha256).hexdigest()

    def _read(self, name: str) -> str:
        path = self.folder / name
        try:
            if path.stat().st_mode & 0o077:
                raise Broken(f"{path} can be read by others. Type: chmod 600 {path}")
            return path.read_text().strip()
        except FileNotFoundError:
            raise UsageError(f"{path} is missing: this machine may not act in that role") from None


def _public_key(value: str):  # type: ignore[no-untyped-def]  # the type is cryptography's, imported late
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(value))
