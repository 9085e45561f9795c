"""Deployment: what should be serving, as a signed pointer with an increasing epoch; promote and roll back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headwater.core.artifact import Artifact
from headwater.core.digest import canonical_json, json_digest
from headwater.core.errors import Broken, DataError, Refused, UsageError
from headwater.core.failpoint import failpoint
from headwater.core.files import locked, write_whole
from headwater.core.keys import Keys, Signature
from headwater.core.names import check_name, did_you_mean, printable
from headwater.ledger.entries import Entry, Ledger

__all__ = ["Deployment", "Deployments", "pointer_path", "read_pointer"]

_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_BYTES = 64 * 1024
_PURPOSE = b"headwater deployment 1\n"  # so that no other signature by this role can pass for one of these


@dataclass(frozen=True, kw_only=True)
class Deployment(Artifact):
    """One decision about what serves under a name.

    `epoch` is 1, 2, 3 … for each name, and a rollback is a new one. `previous` is the epoch before, `entry` the ledger
    entry that made it, `reason` is `promote` or `rollback`.
    """

    name: str
    epoch: int
    model: str
    model_digest: str
    version: str
    previous: int | None
    reason: str
    entry: int


def pointer_path(folder: Path, name: str) -> Path:
    """Where the pointer of `name` is kept."""
    return folder / f"{check_name(name, 'deployment')}.json"


def read_pointer(path: Path, keys: Keys) -> Deployment:
    """The deployment that `path` names, if the pinned key `deploy` signed it for this file's name.

    Raises `UsageError` if there is none, `Refused` if it is not what that key signed.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise UsageError(f"nothing is deployed as {path.stem!r}: {path} is missing. Promote a model first") from None
    try:
        whole = json.loads(content)
        payload, signed = whole["deployment"], whole["signature"]
        signature = Signature(role="deploy", key=str(signed["key"]), value=str(signed["value"]))
        ours = keys.verify(signature, _PURPOSE + canonical_json(payload))
        found = _deployment(payload, int(payload["entry"])) if ours else None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(f"{path} is not a deployment: {type(error).__name__}. Type: headwater verify") from None
    if found is None:
        raise Refused(f"{path} is not signed by the pinned key 'deploy': it was forged or changed. Type: headwater verify")
    if found.name != path.stem:
        raise Refused(f"{path} holds the deployment of {printable(found.name)!r}, not of {path.stem!r}. Type: headwater verify")
    return found


class Deployments:
    """What serves under each name of one lake, decided by the ledger and told by signed pointers.

    Guarantees: the ledger entry is the decision and is written first; the pointer follows it, whole. A call that died
    between the two is finished by the next call, whichever it is. An entry is believed only if the key `deploy` signed
    it and no epoch is missing. `check(candidate)` is asked before a model is promoted or gone back to; it raises if the
    model cannot be vouched for.
    """

    def __init__(self, folder: Path, ledger: Ledger, *, check: Callable[[Deployment], object] | None = None) -> None:
        self.folder = folder
        self.ledger = ledger
        self.check = check

    def promote(self, name: str, *, model: str, digest: str, version: str) -> Deployment:
        """Make `model` what serves as `name`. Promoting what serves already changes nothing."""
        if not _VERSION.fullmatch(version) or not _DIGEST.fullmatch(digest):
            raise UsageError(f"model {printable(model)!r} has no proper version or digest: {printable(version)!r}, {printable(digest)!r}")
        with self._held(name):
            past, _ = self._settled(name)
            if past and (past[-1].model_digest, past[-1].version) == (digest, version):
                return past[-1]
            return self._decide(past, name=name, model=model, digest=digest, version=version, reason="promote")

    def rollback(self, name: str, to: str | None = None) -> Deployment:
        """Go back to the version `to`, or to the last good one before the current. It becomes a new epoch.

        Good is what was not itself rolled back from and what `check` still vouches for. Called again after it died
        half-way, it finishes that rollback and goes no further.
        """
        with self._held(name):
            past, repaired = self._settled(name)
            if not past:
                raise UsageError(f"nothing is deployed as {name!r}: there is nothing to roll back")
            if repaired and to is None and past[-1].reason == "rollback":
                return past[-1]
            target = self._target(past, to)
            if (target.model_digest, target.version) == (past[-1].model_digest, past[-1].version):
                return past[-1]
            return self._decide(
                past, name=name, model=target.model, digest=target.model_digest, version=target.version, reason="rollback", checked=True
            )

    def current(self, name: str) -> Deployment:
        """What should be serving as `name`; a pointer that fell behind the ledger is repaired. Raises `UsageError` if none."""
        with self._held(name):
            past, _ = self._settled(name)
        if not past:
            raise UsageError(f"nothing is deployed as {name!r}. Promote a model first")
        return past[-1]

    def history(self, name: str) -> list[Deployment]:
        """Every deployment of `name`, oldest first, each checked. Raises `Broken` if one was changed or is missing."""
        check_name(name, "deployment")
        seen = self.ledger.witness.read()
        if seen and self.ledger.head()[0] < seen[0]:
            raise Broken(f"the ledger was cut short after entry {self.ledger.head()[0]}. Type: headwater verify")
        past = [self._believed(entry) for entry in self.ledger.entries("deployed", equal={"name": name})]
        if [deployment.epoch for deployment in past] != list(range(1, len(past) + 1)):
            raise Broken(f"the ledger's deployments of {name!r} have a gap: epochs {[d.epoch for d in past][-5:]}. Type: headwater verify")
        return past

    @contextmanager
    def _held(self, name: str) -> Iterator[None]:
        path = pointer_path(self.folder, name)
        with locked(path.with_name(f".{name}.lock"), f"the deployment {name!r}", wait_s=30):
            yield

    def _settled(self, name: str) -> tuple[list[Deployment], bool]:
        """The history, and whether the pointer had to be brought up to it."""
        past = self.history(name)
        try:
            pointed = read_pointer(pointer_path(self.folder, name), self.ledger.keys)
        except (UsageError, Refused):
            pointed = None
        if pointed and pointed.epoch > len(past):
            raise Broken(
                f"{name!r} is deployed at epoch {pointed.epoch}, the ledger knows {len(past)}: it lost entries. Type: headwater verify"
            )
        if not past or pointed == past[-1]:
            return past, False
        self._point(past[-1])
        return past, True

    def _target(self, past: list[Deployment], to: str | None) -> Deployment:
        if to is not None:
            found = next((deployment for deployment in reversed(past) if deployment.version == to), None)
            if found is None:
                raise UsageError(f"{past[-1].name!r} never served version {printable(to)!r}. {did_you_mean(to, {d.version for d in past})}")
            self._vouched(found)
            return found
        failures = []
        for earlier in reversed(_standing(past)[:-1]):
            try:
                self._vouched(earlier)
            except (Refused, Broken, DataError, UsageError) as error:
                failures.append(f"version {earlier.version}: {error}")
            else:
                return earlier
        why = f" Not good any more: {'; '.join(failures)}" if failures else ""
        raise UsageError(f"{past[-1].name!r} has no good deployment before epoch {past[-1].epoch} (version {past[-1].version}).{why}")

    def _vouched(self, candidate: Deployment) -> None:
        if self.check is not None:
            self.check(candidate)

    def _decide(
        self, past: list[Deployment], *, name: str, model: str, digest: str, version: str, reason: str, checked: bool = False
    ) -> Deployment:
        body = {
            "name": name,
            "epoch": len(past) + 1,
            "model": model,
            "digest": digest,
            "version": version,
            "previous": past[-1].epoch if past else None,
            "reason": reason,
        }
        if not checked:
            self._vouched(_deployment(body, 0))
        deployment = _deployment(body, self.ledger.append("deployed", body).seq)
        failpoint("deploy.recorded")
        self._point(deployment)
        failpoint("deploy.pointed")
        return deployment

    def _point(self, deployment: Deployment) -> None:
        payload = _payload(deployment)
        signature = self.ledger.keys.sign("deploy", _PURPOSE + canonical_json(payload))
        whole = {"deployment": payload, "signature": {"role": signature.role, "key": signature.key, "value": signature.value}}
        write_whole(pointer_path(self.folder, deployment.name), json.dumps(whole, indent=1).encode())

    def _believed(self, entry: Entry) -> Deployment:
        """The deployment an entry made: only ours are believed, since what we repair from them we sign."""
        signed = entry.signature.role == "deploy" and self.ledger.keys.verify(entry.signature, entry.seal.encode())
        if entry.seal != entry.expected_seal() or not signed:
            raise Broken(f"ledger entry {entry.seq} was forged or changed. Type: headwater verify")
        return _deployment(entry.body, entry.seq)


def _standing(past: list[Deployment]) -> list[Deployment]:
    """The deployments that stand, oldest first: what was rolled back from is taken off."""
    stack: list[Deployment] = []
    for deployment in past:
        if deployment.reason == "rollback":
            same = [i for i, d in enumerate(stack) if (d.model_digest, d.version) == (deployment.model_digest, deployment.version)]
            stack = stack[: same[-1]] if same else stack
        stack.append(deployment)
    return stack


def _payload(deployment: Deployment) -> dict[str, Any]:
    names = ("name", "epoch", "model", "version", "previous", "reason", "entry")
    return {"digest": deployment.model_digest, **{name: getattr(deployment, name) for name in names}}


def _deployment(body: Mapping[str, Any], entry: int) -> Deployment:
    named = {name: body[name] for name in ("name", "epoch", "model", "digest", "version", "previous", "reason")}
    return Deployment(
        uri=f"deployment:{body['name']}@{body['epoch']}",
        digest=json_digest(named),
        parents=(body["digest"],),
        facts={"epoch": body["epoch"], "version": body["version"], "reason": body["reason"]},
        name=body["name"],
        epoch=int(body["epoch"]),
        model=body["model"],
        model_digest=body["digest"],
        version=body["version"],
        previous=body["previous"],
        reason=body["reason"],
        entry=entry,
    )
