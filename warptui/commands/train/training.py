"""Train BoxNet on marked micrographs, through the running engine or without one."""

from __future__ import annotations

import queue
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from warptui.client import Client, running
from warptui.commands.items.select import expand
from warptui.commands.output import DONE, SOME_FAILED, one_line, print_json, say
from warptui.commands.train.project import Locked, root_names
from warptui.engine.config import file
from warptui.engine.errors import EngineError, TrainingError
from warptui.engine.model import codec
from warptui.engine.model.status import EngineStatus
from warptui.engine.model.training import TrainingRequest, TrainingStatus
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.stages.movie.picking import use_model
from warptui.engine.training.folder import read_metrics, read_report

LOOK_S = 0.25
LINE_S = 10.0  # s between lines of progress where there is no terminal
BAR_WIDTH = 20
CANCEL_S = 60.0  # s, at most, to write a checkpoint after Ctrl-C
METRICS = (
    ("old network, old data", "old_on_old"),
    ("new network, old data", "new_on_old"),
    ("old network, new data", "old_on_new"),
    ("new network, new data", "new_on_new"),
    ("old network, held out", "held_out_old"),
    ("new network, held out", "held_out"),
)


def train(project: Path, request: TrainingRequest, *, as_json: bool) -> int:
    """Train a model and print the progress; 1 if the training gave no model."""
    paths = ProjectPaths(project.resolve())
    file.load(project)
    client = running(project)
    if client is not None:
        with client:
            status = _watch_engine(client, request)
    else:
        status = _train_here(paths, request)
    return _conclude(paths, status, as_json=as_json)


def find_items(project: Path, patterns: Sequence[str]) -> tuple[str, ...]:
    """Names of the items that names or patterns match.

    Raises
    ------
    UnknownItem
        If one of them matches no item.
    """
    if not patterns:
        return ()
    client = running(project)
    if client is not None:
        with client:
            known = [row.name for row in client.items()]
    else:
        known = list(root_names(project).values())
    return tuple(expand(patterns, known))


def progress_line(status: TrainingStatus, width: int) -> str:
    """Progress bar, steps, loss and remaining time; before the first step, the present phase."""
    if status.phase != "running" or not status.n_steps:
        return one_line(status.message)[:width]
    filled = round(BAR_WIDTH * status.step / status.n_steps)
    parts = [
        f"[{'#' * filled}{'.' * (BAR_WIDTH - filled)}] step {status.step}/{status.n_steps}",
        f"epoch {status.epoch:.0f}/{status.n_epochs}",
    ]
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
    if status.seconds_left is not None:
        parts.append(f"at most {_minutes(status.seconds_left)} left")
    message = status.message.partition("; ")[2].removeprefix("processing waits until it is done; ")
    if message and not message.startswith("processing waits"):
        parts.append(one_line(message))
    return " · ".join(parts)[:width]


def _train_here(paths: ProjectPaths, request: TrainingRequest) -> TrainingStatus:
    """Train without an engine; the lock on the project keeps engines from starting meanwhile."""
    from warptui.engine.execution.trainer import Trainer, TrainerMessage
    from warptui.engine.training import request as order
    from warptui.engine.worker.devices import cpu_count, plan_slots

    settings = file.read_config(paths.root)
    inbox: queue.SimpleQueue[TrainerMessage] = queue.SimpleQueue()
    with Locked(paths):
        slots, note = plan_slots(settings.compute)
        if note:
            say(note)
        place = slots[0].device, settings.compute.threads or cpu_count()
        items = root_names(paths.root)
        if not request.resume:
            _tell_plan(order.preview(paths, settings, items, request, *place))
        trainer = Trainer(paths, inbox.put)
        trainer.begin(order.make_task(paths, settings, items, request, *place))
        shown = _Shown()
        try:
            while not trainer.take(inbox.get()):
                shown.show(trainer.status)
        except KeyboardInterrupt:
            say("\nstopping; a checkpoint is written")
            trainer.cancel(keep_best=False)
            deadline = time.monotonic() + CANCEL_S
            while time.monotonic() < deadline and not trainer.take(inbox.get(timeout=CANCEL_S)):
                continue
        shown.end()
        assert trainer.status is not None
        if trainer.status.phase == "done" and request.use:
            file.write_config(paths.root, use_model(trainer.status.model))
            return replace(trainer.status, used=True)
        return trainer.status


def _watch_engine(client: Client, request: TrainingRequest) -> TrainingStatus:
    if not request.resume:
        _tell_plan(client.preview_training(request))
    name = client.train(request)
    say(f"the engine trains {name}; processing waits until it is done")
    shown = _Shown()
    try:
        while True:
            status: EngineStatus = client.status()
            if status.training is None or status.training.model != name:
                raise TrainingError(f"the engine trains {name} no more")
            if not status.training.active:
                shown.end()
                return status.training
            shown.show(status.training)
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        say("\nthe engine goes on training; `warptui train PROJECT --cancel` ends it")
        raise


def cancel(project: Path, *, keep_best: bool) -> int:
    """Stop the training of the running engine."""
    client = running(project)
    if client is None:
        raise EngineError(f"no engine runs on {project}: nothing is being trained by one")
    with client:
        client.cancel_training(keep_best=keep_best)
    say("the training ends")
    return DONE


def _tell_plan(plan: dict[str, Any]) -> None:
    for note in plan["notes"]:
        say(note)
    if plan["problem"]:
        raise TrainingError(plan["problem"])
    several = "" if plan["n_examples"] == 1 else "s"
    say(
        f"training {plan['model']} from {plan['start_from']}: {plan['n_examples']} micrograph"
        f"{several} with {plan['n_particles']} particles, {plan['n_held_out']} held out; at most "
        f"{plan['n_steps']} steps on {plan['device']}, roughly {_minutes(plan['seconds'])}"
    )


def _conclude(paths: ProjectPaths, status: TrainingStatus, *, as_json: bool) -> int:
    if status.phase != "done":
        if as_json:
            print_json(codec.encode(status))
        say(f"{status.model}: {status.message}")
        if status.resumable:
            say(f"go on with it: warptui train {paths.root} --resume {status.model}")
        return SOME_FAILED
    report = read_report(paths.training_report(status.model))
    if as_json:
        print_json({**codec.encode(status), "report": report})
    _tell_metrics(paths, status.model, report)
    say(f"{status.message}, after {_minutes(status.seconds)}")
    say(f"verdict: {status.verdict}")
    if status.used:
        say("it is used from now on: items are picked again when they are processed")
    else:
        say(f"use it: warptui train {paths.root} --use-model {status.model}")
    return DONE


def _tell_metrics(paths: ProjectPaths, name: str, report: dict[str, Any]) -> None:
    measured = read_metrics(paths.training_metrics(name))
    if not measured:
        return
    best = report.get("best_step")
    chosen = next((entry for entry in measured if entry["step"] == best), measured[-1])
    keys = ("precision", "recall", "f1", "accuracy")
    whole = {"held_out": "held_out_after", "held_out_old": "held_out_before"}
    for label, key in METRICS:
        values = report.get(whole.get(key, "")) or chosen.get(key)
        if values:
            numbers = (f"{k} {'-' if values[k] is None else f'{values[k]:.3f}'}" for k in keys)
            say(f"{label}: {'  '.join(numbers)}")


class _Shown:
    """The line that shows the progress of a training."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()
        self._line, self._at = "", -LINE_S

    def show(self, status: TrainingStatus | None) -> None:
        if status is None:
            return
        line = progress_line(status, shutil.get_terminal_size((80, 24)).columns - 1)
        if self._on_terminal:
            print(f"\r{line}\033[K", end="", file=sys.stderr, flush=True)
        elif line != self._line and time.monotonic() - self._at >= LINE_S:
            say(line)
            self._line, self._at = line, time.monotonic()

    def end(self) -> None:
        if self._on_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _minutes(seconds: float | None) -> str:
    if seconds is None:
        return "an unknown time"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60:02d} min" if hours else f"{rest // 60}:{rest % 60:02d} min"
