"""The settings of one training as fields of a form, and the request made from them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from warptui.engine.model.training import ModelInfo, TrainingRequest
from warptui.screens.settings.form import Draft, Field, Kind, Values, all_fields
from warptui.screens.training.words import READY

START = "start_from"
_FIRST = ("new_model", "epochs", "corpus_percent", "train_masks", "held_out_percent")


def start_field(models: Sequence[ModelInfo]) -> Field:
    """The network that training starts from: a finished one, else the used one."""
    ready = tuple(model.name for model in models if model.state == READY)
    used = next((model.name for model in models if model.used and model.state == READY), "")
    return Field(
        section="",
        key=START,
        kind=Kind.CHOICE,
        unit="",
        help="the network that learns on; the one in use is the usual choice",
        allowed=f"one of {', '.join(ready)}" if ready else "no model is known yet",
        default=used,
        choices=ready,
    )


def training_fields(models: Sequence[ModelInfo]) -> tuple[Field, ...]:
    """The fields of the form; those decided for each training come first."""
    own = [entry for entry in all_fields() if entry.section == "training"]
    first = [entry for key in _FIRST for entry in own if entry.key == key]
    return (start_field(models), *first, *(entry for entry in own if entry not in first))


def training_draft(
    models: Sequence[ModelInfo], changes: Values, config: Mapping[str, Any], project: Path
) -> Draft:
    """The form; its changes apply to this training alone."""
    draft = Draft(training_fields(models), changes, project)
    draft.rebase(config)
    return draft


def make_request(draft: Draft, *, resume: str = "") -> TrainingRequest:
    """The request from the form; ``resume`` names a training to continue with its own settings."""
    if resume:
        return TrainingRequest(model=resume, resume=True)
    changes = dict(draft.changes.get("training", {}))
    model = str(changes.pop("new_model", "") or "")
    return TrainingRequest(
        model=model,
        start_from=str(draft.changes.get("", {}).get(START, "")),
        settings=changes,
    )
