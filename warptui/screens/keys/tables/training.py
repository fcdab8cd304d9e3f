"""Keys of the training screen."""

from __future__ import annotations

from textual.binding import Binding

TRAINING = [
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
        tooltip="go on with an interrupted training from its last checkpoint",
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
        tooltip="the example under the cursor: to learn from, held out, not used",
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
