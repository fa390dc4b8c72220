"""Work on several cores, or on a cluster, by joblib: one setting, the same results.

Processes, not threads: gmpy2 holds the interpreter lock during its products. `loky` starts processes on this
machine; a cluster takes over under the name its library registers with joblib ("dask", "ray"), without a
change of code, once this process is connected to it. What is sent to another machine leaves this one's memory:
name a cluster of the party's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from privacy.errors import ConfigInvalid

Result = TypeVar("Result")

DEFAULT_BACKEND: Final = "loky"


@dataclass(frozen=True, slots=True)
class Workers:
    """n_jobs: processes that may work at once; 0 stands for all cores. backend: joblib's name for where.

    Raises `ConfigInvalid` when n_jobs is negative; `available` and `map` do when joblib does not know the backend
    or is not connected to its cluster.
    """

    n_jobs: int = 1
    backend: str = DEFAULT_BACKEND

    def __post_init__(self) -> None:
        if self.n_jobs < 0:
            raise self._unusable()

    @property
    def available(self) -> int:
        """Processes that may work at once: `n_jobs`, or as many as this machine or the cluster has cores."""
        if self.n_jobs:
            return self.n_jobs
        from joblib import effective_n_jobs

        with self._chosen():
            return int(effective_n_jobs(-1))

    def worth(self, items: int, items_per_process: int, once_started: int | None = None) -> int:
        """Processes for which `items` give each at least `items_per_process`; 1 where starting some would not pay.

        once_started: the least per process that pays when they need not be started any more (default: the same).
        """
        wanted = items // (once_started if once_started and self.started else items_per_process)
        return min(self.available, wanted) if wanted > 1 else 1

    @property
    def started(self) -> bool:
        """Whether there are processes that have worked before, so that work for them need not wait."""
        return self.backend != DEFAULT_BACKEND or _READY.is_set()

    def map(self, work: Callable[..., Result], calls: Iterable[tuple[Any, ...]]) -> list[Result]:
        """`work(*arguments)` for every tuple of arguments, in order."""
        from joblib import Parallel, delayed

        n_jobs = self.available
        with self._chosen():
            if self.backend == DEFAULT_BACKEND and n_jobs > 1:
                _STARTED.set()
            # Arguments may be row values: joblib's memory maps would leave them in temporary files.
            parallel = Parallel(n_jobs, max_nbytes=None)
            results: list[Result] = parallel(delayed(work)(*arguments) for arguments in calls)
        if _STARTED.is_set():
            _READY.set()
        return results

    def spread(
        self, work: Callable[..., list[Result]], fixed: tuple[Any, ...], items: Sequence[Any], jobs: int
    ) -> list[Result]:
        """`work(*fixed, part)` for `jobs` parts of `items` of about one length; the results, joined in order."""
        size = -(-len(items) // jobs)
        parts = [(*fixed, items[at : at + size]) for at in range(0, len(items), size)]
        return [result for part in self.map(work, parts) for result in part]

    def release(self) -> None:
        """End the processes on this machine that wait for more work, and what they remember (keys, tables).

        Not while another thread of this process has work under way. Later work starts processes again; a cluster's
        are left alone.
        """
        if self.backend == DEFAULT_BACKEND and _STARTED.is_set():
            from joblib.externals.loky import get_reusable_executor

            _STARTED.clear()
            _READY.clear()
            get_reusable_executor().shutdown(wait=True)

    def _chosen(self) -> AbstractContextManager[Any]:
        """joblib's context in which the backend is the one named here."""
        from joblib import parallel_config

        try:
            # Not `Parallel(backend=...)`: that hands "dask" an argument of joblib's own, and every call fails.
            return cast("AbstractContextManager[Any]", parallel_config(self.backend))
        except ValueError:
            raise self._unusable() from None

    def _unusable(self) -> ConfigInvalid:
        return ConfigInvalid("parallel_backend_unusable", name=self.backend, count=self.n_jobs)


_STARTED: Final = threading.Event()
"""Set while this process may have joblib's worker processes; there is one set of them."""

_READY: Final = threading.Event()
"""Set while they have done some work: they have been started and have imported what they need."""

ALONE: Final = Workers()
"""In this process."""
