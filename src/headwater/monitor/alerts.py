"""Alerts: tell people, by a webhook or a command, once for each condition. Failing to tell is reported, never raised."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args
from urllib.parse import urlsplit

from headwater.core.artifact import Fact
from headwater.core.errors import UsageError
from headwater.core.names import did_you_mean, printable
from headwater.core.secret import Secret
from headwater.monitor.channels import call, post

if TYPE_CHECKING:
    from headwater.monitor.report import Report

__all__ = ["EVENTS", "Alert", "Alerts", "Delivery", "alert", "drifted", "refused"]

Event = Literal["drift", "refused", "stale"]
EVENTS: tuple[Event, ...] = get_args(Event)
_KEYS = ("webhook", "command", "timeout", "attempts")


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One condition that people should know of. `key` names it and starts with its event: while it holds, it is told once."""

    event: Event
    key: str
    message: str
    evidence: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """What became of telling: over which channel, which conditions, and why not. Holds no address."""

    channel: str
    keys: tuple[str, ...]
    delivered: bool
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Alerts:
    """The `[alerts]` of a profile: `webhook` is posted to, `command` is started (no shell) with the JSON on stdin.

    The webhook's address is a secret whole: those of chat systems are passwords.
    """

    webhook: Secret | None = None
    command: tuple[str, ...] = ()
    timeout: float = 10.0
    attempts: int = 3

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Alerts:
        """Read `[alerts]`. Raises `UsageError`, without the address, for what cannot work."""
        for name in config:
            if name not in _KEYS:
                raise UsageError(f"[alerts] has no setting {printable(str(name))!r}. {did_you_mean(str(name), _KEYS)}")
        webhook, command = config.get("webhook"), config.get("command", ())
        if isinstance(command, str) or not all(isinstance(part, str) and part for part in command):
            raise UsageError('[alerts] command is started without a shell. Expected a list, as command = ["notify", "--loud"]')
        timeout, attempts = config.get("timeout", 10.0), config.get("attempts", 3)
        if not _number(timeout) or not 0 < timeout <= 120:
            raise UsageError(f"[alerts] timeout={timeout!r}. Expected seconds, above 0 and at most 120")
        if not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= 10:
            raise UsageError(f"[alerts] attempts={attempts!r}. Expected a whole number from 1 to 10")
        return cls(webhook=_address(webhook), command=tuple(command), timeout=float(timeout), attempts=attempts)


def alert(
    config: Alerts,
    alerts: Iterable[Alert],
    told: Mapping[str, str],
    *,
    at: str,
    about: Collection[Event] = EVENTS,
    report: Report | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> tuple[tuple[Delivery, ...], dict[str, str]]:
    """Tell what was not told yet, and return what became of it and the new state.

    `told` maps `channel key` to when it was told: plain JSON, kept by the caller. `alerts` are **all** conditions of the
    events in `about` that hold now; one of these that ended leaves the state, so that it is told again when it returns;
    other events are left as they are. One that could not be delivered is tried again the next time. One message holds
    all that is new. Never raises for a channel that does not work.
    """
    holding = {one.key: one for one in alerts}
    channels: dict[str, Callable[[bytes], str]] = {}
    if config.webhook is not None:
        address = config.webhook
        channels["webhook"] = lambda body: post(address, body, timeout=config.timeout, attempts=config.attempts, wait=wait)
    if config.command:
        channels["command"] = lambda body: call(config.command, body, timeout=config.timeout)
    deliveries: list[Delivery] = []
    state: dict[str, str] = {}
    for channel, send in channels.items():
        state |= {name: when for name, when in told.items() if name.startswith(f"{channel} ") and _holds(name, holding, about)}
        new = [one for key, one in holding.items() if f"{channel} {key}" not in state]
        if not new:
            continue
        why = send(_message(new, at, report))
        deliveries.append(Delivery(channel=channel, keys=tuple(one.key for one in new), delivered=not why, why=why))
        if not why:
            state |= {f"{channel} {one.key}": at for one in new}
    return tuple(deliveries), state


def _holds(name: str, holding: Collection[str], about: Collection[Event]) -> bool:
    key = name.partition(" ")[2]
    return key in holding or key.partition(" ")[0] not in about


def drifted(report: Report) -> list[Alert]:
    """One alert for each alarm of a report, whichever probe raised it."""
    return [
        Alert(
            event="drift",
            key=f"drift {m.probe}/{m.name}/{m.subject}",
            message=printable(
                f"{m.probe} {m.name} of {m.subject} is {'not known' if m.value is None else f'{m.value:.4g}'}. {m.detail}".strip(), 500
            ),
            evidence={"value": m.value, "threshold": m.threshold},
        )
        for m in report.alarms()
    ]


def refused(subject: str, why: str) -> Alert:
    """A gate or a comparison said no to `subject` (a retraining, a model)."""
    return Alert(event="refused", key=f"refused {subject}", message=printable(f"{subject} was refused: {why}", 500))


def _message(new: list[Alert], at: str, report: Report | None) -> bytes:
    text = "Headwater: " + "; ".join(one.message for one in new)
    body: dict[str, Any] = {"text": text[:2000], "at": at, "alerts": [asdict(one) for one in new]}
    if report is not None:
        body["report"] = {"uri": report.uri, "digest": report.digest, "worst": report.worst, "facts": dict(report.facts)}
    return json.dumps(body, ensure_ascii=True).encode()


def _address(webhook: object) -> Secret | None:
    if webhook is None:
        return None
    secret = webhook if isinstance(webhook, Secret) else Secret(str(webhook))
    try:
        parts = urlsplit(secret.reveal())
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and not any(c.isspace() for c in secret.reveal())
    except ValueError:
        good = False
    if not good:
        raise UsageError('[alerts] webhook is no web address. Expected webhook = "https://…" (its value is not shown: it may be a secret)')
    return secret


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
