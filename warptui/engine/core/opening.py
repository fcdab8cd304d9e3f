"""What happens when a project is opened: leftovers are removed, stored items are loaded."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from warptui.engine.execution.dispatcher import Dispatcher
from warptui.engine.items.picks import read_edit_states
from warptui.engine.items.table import ItemTable
from warptui.engine.planning.target import Target
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.store import Store
from warptui.engine.project.temporary_files import find_leftovers

log = logging.getLogger(__name__)

MANY = 1000  # items; what is remembered of 20,000 takes 0.2 s to look through for garbage


def remove_leftovers(project: Path) -> None:
    """Remove the temporary files of processes that died."""
    for leftover in find_leftovers(project):
        log.info("removing %s, left behind by a crash", leftover)
        with suppress(OSError):
            leftover.unlink()


def load_table(paths: ProjectPaths, store: Store, target: Target) -> ItemTable:
    """The table of all stored items, with the marks for training."""
    table = ItemTable(paths, target)
    table.adopt(store.load_all().values())
    table.edit_states = read_edit_states(paths)
    for problem in (state.problem for state in table.edit_states.values() if state.problem):
        log.warning("%s", problem)
    return table


def judge_loaded(dispatcher: Dispatcher) -> None:
    """Find out which loaded items need work; rates go on from when items were finished."""
    items, now = dispatcher.items, time.time()
    ages = (now - finished for finished in items.table.finished_at())
    dispatcher.rates.restore(time.monotonic(), ages)
    items.judge_all()
    items.catch_up_all()
    if len(items.table.entries) >= MANY:
        gc.freeze()  # else each collection would hold the engine up to look at them all


@contextmanager
def without_collections() -> Iterator[None]:
    """Load without garbage collections: each goes through all that is loaded, half the time."""
    gc.collect()  # what is garbage now would be kept by `gc.freeze`
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
