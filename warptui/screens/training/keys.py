"""The keys of the training screen, and those of the item screen that make examples for it."""

from __future__ import annotations

from typing import Any

from textual.binding import Binding

from warptui.screens.keys.names import key_name

TRAINING_KEYS = [
    Binding(
        "t",
        "train",
        "train",
        id="training.start",
        tooltip="train a new model from the examples; asks first, and says what it takes",
    ),
    Binding(
        "x",
        "stop",
        "stop",
        id="training.stop",
        tooltip="stop the training: keep the best so far, or nothing",
    ),
    Binding(
        "u",
        "use",
        "use",
        id="training.use",
        tooltip="pick with the model that is looked at; says first what is picked again",
    ),
    Binding(
        "d",
        "discard",
        "discard",
        id="training.discard",
        tooltip="remove the model that is looked at, after a question",
    ),
    Binding(
        "R",
        "resume",
        "go on",
        id="training.resume",
        tooltip="go on with an interrupted training where it stood",
        show=False,
    ),
    Binding(
        "m",
        "measure",
        "measure",
        id="training.measure",
        tooltip="curves and table of F1, accuracy, precision or recall",
    ),
    Binding(
        "E",
        "mark",
        "mark",
        id="training.mark",
        tooltip="the example under the cursor: to learn from, held out, none",
        show=False,
    ),
    Binding(
        "backspace,delete",
        "undo",
        "as in config.toml",
        id="training.undo",
        tooltip="this setting as config.toml has it",
        show=False,
    ),
]


def how_to_mark(keys: dict[str, Any]) -> str:
    """Which keys make examples, step by step, as the user's key map has them."""
    from warptui.screens.keys.bindings import all_bindings

    known = {binding.id: binding for binding in all_bindings() if binding.id}

    def key(name: str, usual: str) -> str:
        return key_name(keys, name, (known[name],)) if name in known else usual

    enter = key("list.open", "enter")
    add, remove = key("picks.add", "a"), key("picks.remove", "x")
    unsure, mark = key("picks.uncertain", "b"), key("picks.training", "E")
    back = key("training", "4")
    overview = key("overview", "1")
    return "\n".join(
        [
            "No micrograph is marked yet. To mark one:",
            *(
                f"{keys_of:10}{what}"
                for keys_of, what in (
                    (f"{overview}, {enter}", "choose an item and open it"),
                    (f"{add}, {remove}", "add a pick, remove a wrong one: both teach"),
                    (unsure, "an area that teaches nothing"),
                    (mark, "mark it: to learn from, held out, none"),
                    (back, "come back here"),
                )
            ),
            "About 1,000 particles on 5 to 10 micrographs are enough; "
            "two more, held out, tell whether it is better.",
        ]
    )
