"""Texts about a training: no claim beyond the numbers; an unknown value is a dash. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warptui.engine.model.training import ModelInfo, TrainingExample, TrainingStatus
from warptui.screens import words
from warptui.screens.keys.bindings import all_bindings
from warptui.screens.keys.names import key_name
from warptui.screens.look.glyphs import Glyphs
from warptui.screens.settings.cost import about, cost

HASH = 8  # characters of a model's hash that are shown
READY = "ready"
MOST_NOTES = 3  # names in a question
PHASES = {
    "examples": "making examples of the marked micrographs",
    "baseline": "measuring the network as it is now",
    "running": "training",
    "measuring": "measuring the new network",
    "done": "done",
    "failed": "failed",
    "cancelled": "stopped",
}
STATES = {
    "training": "in training",
    "interrupted": "interrupted",
    "failed": "failed",
    "cancelled": "stopped",
    "damaged": "damaged",
}


@dataclass(frozen=True)
class Counts:
    """Numbers of marked items and particles in all examples."""

    learn: int = 0  # micrographs
    held_out: int = 0
    useless: int = 0  # nothing can be learned from them
    positive: int = 0  # particles on micrographs to learn from
    negative: int = 0
    uncertain: int = 0  # areas
    held_out_positive: int = 0


def counted(examples: Sequence[TrainingExample]) -> Counts:
    """Add up the examples; an unusable one counts only as such."""
    useful = [example for example in examples if not example.problem]
    learn = [example for example in useful if example.role == "examples"]
    held_out = [example for example in useful if example.role == "held-out"]
    return Counts(
        len(learn),
        len(held_out),
        len(examples) - len(useful),
        sum(example.n_particles for example in learn),
        sum(example.n_false for example in learn),
        sum(example.n_uncertain for example in learn),
        sum(example.n_particles for example in held_out),
    )


def count(n: int, noun: str) -> str:
    """A number with its noun: 1 micrograph, 2 micrographs."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def totals(counts: Counts) -> str:
    """How many micrographs are marked for each use."""
    parts = [f"{counts.learn:,} learn", f"{counts.held_out:,} held out"]
    if counts.useless:
        parts.append(f"{counts.useless:,} none")
    return ", ".join(parts)


# texts before a training


def task(preview: Mapping[str, Any], batch: int | None) -> str:
    """The size of a training, from the engine's preview: steps, windows, time."""
    steps = int(preview.get("n_steps") or 0)
    if not steps:
        return f"how long it takes is not known: {words.UNKNOWN}"
    windows = f" ({steps * batch:,} windows)" if batch else ""
    device = f" on {preview['device']}" if preview.get("device") else ""
    return f"{count(steps, 'step')}{windows}{device}, {about(preview.get('seconds'))}"


def stock(preview: Mapping[str, Any]) -> str:
    """The data of a training, from the engine's preview."""
    learn = count(int(preview.get("n_examples") or 0), "micrograph")
    particles = count(int(preview.get("n_particles") or 0), "particle")
    held_out = int(preview.get("n_held_out") or 0)
    kept = f"{held_out:,} held out" if held_out else "none held out"
    return f"{learn} with {particles} to learn from, {kept}"


def question(preview: Mapping[str, Any], batch: int | None, *, runs: bool, resume: bool) -> str:
    """The question before a training starts."""
    name, start = preview.get("model") or words.UNKNOWN, preview.get("start_from") or words.UNKNOWN
    head = f"Go on training {name}?" if resume else f"Train {name}, starting from {start}?"
    lines = [head, "", f"{stock(preview)}.", f"{task(preview, batch)}."]
    notes = list(preview.get("notes") or ())
    if not preview.get("n_held_out") and not any("held out" in note for note in notes):
        lines.append("! Without a held-out micrograph the new model cannot be judged.")
    lines += [f"! {note}" for note in notes[:MOST_NOTES]]
    if len(notes) > MOST_NOTES:
        lines.append(f"! and {len(notes) - MOST_NOTES} more")
    goes_on = "then goes on by itself" if runs else "and stays paused, as it is now"
    lines += [
        "",
        f"Processing pauses until it is done, {goes_on}; new movies wait. "
        "Nothing is picked with it until you say so.",
    ]
    return "\n".join(lines)


def use_question(model: ModelInfo, preview: Mapping[str, Any], *, runs: bool, key: str) -> str:
    """The question before another model is used."""
    kind = " (it comes with the program)" if model.bundled else ""
    lines = [f"Pick with {model.name}{kind} from now on?", ""]
    if problems := preview.get("problems"):
        lines += [f"! {text}" for text in problems.values()]
    else:
        again = int(preview.get("n_items") or 0)
        if again:
            items = f"{count(again, 'item')} {'is' if again == 1 else 'are'}"
            lines.append(f"{items} picked again, {about(preview.get('seconds'))}.")
            waits = "It begins immediately." if runs else f"Processing is paused: {key} starts it."
            lines.append(waits)
        else:
            lines.append(f"{cost(preview)[:1].upper()}{cost(preview)[1:]}.")
    lines += ["", "Edits by hand are applied again. Any earlier model can be chosen again here."]
    return "\n".join(lines)


def discard_question(model: ModelInfo) -> str:
    """The question before a model is removed."""
    what = "its file, its curves and pictures" if model.state == READY else "what is there of it"
    return (
        f"Discard {model.name}?\n\nRemoved for good: {what}. "
        "The examples, the other models and what was picked stay as they are."
    )


# texts during a training and afterwards


def bar(fraction: float, width: int, drawing_glyphs: Glyphs) -> str:
    """A progress bar."""
    done = round(min(max(fraction, 0.0), 1.0) * width)
    return drawing_glyphs.bars[-1] * done + drawing_glyphs.limit * (width - done)


def place(status: TrainingStatus) -> str:
    """Epoch and step."""
    parts = []
    if status.n_epochs:
        parts.append(f"epoch {status.epoch:.0f}/{status.n_epochs:,}")
    if status.n_steps:
        parts.append(f"step {status.step:,}/{status.n_steps:,}")
    return "  ".join(parts)


def left(status: TrainingStatus) -> str:
    """The remaining time."""
    if status.seconds_left is None:
        return f"time left {words.UNKNOWN}"
    return f"{about(status.seconds_left)} left"


def made_of(status: TrainingStatus) -> str:
    """The data from which the model was made."""
    held_out = f"{status.n_held_out:,} held out" if status.n_held_out else "none held out"
    return (
        f"{count(status.n_examples, 'micrograph')}, {count(status.n_particles, 'particle')}; "
        f"{held_out}"
    )


def model_made_of(model: ModelInfo, unknown: str = words.UNKNOWN) -> str:
    """When and from which data a model in the list was made."""
    if model.bundled:
        return "comes with the program"
    parts = [f"made {words.short_clock(model.made_at, unknown)}"]
    if model.start_from:
        parts.append(f"from {model.start_from}")
    if model.n_examples:
        particles = count(model.n_particles, "particle")
        parts.append(f"on {count(model.n_examples, 'micrograph')}, {particles}")
    return " ".join(parts)


# texts about the quality of a model


@dataclass(frozen=True)
class Score:
    """A line of the table: the same data, measured with the network before and after training."""

    letter: str  # capital for the new network, small for the one before
    name: str
    before: float | None
    now: float | None
    remark: str = ""


def score_table(
    last: Mapping[str, Any] | None, report: Mapping[str, Any], measure: str, n_held_out: int | None
) -> list[Score]:
    """The table of scores; the held-out line, which decides, comes first.

    The report's numbers are of whole micrographs and replace those measured during the training.
    """
    last = last or {}

    def value(key: str, final: str) -> float | None:
        scores = report.get(final) or last.get(key) or {}
        found = scores.get(measure)
        return None if found is None else float(found)

    if n_held_out:
        remark = f"{count(n_held_out, 'micrograph')}, kept aside"
    else:
        remark = "none: nothing is known" if n_held_out == 0 else ""
    return [
        Score("H", "held out", value("held_out_old", "held_out_before"),
              value("held_out", "held_out_after"), remark),
        Score("E", "examples", value("old_on_new", ""), value("new_on_new", ""),
              "learned from: no estimate"),
        Score("C", "curated set", value("old_on_old", "old_before"),
              value("new_on_old", "old_after"), "what it knew before"),
    ]  # fmt: skip


def doubts(report: Mapping[str, Any], n_held_out: int | None) -> list[str]:
    """Reasons why the numbers on held-out micrographs are weaker evidence than they look."""
    found = []
    if n_held_out == 1:
        found.append("one held-out micrograph: the next may be quite different")
    if n_held_out and "held-out" in str(report.get("chosen_by") or ""):
        found.append("chosen as the best by these very ones: flatters a little")
    return found


def judgement(verdict: str, n_held_out: int | None, *, ended: bool) -> str:
    """The engine's verdict; without one, why it has none yet."""
    if verdict:
        return verdict
    if n_held_out == 0:
        return "not known whether it is better: no micrograph is held out"
    return "no verdict" if ended else "none before it is done"


def how_to_mark(keys: dict[str, Any]) -> str:
    """How to mark examples, step by step, with the user's own keys."""
    known = {binding.id: binding for binding in all_bindings() if binding.id}

    def key(name: str) -> str:
        return key_name(keys, name, (known[name],))

    enter, overview, back = key("list.open"), key("overview"), key("training")
    add, remove = key("picks.add"), key("picks.remove")
    unsure, mark = key("picks.uncertain"), key("picks.training")
    return "\n".join(
        [
            "No micrograph is marked yet. To mark one:",
            *(
                f"{keys_of:10}{what}"
                for keys_of, what in (
                    (f"{overview}, {enter}", "choose an item and open it"),
                    (f"{add}, {remove}", "add a pick, remove a wrong one: both teach"),
                    (unsure, "an area that teaches nothing"),
                    (mark, "mark it: to learn from, held out, not used"),
                    (back, "come back here"),
                )
            ),
            "About 1,000 particles on 5 to 10 micrographs are enough; "
            "two more, held out, tell whether it is better.",
        ]
    )
