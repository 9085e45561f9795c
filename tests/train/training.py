"""Trains the made-up shop in a folder, as a program that can be killed; prints the model's digest."""

from __future__ import annotations

import sys
from pathlib import Path

from headwater.core.keys import Keys
from headwater.frameworks.factors import Recommender
from headwater.ledger.entries import Ledger
from headwater.testing.tastes import tastes
from headwater.train.model import Model
from headwater.train.registry import Registry
from headwater.train.train import train


def opened(home: Path) -> tuple[Registry, Ledger]:
    keys = Keys(home / "keys") if (home / "keys" / "trusted.json").exists() else Keys.make(home / "keys")
    return Registry(home / "lake" / "models", keys), Ledger(home / "ledger.db", keys)


def trained(home: Path, *, name: str = "shop", trials: int = 3, **sizes: int) -> Model:
    registry, ledger = opened(home)
    trainer = Recommender("interactions", weight="weight", trials=trials)
    return train(tastes(**sizes), trainer, name=name, registry=registry, ledger=ledger, work_folder=home / "work")


if __name__ == "__main__":
    sys.stdout.write(trained(Path(sys.argv[1])).digest)
