"""A small shop that really serves: popularity over a list, its models as files; also a program that serves it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from headwater.core.digest import bytes_digest
from headwater.core.errors import Refused
from headwater.core.keys import Keys
from headwater.deploy.access import make_api_key
from headwater.deploy.deployment import Deployment, Deployments, pointer_path
from headwater.ledger.entries import Ledger


@dataclass(frozen=True)
class Popular:
    """The same items for everybody, without those he has."""

    version: str
    digest: str
    items: tuple[str, ...]
    name: str = "shop"

    def recommend(self, user: str | None, *, history: Sequence[str] = (), k: int = 10) -> list[tuple[str, float]]:
        if user == "crash":
            raise ValueError("\x1b[31ma secret of the model")
        left = [item for item in self.items if item not in history]
        return [(item, 1.0 / (place + 1)) for place, item in enumerate(left[:k])]


class Shop:
    """A project in a folder: keys, ledger, models, deployments, spool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys = Keys(folder / "keys") if (folder / "keys/trusted.json").exists() else Keys.make(folder / "keys")
        self.ledger = Ledger(folder / "ledger.db", self.keys)
        self.deployments = Deployments(folder / "deployments", self.ledger, check=self.load)
        self.pointer = pointer_path(folder / "deployments", "shop")

    def model(self, version: str, items: Sequence[str] = tuple(f"i{n}" for n in range(150))) -> str:
        """Make a model; gives its digest."""
        content = json.dumps([version, list(items)]).encode()
        path = self.folder / "models" / version
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return bytes_digest(content)

    def promote(self, version: str) -> Deployment:
        return self.deployments.promote("shop", model=f"model:shop@{version}", digest=self.model(version), version=version)

    def load(self, deployment: Deployment) -> Popular:
        content = (self.folder / "models" / deployment.version).read_bytes()
        if bytes_digest(content) != deployment.model_digest:
            raise Refused(f"the model {deployment.model} was changed")
        version, items = json.loads(content)
        return Popular(version, bytes_digest(content), tuple(items))

    def key(self, *scopes: str) -> dict[str, str]:
        """The header that an API key with these scopes sends."""
        name = "-".join(["k", *scopes, os.urandom(4).hex()])
        return {"authorization": f"Bearer {make_api_key(self.keys.folder, name, scopes).reveal()}"}

    def rows(self, stream: str) -> list[dict[str, Any]]:
        """All whole lines in the spool, in order."""
        found = []
        for path in sorted((self.folder / "spool" / stream).glob("*.jsonl")):
            *whole, _torn = path.read_bytes().split(b"\n")
            found += [json.loads(line) for line in whole]
        return found


@contextmanager
def served(shop: Shop, **options: Any) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The shop's server in a process of its own, once it answers: its address and the process. Stopped by SIGTERM."""
    program = [sys.executable, "-m", "tests.deploy.popular", str(shop.folder), json.dumps(options)]
    paths = os.pathsep.join(["src", "."])
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths}) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            assert httpx.get(f"{address}/v2/health/live").status_code == 200
            yield address, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(20)


def until(true: Any, most_s: float = 20.0) -> None:
    """Ask until it is true; fail if it never is."""
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


def main(folder: str, options: str) -> None:
    """Serve the shop in `folder` on a free port."""
    from headwater.deploy.bounds import Limits
    from headwater.deploy.rest import create_app
    from headwater.deploy.server import serve
    from headwater.deploy.serving import Serving
    from headwater.deploy.spool import Spool

    chosen = json.loads(options)
    shop = Shop(Path(folder))
    serving = Serving(shop.pointer, shop.keys, shop.load)
    serving.start()
    spool = Spool(shop.folder / "spool", on_flush=lambda sealed: shop.ledger.append("flushed", sealed.to_json()))
    limits = Limits(**chosen.pop("limits", {}))
    serve(create_app(serving, keys=shop.keys, spool=spool, limits=limits, **chosen), port=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
