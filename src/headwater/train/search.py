"""Search: Optuna proposes, the validation windows judge; killed and run again, it goes on as if it never stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headwater.core.artifact import Fact
from headwater.core.digest import bytes_digest, canonical_json
from headwater.core.errors import DataError
from headwater.core.failpoint import failpoint
from headwater.core.files import write_whole
from headwater.train.trainer import Trainer, Trial, Window

if TYPE_CHECKING:
    import optuna

__all__ = ["Found", "search"]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best trial, and how many there were."""

    parameters: Mapping[str, Fact]
    value: float
    trials: int


def search(
    trainer: Trainer, windows: tuple[Window, ...], *, seed: int, journal: Path, progress: Callable[[str], None] | None = None
) -> Found:
    """Try the trainer's defaults, then what a seeded TPE sampler draws, `trainer.trials` in all; the first of the best wins.

    A trial's value is the mean of the metric over the windows. Each trial depends on the seed, its number and the
    trials before it alone, all of which are in `journal`; so a search that was killed ends like one that was not.
    """
    done = _remembered(journal)
    while len(done) < max(trainer.trials, 1):
        number = len(done)
        drawn = _draw(trainer, done, _seed(seed, number))
        trial = Trial(parameters=drawn["parameters"], seed=seed)
        values = [trainer.score(trainer.fit(window.train, trial), window.holdout).mean(trainer.metric) for window in windows]
        done.append({**drawn, "value": sum(values) / len(values)})
        write_whole(journal, json.dumps(done).encode())
        failpoint("train.search.trial")
        if progress:
            progress(f"trial {number + 1} of {trainer.trials}: {trainer.metric} {done[-1]['value']:.4f}")
    best = max(done, key=lambda record: record["value"])
    return Found(parameters=best["parameters"], value=best["value"], trials=len(done))


def _seed(seed: int, number: int) -> int:
    return int(bytes_digest(canonical_json([seed, number])).removeprefix("sha256:")[:8], 16)


def _draw(trainer: Trainer, done: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """The next trial, out of a study made anew from those before it: a resumed study cannot differ from a running one."""
    import optuna
    from optuna.distributions import distribution_to_json, json_to_distribution

    study = _quiet_study(optuna.samplers.TPESampler(seed=seed, n_startup_trials=8))
    for record in done:
        space = {name: json_to_distribution(text) for name, text in record["space"].items()}
        study.add_trial(optuna.create_trial(params=record["drawn"], distributions=space, value=record["value"]))
    if not done:
        study.enqueue_trial(dict(trainer.defaults()))
    trial = study.ask()
    parameters = dict(trainer.suggest(trial))
    kinds = {name: distribution_to_json(kind) for name, kind in trial.distributions.items()}
    return {"parameters": parameters, "drawn": trial.params, "space": kinds}


def _quiet_study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(level)


def _remembered(journal: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(journal.read_text())
        if not all({"parameters", "drawn", "space", "value"} <= set(record) for record in found):
            raise ValueError("a trial lacks a part")
    except FileNotFoundError:
        return []
    except (ValueError, TypeError) as error:
        raise DataError(f"the search's journal {journal} cannot be read: {error}. Remove it to search anew") from error
    return list(found)
