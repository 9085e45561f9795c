"""A small torch net on digits: trained with and without what a defence takes out; asked about a test with and without the trigger.

Arguments: a folder and job numbers. In: `x`, `y`, `seed`, `test_x`, `test_y`, `triggered` (of other classes than `target`),
`target`, `bad` (for scoring only), `keep.NAME` (masks), `defences` (whether ART and cleanlab are tried), `weights` (whether
these are wanted), `shards` (of each row, if it is also to be trained by shards). Out: for `none`, each NAME and each
defence `asr.…` and `accuracy.…`; for defences `recall.…`, `removed.…`.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

warnings.simplefilter("ignore")
torch.set_num_threads(1)
EPOCHS, BATCH, CLASSES, FOLDS = 15, 64, 10, 5


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, CLASSES),
    )  # fmt: skip


def pictures(x):
    return torch.tensor(np.asarray(x, np.float32) / 16.0).reshape(-1, 1, 8, 8)


def trained(x, y, seed, epochs=EPOCHS):
    torch.manual_seed(seed)
    model, xs, ys = net(), pictures(x), torch.tensor(np.asarray(y, np.int64))
    steps = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(epochs):
        order = torch.randperm(len(ys))
        for part in order.split(BATCH):
            steps.zero_grad()
            nn.functional.cross_entropy(model(xs[part]), ys[part]).backward()
            steps.step()
    return model.eval()


def likely(model, x):
    with torch.no_grad():
        return model(pictures(x)).softmax(1).numpy()


def issues(x, y, seed):
    from cleanlab.filter import find_label_issues

    fold = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    found = np.zeros((len(y), CLASSES))
    for one in range(FOLDS):
        found[fold == one] = likely(trained(x[fold != one], y[fold != one], seed, EPOCHS // 2), x[fold == one])
    return find_label_issues(y, found, n_jobs=1)


def art(model, x, y):
    from art.defences.detector.poison import ActivationDefence, SpectralSignatureDefense
    from art.estimators.classification import PyTorchClassifier

    inside = nn.Sequential(*model)
    wrapped = PyTorchClassifier(inside, nn.CrossEntropyLoss(), (1, 8, 8), CLASSES, clip_values=(0, 1))
    xs, ys = pictures(x).numpy(), np.eye(CLASSES)[y]
    activation = ActivationDefence(wrapped, xs, ys)
    _, clean = activation.detect_poison(nb_clusters=2, nb_dims=10, reduce="PCA", cluster_analysis="smaller")
    yield "activation clustering", np.asarray(clean) == 0
    spectral = SpectralSignatureDefense(wrapped, xs, ys, expected_pp_poison=0.33, batch_size=128, eps_multiplier=1.5)
    _, clean = spectral.detect_poison()
    yield "spectral signatures", np.asarray(clean) == 0


def answered(job):
    x, y, seed, bad = job["x"], job["y"], int(job["seed"]), job["bad"]
    answer = {}

    def scored(name, model):
        answer[f"accuracy.{name}"] = (likely(model, job["test_x"]).argmax(1) == job["test_y"]).mean()
        answer[f"asr.{name}"] = (likely(model, job["triggered"]).argmax(1) == int(job["target"])).mean()

    first = trained(x, y, seed)
    scored("none", first)
    if job["weights"]:
        answer |= {f"weights.{name}": one.numpy() for name, one in first.state_dict().items()}
    for key in job.files:
        if key.startswith("keep."):
            scored(key.removeprefix("keep."), trained(x[job[key]], y[job[key]], seed))
    if "shards" in job.files:  # a net for each shard, the most votes; a shard has few rows, so it sees them more often
        parts = [trained(x[job["shards"] == one], y[job["shards"] == one], seed, 4 * EPOCHS) for one in np.unique(job["shards"])]
        for name, asked, truth in (("accuracy", job["test_x"], job["test_y"]), ("asr", job["triggered"], int(job["target"]))):
            votes = sum(np.eye(CLASSES)[likely(part, asked).argmax(1)] for part in parts)
            answer[f"{name}.shards"] = (votes.argmax(1) == truth).mean()
    if job["defences"]:
        for name, removed in [*art(first, x, y), ("cleanlab", issues(x, y, seed))]:
            answer[f"removed.{name}"] = removed.mean()
            answer[f"recall.{name}"] = removed[bad].mean() if bad.any() else np.nan
            scored(name, trained(x[~removed], y[~removed], seed))
    return answer


folder, *numbers = sys.argv[1:]
for number in numbers:
    np.savez(Path(folder, f"{number}.out.npz"), **answered(np.load(Path(folder, f"{number}.in.npz"))))
