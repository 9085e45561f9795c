"""Certificate: how many contributors could have been poisoned, each without limit, without changing a prediction.

Deep partition aggregation (Levine and Feizi, ICLR 2021), by contributor instead of by record. Contributors are dealt to k
shards by a hash of their name; a model learns from each shard alone; a prediction is what most of them say, the first
label in order of equals. Whoever poisons r contributors (old or new, any number of records, any change of them) changes
the votes of at most r shards.

What that takes for granted: a contributor is somebody (who can make a thousand accounts is a thousand); his name is one
that somebody vouches for, not one that anybody may write; the shard depends on that name alone, never on a label; learning is
deterministic and nothing in it is chosen by looking at all shards, so parameters are the declared ones and are not
searched. It says nothing of rows that are poisoned when they are asked about, nor that the unpoisoned model is right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from headwater.core.artifact import Fact
from headwater.core.digest import json_digest, table_digest
from headwater.core.errors import DataError, UsageError
from headwater.train.classify import scores_of
from headwater.train.interactions import Frame
from headwater.train.origin import code_digest, environment
from headwater.train.scores import Scores
from headwater.train.trainer import Baseline, Classifier, Data, Draw, Fitted, Trainer, Trial, Window, Windows

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from headwater.train.examples import ExampleColumns, Feature
    from headwater.train.rowsplit import RowHoldout

__all__ = ["CERTIFIED", "Base", "Certified", "Learned", "Voting", "certified_accuracy", "forget", "radii", "shard_of", "voting"]

CERTIFIED = "certified:"
"""What the framework of a certified model begins with; then comes that of its shards."""
CURVE = (1, 2, 3, 5, 8, 13, 21, 34, 55)


class Learned(Classifier, Protocol):
    """A classifier that says what it reads. `probabilities(rows)` is `told(prepared(rows))`; any with the same features takes that."""

    @property
    def features(self) -> tuple[Feature, ...]: ...

    def prepared(self, rows: pl.DataFrame) -> Any: ...

    def told(self, prepared: Any) -> NDArray[Any]: ...


class Base(Trainer, Protocol):
    """A trainer of classifiers: what is needed of one to train it shard by shard."""

    @property
    def columns(self) -> ExampleColumns: ...

    def predictor(self, fitted: Fitted) -> Learned: ...


Make = Callable[[Mapping[str, "NDArray[Any]"], Mapping[str, Fact]], Learned]


@dataclass(frozen=True)
class Certified:
    """`trainer`, trained on `k` shards of the contributors in the column `contributor`; the models vote.

    Of each prediction it is known how many contributors could have been poisoned without changing it. `refit` trains only
    those shards again whose rows are others. Rows without a contributor are one contributor's.
    """

    trainer: Base
    contributor: str
    k: int = 20

    def __post_init__(self) -> None:
        if not 2 <= self.k <= 1_000:
            raise UsageError(f"k={self.k} shards: from 2 to 1000 expected")
        named = getattr(self.trainer, "contributor", None)
        if named not in (None, self.contributor):
            raise UsageError(f"the trainer's contributor is {named!r}, the certificate's is {self.contributor!r}: name one")
        if named is None:
            object.__setattr__(self, "trainer", replace(self.trainer, contributor=self.contributor))  # type: ignore[type-var]

    @property
    def framework(self) -> str:
        return CERTIFIED + self.trainer.framework

    @property
    def table(self) -> str:
        return self.trainer.table

    @property
    def metric(self) -> str:
        return self.trainer.metric

    @property
    def trials(self) -> int:
        return 1  # a search looks at all shards at once, and so could one contributor

    @property
    def seed(self) -> int:
        return self.trainer.seed

    @property
    def columns(self) -> ExampleColumns:
        """Which columns of which table are read."""
        return self.trainer.columns

    def declared(self) -> Mapping[str, Fact]:
        return {**self.trainer.declared(), "certified_by": self.contributor, "shards": self.k}

    def libraries(self) -> tuple[str, ...]:
        return self.trainer.libraries()

    def defaults(self) -> Mapping[str, Fact]:
        return self.trainer.defaults()

    def suggest(self, draw: Draw) -> Mapping[str, Fact]:
        return self.trainer.defaults()

    def windows(self, data: Data) -> Windows:
        return self.trainer.windows(data)

    def window(self, data: Data, after: int) -> Window:
        return self.trainer.window(data, after)

    def between(self, data: Data, after: int) -> int:
        return self.trainer.between(data, after)

    def fit(self, data: Data, trial: Trial) -> Fitted:
        """Learn from each shard alone. A shard without rows has no vote."""
        return self.refit(data, trial, None)

    def refit(self, data: Data, trial: Trial, known: Fitted | None) -> Fitted:
        """What `fit` gives, byte for byte; shards that `known` has learned from the same rows in the same way are taken from it."""
        frame = self.columns.read(data)
        if not frame.height:
            raise DataError(f"table {self.table} holds no examples: nothing to learn from")
        dealt = _dealt(frame, self.contributor, self.k)
        way = self._way(trial)
        arrays: dict[str, NDArray[Any]] = {}
        facts: dict[str, Fact] = {"rows": frame.height, "contributors": frame[self.contributor].n_unique(), "shards": self.k}
        parameters: Mapping[str, Fact] = {}
        for number in range(self.k):
            rows = frame.filter(dealt == number)
            if not rows.height:
                continue
            name = f"shard.{number:03d}"
            facts[name] = json_digest([way, number, table_digest(rows.to_arrow())])
            if known is not None and known.facts.get(name) == facts[name]:
                arrays |= {f"{name}/{array}": values for array, values in _part(known.arrays, name).items()}
                parameters = known.parameters
            else:
                shard = Frame(name=self.table, frame=rows, digest=str(facts[name]))
                learned = self.trainer.fit(shard, trial)
                arrays |= {f"{name}/{array}": values for array, values in learned.arrays.items()}
                parameters = learned.parameters
        if self.columns.time is not None:
            facts["until_us"] = int(self.columns.times(frame).max())
        return Fitted(framework=self.framework, arrays=arrays, parameters=parameters, facts=facts)

    def predictor(self, fitted: Fitted) -> Voting:
        """What was fitted, ready to be asked."""
        return voting(fitted.arrays, fitted.parameters, self._made)

    def score(self, fitted: Fitted, holdout: RowHoldout) -> Scores:
        """As of any classifier; its totals are the certified accuracy: `certified@r`, the share told right whatever r contributors do."""
        made = self.predictor(fitted)
        votes = made.votes(holdout.rows)
        plain = scores_of(made.labels, votes / votes.sum(axis=1, keepdims=True), holdout)
        curve = certified_accuracy(made.labels, votes, holdout.truth)
        return replace(plain, totals={f"certified@{r}": curve(r) for r in CURVE if r <= (self.k - 1) // 2})

    def baselines(self, windows: Windows) -> Mapping[str, Baseline]:
        """Those of the trainer; and the trainer itself on all rows at once: what the certificate costs."""
        fitted = self.trainer.fit(windows.test.train, Trial(parameters=self.defaults(), seed=self.seed))
        whole = Baseline(scores=self.trainer.score(fitted, windows.test.holdout))
        return {**self.trainer.baselines(windows), "uncertified": whole}

    def _made(self, arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, Fact]) -> Learned:
        return self.trainer.predictor(Fitted(framework=self.trainer.framework, arrays=arrays, parameters=parameters))

    def _way(self, trial: Trial) -> str:
        """Everything but its rows that a shard's model comes from."""
        parts = [self.trainer.declared(), {**trial.parameters}, trial.seed, code_digest(self), environment(self)]
        return json_digest([dict(part) if isinstance(part, Mapping) else part for part in parts])


class Voting:
    """What most shards say. Thread-safe; the order of the labels, and so what wins of equals, is that of their texts."""

    def __init__(self, shards: tuple[Learned, ...]) -> None:
        self.shards = shards
        self.labels: tuple[str, ...] = tuple(sorted({label for shard in shards for label in shard.labels}))
        self._places = [[self.labels.index(label) for label in shard.labels] for shard in shards]

    @cached_property
    def features(self) -> tuple[Feature, ...]:
        """What every shard reads."""
        return self.shards[0].features

    def votes(self, rows: pl.DataFrame) -> NDArray[np.int64]:
        """How many shards say each label of each row."""
        return self._counted(self.prepared(rows))

    def probabilities(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """The shares of the votes."""
        return self.told(self.prepared(rows))

    def prepared(self, rows: pl.DataFrame) -> Any:
        """Rows, checked, as every shard takes them."""
        return self.shards[0].prepared(rows)

    def told(self, prepared: Any) -> NDArray[np.float64]:
        """The shares of the votes on prepared rows."""
        return self._counted(prepared) / len(self.shards)

    def _counted(self, prepared: Any) -> NDArray[np.int64]:
        import numpy as np

        told = [np.array(places)[shard.told(prepared).argmax(axis=1)] for shard, places in zip(self.shards, self._places, strict=True)]
        return np.asarray((np.array(told)[:, :, None] == np.arange(len(self.labels))).sum(axis=0), np.int64)


def voting(arrays: Mapping[str, NDArray[Any]], parameters: Mapping[str, Fact], make: Make) -> Voting:
    """The vote of a fitted `Certified`; `make` makes a predictor of one shard. Raises `DataError` if there is no shard."""
    names = sorted({name.partition("/")[0] for name in arrays})
    if not names or not all(name.startswith("shard.") for name in names):
        raise DataError("no certified model: its arrays are not those of shards")
    shards = tuple(make(_part(arrays, name), parameters) for name in names)
    if any(shard.features != shards[0].features for shard in shards):
        raise DataError("no certified model: its shards read different columns")
    return Voting(shards)


def radii(votes: NDArray[Any]) -> NDArray[np.int64]:
    """For each row, how many contributors could be poisoned without changing what wins it.

    A poisoned shard takes a vote from the first and gives it to another: the first of n1 votes still wins against n2 after r
    of them while n1 − r > n2 + r, or equal if it comes first. So r = ⌊(n1 − n2 − [the other comes first]) / 2⌋, the least
    over all others, among them a label that nobody has yet said and that would come before all.
    """
    import numpy as np

    rows = np.arange(len(votes))
    first = votes.argmax(axis=1)
    most = votes[rows, first]
    gap = most[:, None] - votes - (np.arange(votes.shape[1])[None, :] < first[:, None])
    gap[rows, first] = most - 1  # the label that is not there: no votes, and it would come first
    return np.asarray(gap.min(axis=1) // 2, np.int64)


def certified_accuracy(labels: tuple[str, ...], votes: NDArray[Any], truth: tuple[str, ...]) -> Callable[[int], float]:
    """The curve: the share of rows that are told right whatever r contributors do. At 0 it is the accuracy."""
    import numpy as np

    right = np.array([labels[at] for at in votes.argmax(axis=1)], dtype=object) == np.array(truth, dtype=object)
    sure = radii(votes)
    return lambda r: float((right & (sure >= r)).mean())


def forget(trainer: Certified, known: Fitted, data: Data, contributor: str, trial: Trial) -> Fitted:
    """What training without a contributor gives, byte for byte, for the price of his shard. `data` is what `known` learned from."""
    import polars as pl

    frame = trainer.columns.read(data)
    left = frame.filter(pl.col(trainer.contributor).ne_missing(contributor))
    digest = json_digest([data.digest, "without", contributor])
    return trainer.refit(Frame(name=trainer.table, frame=left, digest=digest), trial, known)


def shard_of(contributor: str | None, k: int) -> int:
    """The shard of a contributor: the hash of his name, and of nothing else."""
    named = b"headwater shard 1\n" + (b"" if contributor is None else b"=" + contributor.encode())
    return int.from_bytes(hashlib.sha256(named).digest()[:16], "big") % k


def _dealt(frame: pl.DataFrame, contributor: str, k: int) -> pl.Series:
    import polars as pl

    shards = {name: shard_of(name, k) for name in frame[contributor].unique()}
    return pl.Series([shards[name] for name in frame[contributor]], dtype=pl.Int32)


def _part(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    return {array.removeprefix(f"{name}/"): values for array, values in arrays.items() if array.startswith(f"{name}/")}
