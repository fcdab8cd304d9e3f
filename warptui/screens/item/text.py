"""Texts about one item, as lines of styled text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from warptui.engine.model.detail import AVERAGE, PREVIEW, ItemDetail
from warptui.engine.model.item import Choice, State
from warptui.engine.model.row import ItemRow
from warptui.engine.model.summary import Summary
from warptui.screens import words
from warptui.screens.look.glyphs import Glyphs, training_glyph
from warptui.screens.look.palette import Palette
from warptui.screens.stages.average import last_words
from warptui.screens.stages.view import Fact
from warptui.screens.widgets.line import BOLD, PLAIN, Piece

Lines = list[list[Piece]]
LABEL_WIDTH = 17
LOG_LINES = 6


def head(
    row: ItemRow,
    detail: ItemDetail | None,
    place: str,
    colours: Palette,
    characters: Glyphs,
    training: str = "",
    alarm: str = "",
) -> list[Piece]:
    """One line: the item's name, state and choice, and whether its settings are current.

    ``training``: its mark for training; ``alarm``: a problem with the edits of its picks.
    """
    mark = training_glyph(training).strip()
    pieces: list[Piece] = [
        (f" {characters.states[row.state]}{mark} ", colours.state(row.state) + BOLD),
        (f"{row.name} ", BOLD),
        (f" {place} ", colours["muted"]),
        (f" {row.state} ", colours.state(row.state)),
        (f" [{_choice(row)}] ", colours.choice(row) if row.choice != "auto" else colours["muted"]),
    ]
    if detail is not None and detail.results:
        if row.state is State.OUTDATED or set(detail.outdated) & set(detail.results):
            pieces.append((" settings: outdated ", colours["state-outdated"]))
        else:
            pieces.append((" settings: current ", colours["state-done"]))
    if alarm:
        pieces.insert(5, (f" ! {alarm} ", colours["alert"] + BOLD))
    return pieces


def _choice(row: ItemRow) -> str:
    outcome = "included" if row.selected else "left out"
    if row.choice is Choice.AUTO:
        return f"auto: {outcome}" if row.state is State.DONE else "auto"
    return {Choice.EXCLUDE: "excluded by hand", Choice.INCLUDE: "included by hand"}[row.choice]


def numbers(
    row: ItemRow,
    detail: ItemDetail | None,
    summaries: tuple[Summary, ...],
    facts: Sequence[Fact],
    colours: Palette,
    characters: Glyphs,
) -> Lines:
    """Every value with its unit; an unknown value is a dash."""
    muted, unknown = colours["muted"], characters.unknown
    lines: Lines = []
    if row.state in (State.FAILED, State.MISSING):
        lines += failure(row, detail, colours)
    elif row.reason:
        lines.append([(" why  ", muted), (row.reason, colours.state(row.state))])
    for summary in summaries:
        text = words.with_unit(row.summary.get(summary.key), summary.unit, summary.digits, unknown)
        label = summary.label
        if label.startswith("±"):  # an error: the sign goes before the number
            label, text = f"error of {label[1:].strip()}", f"± {text}" if text != unknown else text
        lines.append([_label(label, colours), (text, BOLD)])
    lines += [[_label(label, colours), (text, PLAIN)] for label, text in facts]
    for result in detail.results.values() if detail is not None else ():
        lines += [[(" note ", muted), (str(note), PLAIN)] for note in result.get("notes") or ()]
    return lines


def failure(row: ItemRow, detail: ItemDetail | None, colours: Palette) -> Lines:
    """The reason of a failure, and where the full account is.

    The picture's pane shows the worker's log instead, unless an earlier run left a picture.
    """
    muted = colours["muted"]
    tries = f" after {row.tries} tries" if row.tries > 1 else ""
    lines: Lines = [
        [(f" {row.state}{tries}: ", colours.state(row.state) + BOLD), (row.reason, BOLD)],
    ]
    if detail is not None:
        if detail.path(PREVIEW):
            lines += [[(f" {line}", muted)] for line in last_words(detail, LOG_LINES)]
        if detail.traceback or detail.log_tail:
            lines.append([(" i shows the whole log   P tries again", muted)])
    return [*lines, []]


def story(detail: ItemDetail, colours: Palette) -> Lines:
    """For each stage: whether its settings are current, why not; when it ran; with which settings.

    Lines that need attention come first.
    """
    muted = colours["muted"]
    lines: Lines = []
    for stage in detail.results:
        if reason := detail.outdated.get(stage):
            outdated = colours["state-outdated"]
            lines.append([(f" {stage} ", BOLD), ("outdated ", outdated), (reason, PLAIN)])
        else:
            lines.append([(f" {stage} ", BOLD), ("settings are current", colours["state-done"])])
    for stage, reason in detail.outdated.items():
        if stage not in detail.results:
            lines.append([(f" {stage} ", BOLD), ("to do ", muted), (reason, PLAIN)])
    if not lines:
        lines.append([(" nothing was processed yet", muted)])
    for entry in reversed(detail.history):
        seconds = words.with_unit(entry.get("seconds"), "s", 1)
        at = words.clock(float(entry.get("finished_at") or 0))
        version = entry.get("program_version") or entry.get("version", "")
        more = f"{seconds}  on {entry.get('device') or words.UNKNOWN}  {version}"
        lines.append([(f" {at}  ", muted), (f"{entry.get('stage', '?'):8} ", BOLD), (more, PLAIN)])
    paths = [("raw", detail.raw_path), ("average", detail.path(AVERAGE))]
    lines += [[(f" {name:8} ", muted), (path, PLAIN)] for name, path in paths if path]
    for stage, sections in detail.settings.items():
        for section, values in sections.items():
            used = {name: value for name, value in values.items() if value not in ("", False)}
            text = "  ".join(f"{name} {_value(value)}" for name, value in used.items())
            lines.append([(f" {stage} with [{section}] ", muted), (text, muted)])
    return lines


def everything(detail: ItemDetail) -> str:
    """The full account of a failure, and all results, as plain text."""
    parts = [f"{detail.row.state}  {detail.row.reason}", f"raw file: {detail.raw_path}"]
    if detail.traceback:
        parts += ["", "Traceback", detail.traceback]
    if detail.log_tail:
        parts += ["", "The worker's last words", detail.log_tail]
    for stage, result in detail.results.items():
        parts += ["", f"Result of {stage}"]
        parts += [f"  {name} = {_value(value)}" for name, value in result.items()]
        parts += [f"Settings of {stage}"]
        for section, values in detail.settings.get(stage, {}).items():
            parts += [f"  {section}.{name} = {_value(value)}" for name, value in values.items()]
    return "\n".join(parts)


def _label(text: str, colours: Palette) -> Piece:
    return f" {text:{LABEL_WIDTH}}", colours["muted"]


def _value(value: Any) -> str:
    if value is None:
        return words.UNKNOWN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_value(entry) for entry in value[:6])
        return f"[{shown}{', ...' if len(value) > 6 else ''}]"
    return str(value)
