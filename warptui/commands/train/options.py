"""Options that several uses of `train` share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from warptui.engine.errors import TrainingError

# option, key of [training], type
SETTINGS = (
    ("--epochs", "epochs", int),
    ("--batch", "batch", int),
    ("--optimiser", "optimiser", str),
    ("--first-rate", "first_rate", float),
    ("--last-rate", "last_rate", float),
    ("--corpus-percent", "corpus_percent", float),
    ("--held-out-percent", "held_out_percent", float),
)


def settings_of(call: argparse.Namespace) -> dict[str, Any]:
    """The options that replace settings of [training]."""
    given = {key: getattr(call, key) for _, key, _ in SETTINGS}
    return {key: value for key, value in given.items() if value is not None}


def output_of(call: argparse.Namespace, option: str) -> Path:
    """The output path of an option. Raises TrainingError when it is missing."""
    if call.output is None:
        raise TrainingError(f"--{option} needs --output FILE: where the result goes")
    return call.output
