"""Work on several cores, or on a cluster, by joblib: one setting, the same results.

Processes, not threads: gmpy2 holds the interpreter lock during its products. `loky` starts processes on this
machine; a cluster takes over under the name its library registers with joblib ("dask", "ray"), without a
change of code. What is sent to another machine leaves this one's memory: name a cluster of the party's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

DEFAULT_BACKEND: Final = "loky"


@dataclass(frozen=True, slots=True)
class Workers:
    """n_jobs: processes that may work at once; 0 stands for all cores. backend: joblib's name for where."""

    n_jobs: int = 1
    backend: str = DEFAULT_BACKEND

    @property
    def available(self) -> int:
        return self.n_jobs or os.cpu_count() or 1

    def worth(self, items: int, items_per_process: int) -> int:
        """Processes for which `items` give each at least `items_per_process`; 1 where starting some would not pay."""
        return max(1, min(self.available, items // items_per_process))

    def map(self, work: Callable[..., Result], calls: Iterable[tuple[Any, ...]]) -> list[Result]:
        """`work(*arguments)` for every tuple of arguments, in order."""
        from joblib import Parallel, delayed

        results: list[Result] = Parallel(n_jobs=self.available, backend=self.backend)(
            delayed(work)(*arguments) for arguments in calls
        )
        return results


ALONE: Final = Workers()
"""In this process."""
