"""Events of a simulated shop as JSON lines: `first/` with COUNT lines and `more/` with the MORE that came after them."""

import sys
from itertools import islice
from pathlib import Path


def main(shop: str, folder: str, count: str, more: str, *zipf: str) -> None:
    sys.path.insert(0, shop)
    from simulate import simulate

    root = Path(folder)
    simulate(root, events=int(count) + int(more), **({"zipf": float(zipf[0])} if zipf else {}))
    (root / "data" / "events").rename(root / "first")
    if int(more):
        (root / "more").mkdir()
        last = max((root / "first").iterdir())
        with last.open("rb") as file:
            lines = sum(1 for _ in file)
            assert lines >= int(more), f"the last file has {lines} lines only"
            file.seek(0)
            kept = root / "kept"
            with kept.open("wb") as head:
                head.writelines(islice(file, lines - int(more)))
            (root / "more" / last.name.replace(".jsonl", "-more.jsonl")).write_bytes(file.read())
        kept.replace(last)


main(*sys.argv[1:])
