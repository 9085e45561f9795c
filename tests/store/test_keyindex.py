"""The index of keys is exact: it says repeated for what the lake or an earlier chunk has, and for nothing else."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.store import keyindex
from headwater.store.keyindex import KeyIndex
from headwater.store.lake import Lake

keys = st.lists(st.text("abc", max_size=2), max_size=12)


@given(stored=st.sets(st.text("abc", max_size=2)), chunks=st.lists(keys, max_size=6), collide=st.booleans())
@settings(max_examples=50)
def test_a_key_is_repeated_exactly_if_it_came_before(
    tmp_path_factory: pytest.TempPathFactory, stored: set[str], chunks: list[list[str]], collide: bool
) -> None:
    table = Lake(tmp_path_factory.mktemp("lake")).table("tables/t")
    if stored:
        table.append(pa.table({"k": sorted(stored)}), app="a", number=1)
    with pytest.MonkeyPatch.context() as patch:
        if collide:  # every hash a suspicion: only the keys themselves can tell
            real = keyindex._hashes
            patch.setattr(keyindex, "_hashes", lambda series: real(series) % 3)
        index = KeyIndex(table, "k")
        seen = set(stored)
        for chunk in chunks:
            mask = index.repeated(pl.Series("k", chunk, dtype=pl.String)).to_list()
            for key, repeated in zip(chunk, mask, strict=True):
                assert repeated == (key in seen), (chunk, mask)
                seen.add(key)
