"""A dozen broken records for the shop, one of each kind, so that it is seen what happens to them."""

from __future__ import annotations

from pathlib import Path

__all__ = ["EVENTS", "REVIEWS", "plant"]

EVENTS = (
    b'{"event_id":"x1","user_id":"u1","item_id":"i1","ts":"1998-0',  # the writer died
    b"<html><title>502 Bad Gateway</title></html>",  # an error page where data should be
    b'["x3","u1","i1","1998-01-01T00:00:00.000Z","view"]',  # JSON, but no record
    b'{"event_id":"x4","user_id":"u1","item_id":"i1","ts":"yesterday","kind":"view"}',  # no time
    b'{"event_id":"x5","user_id":"u1","item_id":"i1","ts":"1998-01-01T00:00:00.000Z","kind":"hover"}',  # a kind nobody knows
    b'{"event_id":"x6","item_id":"i1","ts":"1998-01-01T00:00:00.000Z","kind":"view"}',  # nobody did it
    b'{"event_id":"x7","user_id":"","item_id":"i1","ts":"1998-01-01T00:00:00.000Z","kind":"view"}',  # an empty name
    b'{"event_id":"x8","user_id":"u1","item_id":"i\xff\xfe","ts":"1998-01-01T00:00:00.000Z","kind":"view"}',  # not UTF-8
)
REVIEWS = (
    b"x9,u1,i1,1998-01-01T00:00:00.000Z,Too many fields,5,and,more",
    b"x10,u1,i1,1998-01-01T00:00:00.000Z,This goes to eleven,11",
    b"x11,u1,i1,1998-01-01T00:00:00.000Z,Stars in words,five",
    b"x12,,i1,1998-01-01T00:00:00.000Z,Nobody wrote this,1",
)


def plant(data: Path) -> dict[str, int]:
    """Append the broken records to the first file of events and to the reviews; return how many of each."""
    first = min((data / "events").glob("*.jsonl"))
    for path, records in ((first, EVENTS), (data / "reviews.csv", REVIEWS)):
        with open(path, "ab") as file:
            file.writelines(record + b"\n" for record in records)
    return {"events": len(EVENTS), "reviews": len(REVIEWS)}
