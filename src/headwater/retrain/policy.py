"""Policy: when to train again, when staying silent is itself an alarm, and the request that closes the loop."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from headwater.collect.request import Request
from headwater.core.errors import UsageError
from headwater.monitor.alerts import Alert
from headwater.monitor.outcomes import seconds

if TYPE_CHECKING:
    from headwater.monitor.report import Report

__all__ = ["Decision", "Policy", "State", "decide", "retrain", "staleness"]

Trigger = Literal["first", "requested", "time", "drift", "none"]
_DRIFT = ("drift", "concept")


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When to train again, and what a new model has to show.

    Trains when `every` has passed and `min_new_rows` have come; sooner when `on_drift` and a drift or concept probe is
    an alarm and `min_new_rows` have come (without new rows there is nothing new to learn). `on_request` leaves all this
    out: only a person starts it. A person may always ask. `approve` persons have to agree before a model is promoted.
    No training that came to an end for `stale_after` is an alert, whatever held it up. `margin` and `min_users` are
    for the comparison with the champion (`retrain/compare.py`).
    """

    every: str = "1d"
    min_new_rows: int = 1_000
    on_drift: bool = True
    on_request: bool = False
    approve: int = 0
    stale_after: str = "7d"
    margin: float = 0.05
    min_users: int = 30

    def __post_init__(self) -> None:
        seconds(self.every, "Policy: every")
        if seconds(self.stale_after, "Policy: stale_after") < seconds(self.every) and not self.on_request:
            raise UsageError(f"Policy: stale_after={self.stale_after!r} is shorter than every={self.every!r}: it would always be stale")
        if self.min_new_rows < 1 or self.approve < 0:
            raise UsageError(f"Policy: expected min_new_rows >= 1 and approve >= 0, got {self.min_new_rows} and {self.approve}")
        if not 0 <= self.margin < 1 or self.min_users < 2:
            raise UsageError(f"Policy: expected 0 <= margin < 1 and min_users >= 2, got {self.margin} and {self.min_users}")


@dataclass(frozen=True, kw_only=True)
class State:
    """What a decision depends on, all of it from the ledger and the lake, and the clock.

    `trained_at`: when a training last came to an end (promoted or kept), None before the first. `tried_at`: when one
    was last begun, however it ended. `new_rows`: rows that the last try did not see. `held_up`: why the last try came
    to no end, if it did not.
    """

    now: datetime
    tables: tuple[str, ...]
    new_rows: int
    trained_at: datetime | None = None
    tried_at: datetime | None = None
    requested: bool = False
    held_up: str = ""
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("now", "trained_at", "tried_at"):
            when = getattr(self, name)
            if when is not None and when.tzinfo is None:
                raise UsageError(f"State: {name}={when.isoformat()} has no time zone. Expected one, as in datetime.now(UTC)")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether to train again, the stable word for what caused it, and why, for people."""

    retrain: bool
    trigger: Trigger
    why: str


def decide(policy: Policy, state: State, report: Report | None = None) -> Decision:
    """Whether to train again. A pure function: the clock is `state.now`; a clock that went back counts as no time passed.

    A try that was refused counts as a try: it is not repeated until the time, or the rows, have come again.
    """
    if state.requested:
        return Decision(retrain=True, trigger="requested", why="a person asked for it")
    if policy.on_request:
        return _no("only a person starts a training (on_request)")
    last = max((when for when in (state.trained_at, state.tried_at) if when is not None), default=None)
    if last is None:
        if state.new_rows < 1:
            return _no("there are no rows to train on yet")
        return Decision(retrain=True, trigger="first", why=f"no model was trained yet; there are {state.new_rows} rows")
    if state.new_rows < policy.min_new_rows:
        return _no(f"{state.new_rows} new rows; {policy.min_new_rows} are needed (min_new_rows)")
    alarms = report.alarms(*_DRIFT) if report is not None and policy.on_drift else ()
    if alarms:
        first = alarms[0]
        return Decision(
            retrain=True, trigger="drift", why=f"{len(alarms)} alarms, the first: {first.probe} {first.name} of {first.subject}"
        )
    passed = _passed(last, state.now)
    if passed < seconds(policy.every):
        return _no(f"{_ago(passed)} since the last try; every {policy.every}")
    return Decision(
        retrain=True, trigger="time", why=f"{_ago(passed)} since the last try (every {policy.every}) and {state.new_rows} new rows"
    )


def staleness(policy: Policy, state: State) -> Alert | None:
    """An alert if no training came to an end for `stale_after`: refused, held, or without data. Staleness must not be an attack.

    Under `on_request` nothing is due by itself, so only a training that was asked for and held up can be stale.
    """
    since = state.trained_at or state.tried_at
    if policy.on_request and not state.held_up:
        return None
    if since is None or _passed(since, state.now) <= seconds(policy.stale_after):
        return None
    why = state.held_up or f"{state.new_rows} new rows since, {policy.min_new_rows} are needed"
    return Alert(
        event="stale",
        key="stale",
        message=f"no training came to an end for {_ago(_passed(since, state.now))} (stale_after {policy.stale_after}): {why}"[:500],
        evidence={"since": since.isoformat(), "new_rows": state.new_rows},
    )


def retrain(report: Report | None, policy: Policy, state: State) -> Request | None:
    """The request for what to collect before the next training, or None if it is not time."""
    decision = decide(policy, state, report)
    if not decision.retrain:
        return None
    parents = (report.digest,) if report is not None else ()
    return Request.of(state.tables, sources=state.sources, trigger=decision.trigger, why=decision.why, parents=parents)


def _no(why: str) -> Decision:
    return Decision(retrain=False, trigger="none", why=why)


def _passed(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())


def _ago(passed: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if passed >= length:
            return f"{passed / length:.1f}{unit}"
    return f"{passed:.0f}s"
