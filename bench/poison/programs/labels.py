"""cleanlab finds label issues: out-of-sample probabilities by five folds of a forest, as its documentation teaches.

Arguments: a folder and job numbers. In: `x`, `y`, `seed`. Out: `issues`, a mask.
"""

import sys
from pathlib import Path

import numpy as np
from cleanlab.filter import find_label_issues
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_predict

folder, *numbers = sys.argv[1:]
for number in numbers:
    job = np.load(Path(folder, f"{number}.in.npz"))
    x, y, seed = job["x"], job["y"], int(job["seed"])
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    likely = cross_val_predict(RandomForestClassifier(60, random_state=seed), x, y, cv=folds, method="predict_proba")
    np.savez(Path(folder, f"{number}.out.npz"), issues=find_label_issues(y, likely, n_jobs=1))
