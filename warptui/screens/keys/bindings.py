"""All keys of the app, by the class that has them: for [keys] of config.toml, help and docs.

Textual's own bindings are not among them: they have no ids, so that [keys] cannot change them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from textual.binding import Binding

from warptui.screens.keys.tables import (
    app,
    dialogs,
    exporting,
    item,
    jobs,
    lists,
    overview,
    pictures,
    plots,
    settings,
    training,
)

APP = "WarptuiApp"
TABLES: Mapping[str, Sequence[Binding]] = {
    APP: app.APP,
    "Page": app.PAGE,
    "Overview": overview.OVERVIEW,
    "FilterLine": overview.FILTER_LINE,
    "AxesDialog": overview.AXES,
    "LimitsDialog": overview.LIMITS,
    "ItemScreen": item.ITEM,
    "Comparison": item.COMPARISON,
    "TrialScreen": item.TRIAL,
    "TrainingScreen": training.TRAINING,
    "Jobs": jobs.JOBS,
    "FailureDialog": jobs.FAILURE,
    "RetryQuestion": jobs.RETRY,
    "SettingsScreen": settings.SETTINGS,
    "FieldList": settings.FIELDS,
    "Editor": settings.EDITOR,
    "FirstRun": settings.FIRST_RUN,
    "ExportDialog": exporting.EXPORT,
    "BeamDialog": exporting.OPTICS_GROUPS,
    "ListPane": lists.MOVING,
    "ItemTable": lists.ITEMS,
    "JobTable": lists.JOB_TABLE,
    "TextPane": lists.TEXT,
    "Image": pictures.IMAGE,
    "StripPlot": plots.STRIP,
    "ScatterPlot": plots.SCATTER,
    "AstigmatismPlot": plots.ASTIGMATISM,
    "TextDialog": dialogs.TEXT_DIALOG,
    "Question": dialogs.QUESTION,
    "Ask": dialogs.ASK,
    "Choose": dialogs.CHOOSE,
}


def all_bindings() -> Iterable[Binding]:
    """The bindings of the app and of every screen and widget; shared ones come several times."""
    return (binding for table in TABLES.values() for binding in table)


def unknown(keys: Mapping[str, str]) -> list[str]:
    """Ids in the user's [keys] that no binding has, sorted."""
    known = {binding.id for binding in all_bindings()}
    return sorted(set(keys) - known)


def clashes(keys: Mapping[str, str]) -> list[str]:
    """Keys that the user's [keys] gives to two actions that work at the same time.

    Actions of different panes may share a key; one of the app works everywhere.
    """
    given: dict[tuple[str, str], set[str]] = {}  # owner and id: its keys
    for owner, table in TABLES.items():
        for binding in table:
            if binding.id:
                known = given.setdefault((owner, binding.id), set())
                known |= set(keys.get(binding.id, binding.key).replace(" ", "").split(","))
    found: dict[str, None] = {}
    for (owner, name), own in given.items():
        if name not in keys:
            continue
        for (other_owner, other), others in given.items():
            together = other_owner in (owner, APP) or owner == APP
            for key in sorted(own & others) if other != name and together else ():
                found[f"{key}: {' and '.join(sorted((name, other)))}"] = None
    return list(found)
