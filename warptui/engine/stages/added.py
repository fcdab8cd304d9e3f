"""Stages from outside of this package: modules that an environment variable names.

Everything derives from the registry, so that such a stage has its section in config.toml, its
columns, limits and products in every process that has the variable: engine, workers and app.
"""

from __future__ import annotations

import importlib
import os
from types import ModuleType

VARIABLE = "WARPTUI_ADDED_STAGES"  # names of modules on the import path, with blanks between


def added_modules() -> tuple[ModuleType, ...]:
    """Modules with a ``STAGE`` and perhaps a function ``view`` (see `screens.stages`)."""
    return tuple(importlib.import_module(name) for name in os.environ.get(VARIABLE, "").split())
