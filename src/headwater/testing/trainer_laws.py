"""The law of trainers as tests: the same data, trial and seed give the same bytes, in whatever order the rows came."""

from __future__ import annotations

import json
from typing import Any

from headwater.formats import safetensors
from headwater.train.interactions import Frame
from headwater.train.trainer import Fitted, Trainer, Trial

__all__ = ["TrainerLaws"]


class TrainerLaws:
    """Inherit it, and give the fixtures `trainer` and `data` (a `Frame`)."""

    def test_fitting_the_same_again_gives_the_same_bytes(self, trainer: Trainer, data: Frame) -> None:
        first, *others = (_bytes(_fit(trainer, data)) for _ in range(3))
        assert others == [first, first]

    def test_the_order_of_the_rows_makes_no_difference(self, trainer: Trainer, data: Frame) -> None:
        shuffled = Frame(name=data.name, frame=data.frame.sample(fraction=1.0, shuffle=True, seed=7), digest=data.digest)
        assert _bytes(_fit(trainer, shuffled)) == _bytes(_fit(trainer, data))

    def test_the_same_trial_gives_the_same_scores(self, trainer: Trainer, data: Frame) -> None:
        def scores() -> dict[str, Any]:
            window = trainer.windows(data).test
            return trainer.score(_fit(trainer, window.train), window.holdout).summary()

        assert scores() == scores()

    def test_fitting_changes_nothing_that_it_was_given(self, trainer: Trainer, data: Frame) -> None:
        before = data.frame.clone()
        _fit(trainer, data)
        assert data.frame.equals(before)

    def test_what_was_fitted_is_finite_arrays_and_plain_values(self, trainer: Trainer, data: Frame) -> None:
        fitted = _fit(trainer, data)
        assert safetensors.read(safetensors.write(fitted.arrays)).keys() == fitted.arrays.keys()
        for plain in (fitted.parameters, fitted.facts, trainer.declared()):
            assert json.loads(json.dumps(dict(plain), allow_nan=False)) == dict(plain)

    def test_what_comes_back_from_a_file_scores_the_same(self, trainer: Trainer, data: Frame) -> None:
        window = trainer.windows(data).test
        fitted = _fit(trainer, window.train)
        read = Fitted(
            framework=fitted.framework,
            arrays=safetensors.read(safetensors.write(fitted.arrays)),
            parameters=fitted.parameters,
            facts=fitted.facts,
        )
        assert trainer.score(read, window.holdout).summary() == trainer.score(fitted, window.holdout).summary()


def _fit(trainer: Trainer, data: Any) -> Fitted:
    return trainer.fit(data, Trial(parameters=trainer.defaults(), seed=3))


def _bytes(fitted: Fitted) -> bytes:
    return safetensors.write(fitted.arrays)
