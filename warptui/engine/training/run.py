"""One training from start to end: examples, measure the old network, train, measure the new."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import warptui
from warptui.engine.errors import Cancelled, TrainingError
from warptui.engine.formats.array import write_array
from warptui.engine.formats.boxnet_model import find_model, write_boxnet
from warptui.engine.formats.writing import write_text
from warptui.engine.model.training import TrainingStatus
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.project.filesystem import UNWRITABLE
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.training import folder as files
from warptui.engine.training.bundle import Entry, Origin, read_bundle, write_bundle
from warptui.engine.training.corpus import corpus_hash, read_corpus
from warptui.engine.training.example import PIXEL_SIZE, Example, Tally
from warptui.engine.training.example_making import make_example
from warptui.engine.training.files import (
    append_line,
    read_checkpoint,
    weights_of,
    write_checkpoint,
)
from warptui.engine.training.labels import LEARN, Marked, Rules, find_marked
from warptui.engine.training.loop import Learner, Schedule, steps_of
from warptui.engine.training.schedule import Scores, Watched, interval
from warptui.engine.training.scores import Rule, examine, try_scores
from warptui.engine.training.task import Control, Task
from warptui.engine.training.verdict import other_score, verdict
from warptui.engine.worker.bench.models import load_net
from warptui.engine.worker.fault_injection import crash_point

WAITS = "processing waits until it is done"
_OLD_PX = 256
_PATIENCE = 0.3  # share of all steps without a better network on the held-out set, and at least
_PATIENT_MEASUREMENTS = 8  # this many measurements in a row
_PASSES_PER_STEP = 3.0  # a step costs as much as this many forward passes
_FULL_DISK_S = 10.0  # until the next attempt to write the final network
_CHECKPOINT_S = 60.0  # between two checkpoints, later in a training
_FIRST_CHECKPOINT_S = 5.0  # early checkpoints are cheap, and make the training continuable soon


@dataclass
class Course:
    """One training. `run` carries it out; ``tell`` is called with the status of every step."""

    task: Task
    tell: Callable[[TrainingStatus], None]
    control: Control = field(default_factory=Control)

    def __post_init__(self) -> None:
        task = self.task
        self.paths = ProjectPaths(Path(task.project))
        self._name = task.request.model
        self._folder = self.paths.training(self._name)
        self._rules = Rules(**task.rules)
        self._rule = Rule(
            self._rules.min_score,
            self._rules.min_mask_distance_angstrom,
            self._rules.diameter_angstrom,
        )
        self._device = torch.device(task.device)
        self._began = time.monotonic()
        self._notes: list[str] = []
        self._best: tuple[float, int, dict[str, Any]] | None = None
        self._worse = 0  # consecutive measurements without a better result
        self.status = TrainingStatus(
            self._name,
            "examples",
            n_epochs=int(task.settings["epochs"]),
            device=task.device,
            start_from=task.request.start_from,
        )

    def run(self) -> TrainingStatus:
        """Carry out the whole training; returns the last status, which is also on disk.

        Raises
        ------
        TrainingError, InputError
            With a message to the user, if the training cannot be done.
        """
        if self.task.threads:
            torch.set_num_threads(self.task.threads)
        self._folder.mkdir(parents=True, exist_ok=True)
        earlier = files.read_status(self._folder)
        if self.task.request.resume:
            if earlier is None or not files.can_resume(self.paths, self._name):
                raise TrainingError(f"{self._name}: no checkpoint to continue from; begin again")
            self._began -= earlier.seconds
        else:
            files.clear(self._folder)  # left by an earlier training of this name that failed
        self._say(f"making examples of the marked micrographs; {WAITS}", write=True)
        learned, held_out = self._examples()
        old, old_measured = read_corpus()
        old_measured = [example.cropped(_OLD_PX) for example in old_measured]
        start, start_hash = load_net(find_model(self.task.request.start_from, self.paths.root))
        start.to(self._device).eval()
        self._update(
            n_examples=len(learned),
            n_particles=sum(example.n_particles for example in learned),
            n_held_out=len(held_out),
        )
        self._stop_if_asked()

        self._say(f"measuring the network as it is; {WAITS}", phase="baseline", write=True)
        watched = Watched(old_measured, learned, held_out)
        clock = time.monotonic()
        before = watched.measure(start, self._rule, self._device)
        measuring_s = time.monotonic() - clock
        window_s = measuring_s / max(watched.n_windows, 1)

        schedule = self._schedule(learned, bool(old))
        learner = Learner(start, schedule, self._device, learned, old, say=self._note)
        every = interval(schedule, measuring_s, _PASSES_PER_STEP * window_s * schedule.batch)
        if self.task.request.resume:
            self._restore(learner)
        else:
            self._metrics_path.unlink(missing_ok=True)
            self._record(0, 0.0, None, before, before)
        self._update(n_steps=schedule.n_steps)
        begin = max(_PASSES_PER_STEP * window_s * schedule.batch, 1e-3)
        stopped = self._learn(learner, watched, before, every, (begin, measuring_s))
        return self._finish(learner, watched, before, start_hash, held_out, old_measured, stopped)

    def _examples(self) -> tuple[list[Example], list[Example]]:
        """The training set and the held-out set; read from disk when a training continues."""
        learned_path, held_path = (self._folder / n for n in (files.EXAMPLES, files.HELD_OUT))
        if self.task.request.resume:
            held = read_bundle(held_path) if held_path.exists() else []
            return [e.example for e in read_bundle(learned_path)], [e.example for e in held]
        task = self.task
        marked = find_marked(
            self.paths,
            task.items,
            task.request,
            float(task.settings["held_out_percent"]),
            self._rules,
        )
        if not marked:
            raise TrainingError(
                "there are no examples: mark micrographs for training on the item screen (E), or "
                "name them"
            )
        learned: list[Example] = []
        held_out: list[Example] = []
        used: list[Marked] = []
        for one in marked:
            example = self._example(one)
            if example is None:
                continue
            (learned if one.role == LEARN else held_out).append(example)
            used.append(one)
            self._stop_if_asked()
        if not any((example.labels > 0).any() for example in learned):
            left_out = f" ({'; '.join(self._notes)})" if self._notes else ""
            raise TrainingError(
                "there are no examples: nothing is picked or masked on the micrographs that are "
                f"marked to learn from{left_out}"
            )
        prints = tuple(one.fingerprint for one in used if one.role == LEARN)
        task_json = replace(task, fingerprints=prints).to_json()
        record = {**task_json, "left_out": self._notes}
        write_text(self._folder / files.TASK, json.dumps(record, indent=1) + "\n")
        for path, examples in ((learned_path, learned), (held_path, held_out)):
            path.unlink(missing_ok=True)
            if examples:
                write_bundle(path, [Entry(example, Origin()) for example in examples])
        return learned, held_out

    def _example(self, marked: Marked) -> Example | None:
        """Make an example; after a failure, note the reason and return ``None``."""
        if marked.problem:
            self._note(f"{marked.name} is left out: {marked.problem}")
            return None
        try:
            train_masks = bool(self.task.settings["train_masks"])
            return make_example(marked, self._rules, train_masks=train_masks)
        except TrainingError as problem:
            self._note(f"left out: {problem}")
            return None

    def _schedule(self, learned: Sequence[Example], has_old: bool) -> Schedule:
        settings = self.task.settings
        schedule = Schedule(
            n_steps=1,
            batch=int(settings["batch"]),
            first_rate=float(settings["first_rate"]),
            last_rate=float(settings["last_rate"]),
            optimiser=str(settings["optimiser"]),
            old_share=float(settings["corpus_percent"]) / 100 if has_old else 0.0,
        )
        return replace(schedule, n_steps=steps_of(int(settings["epochs"]), learned, schedule))

    def _learn(
        self,
        learner: Learner,
        watched: Watched,
        before: Scores,
        every: int,
        costs_s: tuple[float, float],
    ) -> str:
        """Train until all steps are done or progress ends; returns why it ended early."""
        n_steps = learner.schedule.n_steps
        step_s, measuring_s = costs_s
        shown_at = saved_at = time.monotonic()
        pause = _FIRST_CHECKPOINT_S
        while learner.step < n_steps:
            clock = time.monotonic()
            learner.advance()
            crash_point("training.step")
            now = time.monotonic()
            step_s += (now - clock - step_s) * max(0.1, 1 / (learner.step + 1))
            left = n_steps - learner.step
            if now - shown_at > 0.25 or left == 0:
                shown_at = now
                epoch = self.status.n_epochs * learner.step / n_steps
                left_s = left * step_s + (left / every) * measuring_s
                self._say(
                    f"training; {WAITS}",
                    phase="running",
                    step=learner.step,
                    epoch=round(epoch, 2),
                    loss=None if learner.loss is None else round(learner.loss, 4),
                    seconds_left=round(left_s, 1),
                )
            if self.control.cancel and self.control.keep_best:
                return "stopped by the user"
            if self.control.cancel or self.control.stop:
                self._save(learner)
                self._stop_if_asked()
            if learner.step % every == 0 or left == 0:
                clock = time.monotonic()
                scores = watched.measure(learner.result, self._rule, self._device)
                measuring_s = time.monotonic() - clock
                epoch = round(self.status.n_epochs * learner.step / n_steps, 2)
                self._record(learner.step, epoch, learner.loss, before, scores)
                if self._no_better(learner, scores):
                    return "it stopped early: held-out micrographs were no longer found better"
            if time.monotonic() - saved_at > pause or learner.step % every == 0:
                self._save(learner)
                saved_at, pause = time.monotonic(), min(2 * pause, _CHECKPOINT_S)
        return ""

    def _no_better(self, learner: Learner, scores: Scores) -> bool:
        """Keep the network if it is the best so far; returns whether the best is too long ago."""
        value = scores.worth
        if value is None:
            return False
        if self._best is None or value > self._best[0]:
            state = {k: v.detach().cpu().clone() for k, v in learner.result.state_dict().items()}
            self._best, self._worse = (value, learner.step, state), 0
        else:
            self._worse += 1
        long_ago = learner.step - self._best[1] >= _PATIENCE * learner.schedule.n_steps
        return long_ago and self._worse >= _PATIENT_MEASUREMENTS

    def _finish(
        self,
        learner: Learner,
        watched: Watched,
        before: Scores,
        start_hash: str,
        held_out: Sequence[Example],
        old_measured: Sequence[Example],
        stopped: str,
    ) -> TrainingStatus:
        """Measure the new network on whole micrographs; write the network and the report."""
        self._save(learner)
        crash_point("training.measuring")
        self._say("measuring the new network", phase="measuring", write=True, seconds_left=None)
        net = learner.result
        best_step = learner.step
        if self._best is not None:
            best_step = self._best[1]
            net.load_state_dict(self._best[2])
        net.eval()
        old_net, _ = load_net(find_model(self.task.request.start_from, self.paths.root))
        old_net.to(self._device).eval()
        whole_before, whole_after = Tally(), Tally()
        pictures: dict[str, np.ndarray] = {}
        shown = max(held_out, key=lambda e: e.n_particles) if held_out else None
        for example in held_out:
            tally, picks = examine(old_net, example, self._rule, self._device)
            whole_before += tally
            tally, found = examine(net, example, self._rule, self._device)
            whole_after += tally
            if example is shown:
                pictures = {"before": picks, "after": found, "truth": example.centres_yx_px}
        after = watched.measure(net, self._rule, self._device)
        words = verdict(
            whole_before if held_out else None,
            whole_after if held_out else None,
            len(held_out),
            before.old,
            after.old,
            after.new,
        )
        scores = try_scores(net, held_out, self._rule, self._device) if held_out else {}
        if advice := other_score(scores, whole_after, self._rule.min_score):
            self._note(advice)
        card = {
            "name": self._name,
            "start_from": self.task.request.start_from,
            "start_hash": start_hash,
            "made_at": round(time.time()),
            "program": f"warptui {warptui.__version__}",
            "n_examples": self.status.n_examples,
            "n_particles": self.status.n_particles,
            "n_held_out": len(held_out),
            "curated_set": corpus_hash(),
            "schedule": vars(learner.schedule) | {"batch": learner.batch},
            "best_step": best_step,
            "picking": self.task.rules,
            "held_out_before": whole_before.to_json() if held_out else None,
            "held_out_after": whole_after.to_json() if held_out else None,
            "f1_by_min_score": {
                str(score): tally.to_json()["f1"] for score, tally in scores.items()
            },
            "chosen_by": "F1 on the held-out micrographs" if self._best else "the last step",
            "old_before": before.old.to_json(),
            "old_after": after.old.to_json(),
            "verdict": words,
            "notes": self._notes,
        }
        model_hash = self._write_model(net, card)
        self._write_report(card, shown, pictures, model_hash)
        parts = [f"{self._name} is ready", stopped, *self._notes]
        self._say(
            "; ".join(part for part in parts if part),
            phase="done",
            write=True,
            seconds_left=0.0,
            verdict=words,
            resumable=False,
        )
        (self._folder / files.CHECKPOINT).unlink(missing_ok=True)
        return self.status

    def _write_model(self, net: BoxNet, card: dict[str, Any]) -> str:
        """Write the final network; if the disk is full, try again until there is space."""
        path = self.paths.model(self._name)
        while True:
            try:
                return write_boxnet(path, weights_of(net), net.width, card)
            except OSError as problem:
                if problem.errno not in UNWRITABLE:
                    raise
                self._say(f"{UNWRITABLE[problem.errno]}: make room, so that {path} can be written")
            until = time.monotonic() + _FULL_DISK_S
            while time.monotonic() < until:
                self._stop_if_asked()
                time.sleep(0.1)

    def _write_report(
        self,
        card: dict[str, Any],
        shown: Example | None,
        pictures: dict[str, np.ndarray],
        model_hash: str,
    ) -> None:
        report = {**card, "hash": model_hash, "diameter_angstrom": self._rules.diameter_angstrom}
        if shown is not None:
            report |= {"item": shown.name, "n_truth": shown.n_particles}
            report["f1_before"] = (card["held_out_before"] or {}).get("f1")
            report["f1_after"] = (card["held_out_after"] or {}).get("f1")
        for key, array in pictures.items():
            in_angstrom = np.array(array, np.float32)
            in_angstrom[:, :2] *= PIXEL_SIZE
            write_array(self._folder / f"{key}.npy", in_angstrom)
            report[key] = f"{key}.npy"
        text = json.dumps(report, indent=1) + "\n"
        write_text(self.paths.training_report(self._name), text)

    @property
    def _metrics_path(self) -> Path:
        return self.paths.training_metrics(self._name)

    def _record(
        self, step: int, epoch: float, loss: float | None, before: Scores, now: Scores
    ) -> None:
        append_line(
            self._metrics_path,
            {
                "step": step,
                "epoch": epoch,
                "loss": None if loss is None else round(loss, 5),
                "old_on_old": before.old.to_json(),
                "new_on_old": now.old.to_json(),
                "old_on_new": before.new.to_json(),
                "new_on_new": now.new.to_json(),
                "held_out": now.held_out.to_json() if now.held_out else None,
                "held_out_old": before.held_out.to_json() if before.held_out else None,
                "time": round(time.time(), 1),
            },
        )

    def _save(self, learner: Learner) -> None:
        best = None if self._best is None else list(self._best)
        state = {"learner": learner.state(), "best": best}
        if problem := write_checkpoint(self._folder / files.CHECKPOINT, state):
            self._note(problem)
        self._update(resumable=not problem)
        self._write_status()

    def _restore(self, learner: Learner) -> None:
        state = read_checkpoint(self._folder / files.CHECKPOINT)
        learner.restore(state["learner"])
        if state["best"] is not None:
            value, step, weights = state["best"]
            self._best = value, step, weights
        kept = [m for m in files.read_metrics(self._metrics_path) if m["step"] <= learner.step]
        text = "".join(json.dumps(entry) + "\n" for entry in kept)
        write_text(self._metrics_path, text)
        self._note(f"went on from step {learner.step}")

    def _stop_if_asked(self) -> None:
        """Raise Cancelled if the engine stops or the user cancelled."""
        if self.control.stop:
            raise Cancelled("the engine stops; the training can go on later")
        if self.control.cancel:
            raise Cancelled("cancelled by the user")

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _update(self, **changes: Any) -> None:
        seconds = round(time.monotonic() - self._began, 1)
        self.status = replace(self.status, seconds=seconds, **changes)

    def _say(self, message: str, *, write: bool = False, **changes: Any) -> None:
        notes = [] if changes.get("phase") == "done" else self._notes
        self._update(message="; ".join([message, *notes]), **changes)
        self.tell(self.status)
        if write:
            self._write_status()

    def _write_status(self) -> None:
        with suppress(OSError):  # disk full: the next status will be written
            files.write_status(self._folder, self.status)
