"""Keys of the item screen and its dialogs. Views of stages add keys for what they draw."""

from __future__ import annotations

from textual.binding import Binding

from warptui.screens.stages import VIEWS
from warptui.screens.stages.view import LayerSwitch

_THRESHOLD = Binding.Group("threshold", compact=True)
_LAYERS = Binding.Group("layers", compact=True)
_SWITCHES = [switch for view in VIEWS for switch in view.layers]


def _key_of(switch: LayerSwitch) -> Binding:
    return Binding(
        switch.key,
        f"layer('{switch.id}')",
        switch.label,
        id=f"layer.{switch.id}",
        tooltip=f"{switch.label}: shown or hidden on the picture",
        group=None if switch.named else _LAYERS,
    )


PICKS = [
    Binding("a", "add_pick", "add", id="picks.add", tooltip="a pick at the crosshair"),
    Binding(
        "x", "remove_pick", "remove", id="picks.remove", tooltip="the pick nearest to the crosshair"
    ),
    Binding("u", "undo_edit", "undo", id="picks.undo", tooltip="the last edit of this item"),
    Binding("U", "redo_edit", "redo", id="picks.redo", tooltip="what was undone", show=False),
    Binding(
        "left_square_bracket",
        "threshold(-1)",
        "lower threshold",
        id="picks.lower",
        tooltip="more picks on this item: from a lower score on",
        key_display="[",
        group=_THRESHOLD,
    ),
    Binding(
        "right_square_bracket",
        "threshold(1)",
        "higher threshold",
        id="picks.higher",
        tooltip="fewer picks on this item: from a higher score on",
        key_display="]",
        group=_THRESHOLD,
    ),
    Binding(
        "backslash",
        "adopt_threshold",
        "threshold for all",
        id="picks.adopt",
        tooltip="this item's threshold for all items: opens the settings, which tell the cost",
        key_display="\\",
        show=False,
    ),
    Binding(
        "b",
        "paint('uncertain')",
        "uncertain area",
        id="picks.uncertain",
        tooltip="an area about the crosshair that teaches nothing; again: takes it away",
        show=False,
    ),
    Binding(
        "B",
        "paint('certain')",
        "certain area",
        id="picks.certain",
        tooltip="an area about the crosshair that counts more; again: takes it away",
        show=False,
    ),
    Binding(
        "left_parenthesis",
        "brush(-1)",
        "smaller brush",
        id="picks.smaller-brush",
        key_display="(",
        show=False,
    ),
    Binding(
        "right_parenthesis",
        "brush(1)",
        "larger brush",
        id="picks.larger-brush",
        key_display=")",
        show=False,
    ),
    Binding(
        "E",
        "mark_training",
        "training",
        id="picks.training",
        tooltip="for the training of BoxNet: an example, held out to measure on, not used",
        show=False,
    ),
    Binding(
        "V",
        "mark_mask",
        "mask teaches",
        id="picks.teach-mask",
        tooltip="whether an example's mask is learned in training, too",
        show=False,
    ),
]

ITEM = [
    Binding("right", "app.step(1)", "item", id="item.next", key_display="←/→"),
    Binding("left", "app.step(-1)", "previous item", id="item.previous", show=False),
    *(_key_of(switch) for switch in _SWITCHES if switch.named),
    *PICKS,
    *(_key_of(switch) for switch in _SWITCHES if not switch.named),
    Binding(
        "T",
        "app.try_settings('ctf')",
        "try CTF settings",
        id="item.try-ctf",
        tooltip="other settings of the CTF, on this item alone; nothing is stored",
        show=False,
    ),
    Binding(
        "H",
        "compare",
        "compare",
        id="item.compare",
        tooltip="this item's values compared with those of all items",
    ),
    Binding(
        "i,enter",
        "details",
        "details",
        id="details",
        tooltip="every number and setting; of a failure the log and the traceback",
        show=False,
    ),
    Binding(
        "Y",
        "app.copy_path(True)",
        "copy raw path",
        id="copy-raw-path",
        tooltip="copy the path of the raw file",
        show=False,
    ),
]

COMPARISON = [
    Binding("escape,q,enter,H", "dismiss", "close", id="comparison.close"),
    Binding("right,tab,j,down,l", "turn(1)", "next value", id="comparison.next"),
    Binding("left,shift+tab,k,up,h", "turn(-1)", "previous", id="comparison.previous"),
]

TRIAL = [
    Binding("t", "try", "try", id="trial.run", tooltip="run the stage on this item with these"),
    Binding("A", "adopt", "adopt for all", id="trial.adopt"),
    Binding(
        "u",
        "undo",
        "undo",
        id="trial.undo",
        tooltip="this setting as it is in use",
        show=False,
    ),
    Binding("U", "undo_all", "undo all", id="trial.undo-all", show=False),
    Binding("tab", "turn", "other pictures", id="trial.pictures"),
    Binding("x", "stop", "stop", id="trial.stop"),
    Binding("escape,q", "leave", "discard", id="trial.leave"),
]
