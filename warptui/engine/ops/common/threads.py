"""Threads that share out the work of the CPU kernels, which release the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

Task = TypeVar("Task")
Done = TypeVar("Done")


def share_out(work: Callable[[Task], Done], tasks: Sequence[Task]) -> Iterable[Done]:
    """Call ``work`` on every task, on as many threads as torch uses; results in order."""
    n_threads = torch.get_num_threads()
    if n_threads == 1 or len(tasks) < 2:
        return [work(task) for task in tasks]
    return _threads(n_threads).map(work, tasks)


@lru_cache(maxsize=1)  # starting threads costs more than the work of a small movie
def _threads(n_threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(n_threads, "kernel")
