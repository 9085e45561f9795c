"""Champion and challenger on the same later data: a paired bootstrap over users, and what it decides."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from headwater.core.errors import DataError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

__all__ = ["TEST", "Comparison", "Outcome", "Scores", "compare", "settle"]

Outcome = Literal["promote", "keep", "hold"]
TEST = "paired-bootstrap-over-users-noninferiority"
_AT_ONCE = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What one model scored with each user on some data that neither model was fitted or tuned on. Higher is better.

    `model` and `data` are digests: of the model, and of the data it was asked about.
    """

    model: str
    data: str
    by_user: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The whole comparison, as the ledger keeps it. `difference` is challenger minus champion, with its interval."""

    champion: str
    challenger: str
    data: str
    metric: str
    users: int
    champion_mean: float
    challenger_mean: float
    difference: float
    low: float
    high: float
    margin: float
    level: float
    draws: int
    seed: int
    decision: Outcome
    why: str
    test: str = TEST

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def compare(
    champion: Scores,
    challenger: Scores,
    *,
    metric: str = "ndcg@10",
    margin: float = 0.05,
    min_users: int = 30,
    draws: int = 4_000,
    level: float = 0.9,
    seed: int = 0,
) -> Comparison:
    """Compare two models by the mean over users of the difference of their scores.

    **The test.** Users are drawn with replacement `draws` times, each with both his scores (Efron 1979; paired as in
    Koehn 2004); the interval of the mean difference is the middle `level` of the draws (percentiles). With `level` 0.9
    the lower end is a one-sided test at 5 %. The question is non-inferiority, because a retraining on newer data mainly
    must not be worse: `margin` is the share of the champion's mean that may be lost without anybody minding.

    - too few users (`min_users`): **hold** for a person
    - the whole interval is below 0: **keep** the champion; worse by little is still worse, so losses within the margin do
      not add up over many retrainings as long as they can be seen
    - the interval's lower end is at or above −margin: **promote**
    - else the data do not decide: **hold**

    **What it assumes.** Users are independent of each other and alike to those to come; neither model has seen the data;
    one look each (an interval is not corrected for many challengers on the same data: use later data each time).

    Deterministic for a seed; the order of users does not matter; swapped models give the mirrored interval. Raises
    `DataError` if the models were asked about different data or users, or a score is no finite number.
    """
    _checked(margin=margin, level=level, draws=draws, min_users=min_users)
    first, second = _paired(champion, challenger)
    differences = second - first
    users = len(differences)
    mean, base = (float(values.mean()) if users else 0.0 for values in (differences, first))
    low, high = _interval(differences, draws=draws, level=level, seed=seed) if users else (0.0, 0.0)
    allowed = margin * abs(base)
    decision, why = _decided(users, min_users, low, high, allowed)
    return Comparison(
        champion=champion.model,
        challenger=challenger.model,
        data=champion.data,
        metric=metric,
        users=users,
        champion_mean=base,
        challenger_mean=float(second.mean()) if users else 0.0,
        difference=mean,
        low=low,
        high=high,
        margin=allowed,
        level=level,
        draws=draws,
        seed=seed,
        decision=decision,
        why=why,
    )


def settle(comparison: Comparison, *, approve: int = 0, approvals: Collection[str] = ()) -> tuple[Outcome, str]:
    """What becomes of a challenger, once persons had their say: (outcome, why).

    A promotion waits for `approve` different persons. One that the data hold is promoted by that many persons, at least
    one. Nobody's approval promotes what is credibly worse.
    """
    agreed = len(set(approvals))
    if comparison.decision == "keep":
        return "keep", comparison.why
    needed = max(approve, 1) if comparison.decision == "hold" else approve
    if agreed >= needed:
        return "promote", comparison.why if not needed else f"{comparison.why}; approved by {agreed}"
    return "hold", f"{comparison.why}; {agreed} of {needed} approvals"


def _decided(users: int, min_users: int, low: float, high: float, allowed: float) -> tuple[Outcome, str]:
    interval = f"[{low:+.4f}, {high:+.4f}]"
    if users < min_users:
        return "hold", f"{users} users are too few to tell ({min_users} are needed)"
    if high < 0:
        return "keep", f"the challenger is worse: the difference is in {interval}"
    if low >= -allowed:
        return "promote", f"the challenger is not worse by more than {allowed:.4f}: the difference is in {interval}"
    return "hold", f"the data do not decide: the difference is in {interval}, {allowed:.4f} may be lost"


def _paired(champion: Scores, challenger: Scores) -> tuple[Numbers, Numbers]:
    import numpy as np

    if champion.data != challenger.data:
        raise DataError(
            f"the models were asked about different data: {champion.data[:19]} and {challenger.data[:19]}. Ask both about the same"
        )
    if champion.by_user.keys() != challenger.by_user.keys():
        apart = len(champion.by_user.keys() ^ challenger.by_user.keys())
        raise DataError(f"{apart} users were scored with one model only. Expected the same users for both")
    users = sorted(champion.by_user)
    first, second = (np.array([scores.by_user[user] for user in users], dtype=np.float64) for scores in (champion, challenger))
    for name, values in (("champion", first), ("challenger", second)):
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise DataError(f"{bad} of the {name}'s {len(values)} scores are no finite number. No comparison is made from them")
    return first, second


def _interval(differences: Numbers, *, draws: int, level: float, seed: int) -> tuple[float, float]:
    """The middle `level` of `draws` means of resampled users; in blocks, so that memory is bounded."""
    import numpy as np

    rng, n = np.random.default_rng(seed), len(differences)
    means, block = np.empty(draws), max(1, _AT_ONCE // n)
    for start in range(0, draws, block):
        size = min(block, draws - start)
        means[start : start + size] = differences[rng.integers(0, n, size=(size, n))].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _checked(*, margin: float, level: float, draws: int, min_users: int) -> None:
    if not (math.isfinite(margin) and 0 <= margin < 1):
        raise UsageError(f"margin={margin} is no share of the champion's mean. Expected at least 0 and less than 1")
    if not 0.5 < level < 1:
        raise UsageError(f"level={level} is no level of confidence. Expected more than 0.5 and less than 1, as 0.9")
    if draws < 2_000 or min_users < 2:
        raise UsageError(f"expected draws >= 2000 and min_users >= 2, got {draws} and {min_users}")
