"""Drip: an alarm for poison that comes slowly, from a memory that is kept between retrainings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headwater.gates.betabinomial import log_likelihood

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["e_values", "remember", "slow_p"]

_HARM = (0.08, 0.15, 0.3, 0.5)
"""Shares of wrong labels that are betted on alike; bets, not constants of an attack: any set gives valid e-values."""
_MOST = 1e12


def e_values(count: NDArray[Any], records: NDArray[Any], rate: NDArray[Any], rho: float) -> NDArray[Any]:
    """The likelihood of each group's disagreements if it gives wrong labels, over that if it is honest.

    A mixture over several shares; its mean is 1 for honest groups (an e-value: Vovk & Wang, Annals of Statistics 2021).
    """
    import numpy as np

    honest = log_likelihood(count, records, rate, rho)
    bets = [np.exp(np.minimum(log_likelihood(count, records, rate + (1 - rate) * harm, rho) - honest, 50.0)) for harm in _HARM]
    return np.where(records > 0, np.mean(bets, axis=0), 1.0)


def remember(memory: Mapping[str, float], news: Mapping[str, float]) -> dict[str, float]:
    """Shiryaev–Roberts: R ← (1 + R) · e for who wrote something; the others' R stays.

    Shiryaev 1963, Roberts 1966; as an e-detector: Shin, Ramdas & Rinaldo, New England Journal of Statistics in Data Science 2023.
    """
    return {**memory, **{group: min((1.0 + memory.get(group, 0.0)) * e, _MOST) for group, e in news.items()}}


def slow_p(statistic: float, rounds: int) -> float:
    """P(R ≥ `statistic`) ≤ rounds ÷ `statistic`: Markov, as the mean of R after t rounds is t for the honest."""
    return min(1.0, rounds / statistic) if statistic > 0 else 1.0
