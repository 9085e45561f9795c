"""Side by side: the same job for many seeds, over as many processes as there are cores, one thread each."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

__all__ = ["ONE_THREAD", "each"]

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")


def each(job: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], *, processes: int = 2) -> list[Any]:
    """`job(*one)` for each of `arguments`, answers in their order. The first error ends it. `processes=0`: here, in turn."""
    every = list(arguments)
    if processes < 1 or len(every) < 2:
        return [job(*one) for one in every]
    os.environ.update(ONE_THREAD)  # read when the children import what counts threads
    found: list[Any] = [None] * len(every)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(job, *one): place for place, one in enumerate(every)}
        try:
            for done in as_completed(waiting):
                found[waiting[done]] = done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found
