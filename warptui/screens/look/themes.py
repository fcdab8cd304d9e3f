"""The themes: dark, light, one for every kind of colour vision, one of high contrast.

Each names colours by meaning (see `widgets.palette.VARIABLES`); what it leaves out is as in the
dark one.
"""

from __future__ import annotations

from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

DARK = replace(BUILTIN_THEMES["textual-dark"], name="dark")

LIGHT = replace(
    BUILTIN_THEMES["textual-light"],
    name="light",
    background="#f6f6f6",
    surface="#ffffff",
    panel="#e6e6e6",
    variables={
        "state-done": "#1b7a2e",
        "state-running": "#0b5cad",
        "state-queued": "#5a6470",
        "state-waiting": "#626a74",
        "state-outdated": "#8f5600",
        "state-failed": "#b3152a",
        "state-missing": "#7a3a91",
        "choice-filtered": "#1f6590",
        "choice-excluded": "#6b6b6b",
        "choice-included": "#7d5e00",
        "slice-done": "#8fbf8f",
        "plot-dots": "#1f6590",
        "plot-dim": "#8a929b",
        "plot-limit": "#8f5600",
        "plot-cursor": "#000000",
        "axis-x": "#0b5cad",
        "axis-y": "#a34a00",
        "track": "#8a5a00",
        "muted": "#5a6470",
        "strong": "#000000",
        "alert": "#b3152a",
        "warning-text": "#8f5600",
        "row-cursor": "#bcd9f5",
        "row-cursor-dim": "#dcdfe3",
        "row-marked": "#f2e8b8",
    },
)

# The eight colours of Okabe & Ito (2008), distinct with every kind of colour vision.
OKABE_ITO = replace(
    BUILTIN_THEMES["textual-dark"],
    name="okabe-ito",
    primary="#56b4e9",
    secondary="#0072b2",
    accent="#e69f00",
    warning="#e69f00",
    error="#d55e00",
    success="#009e73",
    variables={
        "state-done": "#009e73",
        "state-running": "#56b4e9",
        "state-queued": "#9aa5b1",
        "state-waiting": "#7d8792",
        "state-outdated": "#e69f00",
        "state-failed": "#d55e00",
        "state-missing": "#cc79a7",
        "choice-filtered": "#56b4e9",
        "choice-excluded": "#8c8c8c",
        "choice-included": "#f0e442",
        "slice-done": "#00694d",
        "plot-dots": "#56b4e9",
        "plot-limit": "#e69f00",
        "axis-x": "#56b4e9",
        "axis-y": "#e69f00",
        "track": "#f0e442",
        "alert": "#d55e00",
        "warning-text": "#e69f00",
    },
)

HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    warning="#ffaf00",
    error="#ff8a80",
    success="#5fff5f",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    text_alpha=1.0,
    variables={
        "state-done": "#5fff5f",
        "state-running": "#5fd7ff",
        "state-queued": "#ffffff",
        "state-waiting": "#d0d0d0",
        "state-outdated": "#ffd700",
        "state-failed": "#ff8a80",
        "state-missing": "#ff9cff",
        "choice-filtered": "#5fd7ff",
        "choice-excluded": "#d0d0d0",
        "choice-included": "#ffff00",
        "slice-done": "#5fff5f",
        "plot-dots": "#ffffff",
        "plot-dim": "#9e9e9e",
        "plot-limit": "#ffd700",
        "plot-cursor": "#ffff00",
        "axis-x": "#5fd7ff",
        "axis-y": "#ffd700",
        "track": "#ffff00",
        "muted": "#d0d0d0",
        "strong": "#ffffff",
        "alert": "#ff8a80",
        "warning-text": "#ffd700",
        "row-cursor": "#00408a",
        "row-cursor-dim": "#303030",
        "row-marked": "#4a4400",
        "border": "#ffff00",
        "footer-key-foreground": "#ffff00",
        "footer-description-foreground": "#ffffff",
        "block-cursor-text-style": "bold reverse",
    },
)

THEMES = (DARK, LIGHT, OKABE_ITO, HIGH_CONTRAST)
