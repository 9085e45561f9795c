"""Serving: the model that answers now, and how the next one takes its place without a request being dropped."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from headwater.core.errors import Broken, HeadwaterError, Refused
from headwater.core.files import locked, write_whole
from headwater.core.keys import Keys
from headwater.core.names import printable
from headwater.deploy.deployment import Deployment, read_pointer
from headwater.deploy.predictor import AnyPredictor, ask_once

__all__ = ["HighestEpoch", "Load", "Served", "Serving"]

Load = Callable[[Deployment], AnyPredictor]
"""Loads what a deployment names; it verifies signature, chain and digests first, and raises if one fails."""

_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """A deployment and its loaded model, together: a request that holds one keeps both to its end."""

    deployment: Deployment
    predictor: AnyPredictor


class HighestEpoch:
    """Remembers the latest deployment this replica ever saw, outside the lake, so that an older one is known as old."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def admit(self, deployment: Deployment) -> None:
        """Remember `deployment`. Raises `Refused` if a later epoch was seen, or another deployment under this epoch."""
        with locked(self.path.with_suffix(".lock"), f"{self.path}", wait_s=10):
            epoch, digest = self._read()
            if deployment.epoch < epoch or (deployment.epoch == epoch and deployment.digest != digest):
                raise Refused(
                    f"{deployment.name!r} is deployed at epoch {deployment.epoch}, this server has seen another epoch {epoch}: "
                    "an old deployment was put back. Type: headwater verify"
                )
            if deployment.epoch > epoch:
                write_whole(self.path, json.dumps({"epoch": deployment.epoch, "digest": deployment.digest}).encode(), mode=0o600)

    def _read(self) -> tuple[int, str]:
        try:
            seen = json.loads(self.path.read_bytes())
            return int(seen["epoch"]), str(seen["digest"])
        except FileNotFoundError:
            return 0, ""
        except (ValueError, KeyError, TypeError) as error:
            raise Broken(f"{self.path}, the latest epoch seen, cannot be read: {error}") from error


class Serving:
    """What serves under one name on this replica.

    Guarantees: `now` changes by one assignment, and only to a deployment that the key `deploy` signed, whose epoch is
    later than any this replica ever saw, and whose model `load` vouched for, has the digest signed, and answered once.
    Whatever fails, the old one stays and `problem` says why.
    """

    def __init__(self, pointer: Path, keys: Keys, load: Load, *, seen: Path | None = None) -> None:
        self.name = pointer.stem
        self.pointer = pointer
        self.keys = keys
        self.now: Served | None = None
        self.problem: str | None = None
        self._load = load
        self._highest = HighestEpoch(seen or keys.folder / f"epoch-{pointer.stem}.json")
        self._stamp: tuple[int, ...] | None = None
        self._retry_at = 0.0

    def start(self) -> Served:
        """Load what is deployed. Raises what is wrong with it: a server does not start on a model it cannot vouch for."""
        served = self._next()
        assert served is not None
        return served

    def refresh(self) -> bool:
        """Take over what is deployed, if it is new and good. True if it was taken over; what is wrong is in `problem`."""
        stamp = self._stamp_now()
        if stamp == self._stamp and not (self.problem and time.monotonic() >= self._retry_at):
            return False
        try:
            served = self._next()
        except HeadwaterError as error:
            self.problem = printable(str(error), 500)
        except Exception as error:  # noqa: BLE001 - whatever a loader raises, the old model goes on
            self.problem = printable(f"the model could not be loaded: {type(error).__name__}: {error}", 500)
        else:
            self.problem = None
            self._stamp = stamp
            return served is not None
        self._stamp = stamp
        self._retry_at = time.monotonic() + _RETRY_S
        return False

    async def watch(self, every_s: float = 0.2) -> None:
        """Refresh for ever, off the event loop."""
        while True:
            await asyncio.sleep(every_s)
            if self._stamp_now() != self._stamp or self.problem:
                await asyncio.to_thread(self.refresh)

    def _next(self) -> Served | None:
        deployment = read_pointer(self.pointer, self.keys)
        self._highest.admit(deployment)
        if self.now is not None and self.now.deployment == deployment:
            return None
        predictor = self._load(deployment)
        if (predictor.digest, predictor.version) != (deployment.model_digest, deployment.version):
            raise Refused(f"the model loaded for {deployment.uri} is not the one deployed: it has digest {predictor.digest}")
        ask_once(predictor)
        served = Served(deployment, predictor)
        self.now = served
        return served

    def _stamp_now(self) -> tuple[int, ...] | None:
        try:
            stat = self.pointer.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_ino, stat.st_size
