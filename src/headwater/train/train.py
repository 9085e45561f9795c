"""The stage: search on validation, look at the test once beside the baselines, learn from everything, sign, remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from headwater.core.errors import Refused, UsageError
from headwater.core.failpoint import failpoint
from headwater.core.names import check_name
from headwater.ledger.entries import Ledger
from headwater.train.model import Model, fitted_of
from headwater.train.origin import code_digest, derivation, environment
from headwater.train.registry import Registry
from headwater.train.scores import paired
from headwater.train.search import Found, search
from headwater.train.trainer import Baseline, Data, Fitted, Trainer, Trial, Windows

__all__ = ["train"]

Progress = Callable[[str], None]


def train(
    data: Data,
    trainer: Trainer,
    *,
    name: str,
    registry: Registry,
    ledger: Ledger,
    work_folder: Path,
    seed: int = 0,
    progress: Progress | None = None,
) -> Model:
    """Train `trainer` on `data` and keep the model as `name`; what was trained from the same already is returned as it is.

    Killed anywhere and called again, it gives the model with the same digest, once in the registry and once in the
    ledger. The metrics are of a model fitted before the test period; the model that is kept has learned from all of
    the data with the same parameters. Raises `DataError` if there is too little data to evaluate.
    """
    check_name(name, "model")
    seed = trainer.seed if seed is None else seed
    origin = derivation(data, trainer, name=name, seed=seed)
    journal = work_folder / f"search-{origin.removeprefix('sha256:')[:32]}.json"
    known = _trained_before(registry, ledger, name, origin)
    if known is not None:
        journal.unlink(missing_ok=True)  # a run that was killed at the very end left it
        return known
    windows = trainer.windows(data)
    best = search(trainer, windows.validation, seed=seed, journal=journal, progress=progress)
    failpoint("train.search.after")
    metrics = _evaluated(trainer, windows, best, seed)
    fitted = _learned(trainer, data, Trial(parameters=best.parameters, seed=seed), registry, name)
    about = {"declared": dict(trainer.declared()), "metrics": metrics, "environment": environment(trainer)}
    failpoint("train.save.before")
    model = registry.save(name, fitted, dataset=data.digest, derivation=origin, code=code_digest(trainer), about=about)
    failpoint("train.save.after")
    _record(ledger, model)
    failpoint("train.recorded")
    journal.unlink(missing_ok=True)
    return model


def _learned(trainer: Trainer, data: Data, trial: Trial, registry: Registry, name: str) -> Fitted:
    """What the trainer learns from everything; one that can `refit` is given the newest model, to take over what would be the same."""
    refit = getattr(trainer, "refit", None)
    versions = registry.versions(name) if refit is not None else []
    if refit is None or not versions:
        return trainer.fit(data, trial)
    try:
        known = fitted_of(*registry.load(name, versions[-1]))
    except (Refused, UsageError):  # what cannot be trusted is not built on: everything is learned anew
        known = None
    found: Fitted = refit(data, trial, known)
    return found


def _trained_before(registry: Registry, ledger: Ledger, name: str, origin: str) -> Model | None:
    """The model of this derivation that the ledger knows, verified, if it is still in the registry."""
    entry = ledger.last("model", name=name, derivation=origin)
    if entry is None or int(entry.body["version"]) not in registry.versions(name):
        return None
    return registry.load(name, int(entry.body["version"]), expect_digest=str(entry.body["model"]))[0]


def _record(ledger: Ledger, model: Model) -> None:
    ledger.append(
        "model",
        {
            "name": model.name,
            "version": model.version,
            "model": model.digest,
            "dataset": model.dataset,
            "derivation": model.derivation,
            "metrics": model.metrics,
        },
    )


def _evaluated(trainer: Trainer, windows: Windows, best: Found, seed: int) -> dict[str, Any]:
    """Everything that the manifest says about how good the model is. The test is looked at here, and only here."""
    ours = trainer.score(trainer.fit(windows.test.train, Trial(parameters=best.parameters, seed=seed)), windows.test.holdout)
    baselines = trainer.baselines(windows)
    over = {name: paired(ours, baseline.scores, trainer.metric, seed).to_json() for name, baseline in baselines.items()}
    return {
        "metric": trainer.metric,
        "test": ours.summary(seed),
        "baselines": {name: _summary(baseline, seed) for name, baseline in baselines.items()},
        "over": over,
        "search": {"trials": best.trials, "validation": round(best.value, 6), "windows": len(windows.validation)},
    }


def _summary(baseline: Baseline, seed: int) -> Mapping[str, Any]:
    return {**baseline.scores.summary(seed), **baseline.facts}
