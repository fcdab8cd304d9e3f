"""Which stages and benches a worker uses: the real ones, or those of a module that tests name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

from warptui.engine.stages.base import Stage
from warptui.engine.stages.registry import STAGES

STAGES_VARIABLE = "WARPTUI_STAGES"  # names a module with STAGES, open_bench and open_trial_bench


def load_stages() -> tuple[Stage, ...]:
    """The stages."""
    name = os.environ.get(STAGES_VARIABLE)
    return importlib.import_module(name).STAGES if name else STAGES


def load_bench() -> Callable[..., Any]:
    """Makes a bench, a context manager, from item, project, config and device; imports torch."""
    name = os.environ.get(STAGES_VARIABLE) or "warptui.engine.worker.bench.movie"
    return importlib.import_module(name).open_bench


def load_trial_bench() -> Callable[..., Any]:
    """As `load_bench` for trials, which need also the folder of the trial's pictures."""
    name = os.environ.get(STAGES_VARIABLE) or "warptui.engine.worker.bench.trial"
    return importlib.import_module(name).open_trial_bench
