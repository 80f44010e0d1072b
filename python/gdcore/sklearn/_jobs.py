"""n_jobs of an estimator as a number of threads, also within a search that runs several at once."""

from __future__ import annotations

import multiprocessing
import threading

from joblib.parallel import get_active_backend

__all__ = ["threads_of"]


def threads_of(n_jobs: int | None) -> int | None:
    """How many threads: None are as many as gdcore may use, of this process.

    Where n_jobs is None, an estimator that joblib trains beside others has one. To its own
    processes, and Dask to its, joblib gives a share of the processors by OMP_NUM_THREADS, which
    counts; not so to threads, and processes that were forked.

    Raises:
        ValueError: n_jobs is 0, or below -1.
    """
    if n_jobs is None:
        return 1 if _beside_others() else None
    if n_jobs == -1:
        return None
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be at least 1, or -1 or None for all, got {n_jobs}")
    return n_jobs


def _beside_others() -> bool:
    nesting = getattr(get_active_backend()[0], "nesting_level", None) or 0
    is_thread = threading.current_thread() is not threading.main_thread()
    return nesting > 0 and (is_thread or multiprocessing.current_process().daemon)
