"""The state and the result of a training, as lines for a pane. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from warptui.engine.model.training import ModelInfo, TrainingStatus
from warptui.screens import words
from warptui.screens.look.glyphs import Glyphs
from warptui.screens.look.palette import Palette
from warptui.screens.training.curves import COLOURS, NAMES
from warptui.screens.training.words import (
    PHASES,
    READY,
    Score,
    bar,
    doubts,
    judgement,
    left,
    made_of,
    model_made_of,
    place,
    score_table,
)
from warptui.screens.widgets.line import BOLD, PLAIN, Piece

Line = list[Piece]
BAR = 24  # columns
NAME, NUMBER = 12, 9


@dataclass(frozen=True)
class Shown:
    """The selected model: its entry in the list, and its training if that is the last one."""

    model: ModelInfo | None = None
    status: TrainingStatus | None = None
    metrics: Sequence[Mapping[str, Any]] = ()
    report: Mapping[str, Any] = field(default_factory=dict)
    pictures: str = ""  # measurements that the curves show
    measure: str = "f1"
    begun_here: bool = True
    lost: bool = False  # the engine is not reachable: these data are old
    cost: str = ""  # preview of a training that could be started
    keys: Mapping[str, str] = field(default_factory=dict)  # the user's keys, by what they do

    @property
    def n_held_out(self) -> int | None:
        """Number of held-out micrographs; None = not known."""
        if self.status is not None and (self.status.n_examples or self.status.n_held_out):
            return self.status.n_held_out
        known = self.report.get("n_held_out")
        return None if known is None else int(known)

    @property
    def verdict(self) -> str:
        """The engine's verdict on the new model."""
        parts = self.status.verdict if self.status is not None else ""
        return parts or (self.model.verdict if self.model is not None else "")


def account(shown: Shown, colours: Palette, glyphs: Glyphs) -> list[Line]:
    """All lines about the model, the most urgent first."""
    status, model = shown.status, shown.model
    if status is None and model is None:
        return [[(" no model is known yet", colours["muted"])]]
    if status is not None:
        lines, origin = _training(shown, status, colours, glyphs)
    else:
        assert model is not None
        lines, origin = _model(model, colours, glyphs)
    has_scores = bool(shown.metrics or shown.report)
    if has_scores:
        lines += _table(shown, colours, glyphs)
    if has_scores or shown.verdict:
        ended = status is None or not status.active
        parts = judgement(shown.verdict, shown.n_held_out, ended=ended)
        lines.append([(" verdict  ", BOLD), (parts, PLAIN)])
    notes = doubts(shown.report, shown.n_held_out) if has_scores else []
    lines += [[("   ! ", colours["warning-text"]), (note, colours["muted"])] for note in notes]
    if shown.pictures:
        lines.append([(" pictures ", BOLD), (shown.pictures, PLAIN)])
    return [*lines, *_next(shown), *origin]


def _training(
    shown: Shown, status: TrainingStatus, colours: Palette, glyphs: Glyphs
) -> tuple[list[Line], list[Line]]:
    """The progress of a training; separately, its data and the engine's message."""
    muted = colours["muted"]
    phase = PHASES.get(status.phase, status.phase)
    if shown.lost and status.active:
        phase = f"{phase}, when the engine was last heard of"
    look = {
        "done": colours["state-done"],
        "failed": colours["alert"],
        "cancelled": colours["state-outdated"],
    }.get(status.phase, colours["state-running"])
    head: Line = [(f" {status.model} ", BOLD), (phase, look + BOLD)]
    took = f" after {words.age(status.seconds)}" if status.seconds else ""
    if not status.active:
        head.append((took, PLAIN))
    if status.phase == "done":
        head.append((", used for picking" if status.used else ", not used", BOLD))
    lines = [head]
    if status.active:
        share = status.step / status.n_steps if status.n_steps else 0.0
        lines += [
            [
                (f" {bar(share, BAR, glyphs)} ", look),
                (f"{100 * share:.0f} %  {left(status)}", BOLD),
            ],
            [
                (" ", PLAIN),
                ("  ".join(filter(None, (place(status), _loss(status), status.device))), PLAIN),
            ],
        ]
    elif status.phase != "done" and place(status):
        lines.append([(" ", PLAIN), (place(status), PLAIN)])
    facts: list[Line] = []
    if status.message and status.phase == "failed":
        lines.append([(" ! ", colours["alert"] + BOLD), (status.message, PLAIN)])
    elif status.message:
        facts.append([(" ", PLAIN), (status.message, PLAIN)])
    start = f"from {status.start_from}: " if status.start_from else ""
    facts.append([(" ", muted), (f"{start}{made_of(status)}", muted)])
    if status.active and not shown.begun_here and not shown.lost:
        parts = f"not begun in this window; {shown.keys['stop']} stops it for all viewers"
        facts.append([(" ", muted), (parts, muted)])
    return lines, facts


def _loss(status: TrainingStatus) -> str:
    return f"loss {status.loss:.3f}" if status.loss is not None else ""


def _model(model: ModelInfo, colours: Palette, glyphs: Glyphs) -> tuple[list[Line], list[Line]]:
    used = ", used for picking" if model.used else ", not used" if model.state == READY else ""
    lines: list[Line] = [[(f" {model.name}", BOLD), (used, BOLD)]]
    if model.problem:
        lines.append([(" ! ", colours["alert"] + BOLD), (model.problem, PLAIN)])
    origin = model_made_of(model, glyphs.unknown)
    return lines, [[(" ", PLAIN), (origin, colours["muted"])]]


def _table(shown: Shown, colours: Palette, glyphs: Glyphs) -> list[Line]:
    last = shown.metrics[-1] if shown.metrics else None
    rows = score_table(last, shown.report, shown.measure, shown.n_held_out)
    muted = colours["muted"]
    head = f"   {NAMES[shown.measure]:{NAME}}{'before':>{NUMBER}}{'new':>{NUMBER}}"
    return [[(head, muted)], *(_score(row, colours, glyphs) for row in rows)]


def _score(row: Score, colours: Palette, glyphs: Glyphs) -> Line:
    before, now = (words.number(value, 3, glyphs.unknown) for value in (row.before, row.now))
    own = colours[COLOURS[row.letter]] + BOLD
    bold = BOLD if row.letter == "H" else PLAIN
    return [
        (f" {row.letter} ", own),
        (f"{row.name:{NAME}}", bold),
        (f"{before:>{NUMBER}}", PLAIN),
        (f"{now:>{NUMBER}}", bold),
        (f"  {row.remark}", colours["muted"]),
    ]


def _next(shown: Shown) -> list[Line]:
    """The keys that continue from here."""
    if shown.lost:
        return []
    keys, status, model = shown.keys, shown.status, shown.model
    parts: list[str] = []
    if status is not None and status.active:
        parts.append(f"{keys['stop']} stops it")
    else:
        if (status is not None and status.resumable) or (
            model is not None and model.state == "interrupted"
        ):
            parts.append(f"{keys['resume']} continues from its checkpoint")
        ready = model is not None and model.state == READY
        used = (model is not None and model.used) or (status is not None and status.used)
        if ready and not used:
            parts.append(f"{keys['use']} uses it (says first what is picked again)")
        if model is not None and not model.bundled and not used:
            parts.append(f"{keys['discard']} discards it")
    lines: list[Line] = [[(" ", PLAIN), ("; ".join(parts), BOLD)]] if parts else []
    if shown.cost and (status is None or not status.active):
        lines.append([(f" {keys['train']} trains a new one: ", BOLD), (shown.cost, PLAIN)])
    return lines
