"""Write what follows from the code: the pages of commands, settings, keys and values, config.toml.

python -m docs.generate            write the pages
python -m docs.generate --check    write nothing; exit status 1 if a page is out of date
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pydantic import BaseModel
from textual.binding import Binding
from textual.dom import DOMNode

import warptui.app
import warptui.screens
from warptui import cli
from warptui.engine.config import checks, file
from warptui.engine.config.settings import Config
from warptui.engine.stages.registry import STAGES
from warptui.screens.keys.names import shown

REPOSITORY = Path(__file__).resolve().parents[1]
NOTICE = "<!-- Written by `python -m docs.generate` from the code: change it there. -->"
COMMAND = "python -m docs.generate"

# Where keys work, in the order of the page: a heading and the classes whose bindings it lists.
PLACES: dict[str, tuple[str, ...]] = {
    "Everywhere": ("WarptuiApp", "Page"),
    "Overview": ("Overview",),
    "List of items": ("ItemTable",),
    "Find line": ("FilterLine",),
    "Strips": ("StripPlot", "LimitsDialog"),
    "Scatter plots": ("AxesDialog", "ScatterPlot", "AstigmatismPlot"),
    "Item screen": ("ItemScreen", "Comparison"),
    "Pictures": ("Image",),
    "Trial of CTF settings": ("TrialScreen",),
    "Training screen": ("TrainingScreen",),
    "Jobs screen": ("Jobs", "JobTable", "FailureDialog", "RetryQuestion"),
    "Settings screen": ("SettingsScreen", "FieldList", "Editor"),
    "Export dialog": ("ExportDialog", "BeamDialog"),
    "First page of a new session": ("FirstRun",),
    "Lists, texts and questions": (
        "ListPane", "TextPane", "TextDialog", "Question", "Choose", "Ask",
    ),
}  # fmt: skip
# Pages that say more about a command than its options.
SEE_ALSO = {
    "init": "[First session](../start/first-session.md)",
    "export": "[Exports](../using/exports.md)",
    "report": "[Exports](../using/exports.md#report)",
    "train": "[Training](../using/training.md)",
    "doctor": "[Install](../start/install.md)",
}
# Pages that say more about a section of config.toml than its settings.
SECTION_PAGES = {
    "input": "[Input formats](input-formats.md)",
    "motion": "[Motion and averages](../science/motion.md)",
    "average": "[Motion and averages](../science/motion.md#average)",
    "ctf": "[CTF](../science/ctf.md)",
    "picking": "[Picking](../science/picking.md)",
    "particles": "[Particles](../science/particles.md)",
    "filters": "[Limits](../using/concepts.md#limits)",
    "alerts": "[Alerts](../using/alerts.md)",
    "training": "[Training](../using/training.md)",
    "export": "[Exports](../using/exports.md)",
}


def commands_page() -> str:
    """Every verb of the command line with its arguments."""
    parser = cli.make_parser()
    lines = [
        NOTICE,
        "# Commands",
        "",
        "`PROJECT` is the project folder; without it, the present folder. Data go to stdout,",
        "messages to stderr. Words that begin with `--` are options.",
        "",
        "```text",
        *(parser.epilog or "").rstrip().splitlines(),
        "```",
        "",
        "| command | does |",
        "|---|---|",
        "| `warptui [PROJECT]` | opens the app; starts a detached engine if none runs |",
    ]
    verbs = dict(subcommands(parser))
    helps = {choice.dest: choice.help or "" for choice in _subparsers(parser)._choices_actions}
    lines += [f"| [`warptui {verb}`](#warptui-{verb}) | {_cell(helps[verb])} |" for verb in verbs]
    for verb, command in verbs.items():
        lines += _command(command)
        if verb in SEE_ALSO:
            lines += ["", f"More: {SEE_ALSO[verb]}"]
    return "\n".join(lines) + "\n"


def _subparsers(parser: argparse.ArgumentParser) -> argparse._SubParsersAction:
    kinds = argparse._SubParsersAction
    return next(action for action in parser._actions if isinstance(action, kinds))


def subcommands(
    parser: argparse.ArgumentParser,
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The name and the parser of each verb."""
    yield from _subparsers(parser).choices.items()


def _command(command: argparse.ArgumentParser) -> list[str]:
    """The section of one command: what it does, then a table of its arguments by group."""
    actions = [
        action for action in command._actions if not isinstance(action, argparse._HelpAction)
    ]
    words = [_argument(action) for action in actions if not action.option_strings]
    options = ["[OPTIONS]"] if any(action.option_strings for action in actions) else []
    lines = ["", f"## {command.prog}", "", command.description or "", ""]
    lines += ["```sh", " ".join([command.prog, *options, *words]), "```"]
    titled = [group for group in command._action_groups if group._group_actions]
    standard = {"positional arguments", "options"}
    for group in titled:
        members = [action for action in group._group_actions if action in actions]
        members = [action for action in members if not _is_present_folder(action)]
        if not members:
            continue
        if group.title not in standard:
            about = f" ({group.description})" if group.description else ""
            lines += ["", f"{str(group.title).capitalize()}{about}:"]
        lines += ["", "| argument | meaning |", "|---|---|"]
        for action in members:
            lines.append(f"| `{_option(action)}` | {_cell(_meaning(action))} |")
    return lines


def _is_present_folder(action: argparse.Action) -> bool:
    """Whether it is the project folder with the usual default, which the page's head explains."""
    return action.dest == "project" and action.default == "."


def _argument(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    name = f"{name}..." if action.nargs == "+" else name
    return f"[{name}]" if action.nargs == "?" else name


def _option(action: argparse.Action) -> str:
    if not action.option_strings:
        return _argument(action).replace("|", " or ")
    if action.nargs == 0:
        return ", ".join(action.option_strings)
    choices = "|".join(map(str, action.choices)) if action.choices else ""
    value = str(action.metavar or choices or action.dest.upper()).replace("|", " or ")
    value = {"+": f"{value}...", "*": f"[{value}...]"}.get(str(action.nargs), value)
    return f"{', '.join(action.option_strings)} {value}"


def _meaning(action: argparse.Action) -> str:
    """The help of an argument; of one that is a setting without words of its own, the setting's."""
    if action.help:
        return action.help
    if action.dest == "project":
        return f"the project folder (default: {action.default or 'required'})"
    if action.choices:
        return f"one of {', '.join(map(str, action.choices))}"
    for section, model in checks.SECTIONS.items():
        if action.dest in model.model_fields:
            info = model.model_fields[action.dest]
            return f"{info.description} (`{section}.{action.dest}`)"
    raise ValueError(f"{action.dest}: an argument without a help text; give it one")


def settings_page() -> str:
    """Every setting with its default, unit, allowed values, and meaning."""
    lines = [
        NOTICE,
        "# Settings",
        "",
        "Settings lie in `config.toml` in the project folder. A setting that is left out has its",
        "default. Paths are relative to the project folder. Sections:",
        ", ".join(f"[`{name}`](#{name})" for name in checks.SECTIONS) + ", [`keys`](#keys).",
        "",
        "*Makes outdated*: a change of this setting makes results outdated, so that the stages",
        "concerned run again. All other settings take effect without processing anything again.",
    ]
    values = Config().to_json()
    for section, model in checks.SECTIONS.items():
        lines += ["", f"## {section}", "", _about(section, model), ""]
        lines += ["| setting | default | unit | meaning | allowed | makes outdated |"]
        lines += ["|---|---|---|---|---|---|"]
        lines += settings_rows(section, model, values)
    lines += [
        "",
        "## keys",
        "",
        'Key bindings by id, such as `start-pause = "f5"`. The ids are in [Keys](keys.md).',
    ]
    return "\n".join(lines) + "\n"


def settings_rows(section: str, model: type[BaseModel], values: dict) -> Iterator[str]:
    """One line of the table for each setting of a section."""
    for key, info in model.model_fields.items():
        extra = info.json_schema_extra
        affects = not (isinstance(extra, dict) and extra.get("affects") is False)
        given = values[section].get(key)
        default = "not set" if given is None else f"`{checks.as_toml(given)}`"
        unit = checks.unit(info)
        allowed = checks.allowed(info).removesuffix(f" ({unit})")
        cells = (f"`{section}.{key}`", default, unit, info.description or "", allowed)
        yield f"| {' | '.join(map(_cell, cells))} | {'yes' if affects else 'no'} |"


def _about(section: str, model: type[BaseModel]) -> str:
    """What a section is about: of a stage the first sentence of its module, else of its model."""
    is_stage = section in {stage.name for stage in STAGES}
    text = sys.modules[model.__module__].__doc__ if is_stage else model.__doc__
    first = " ".join((text or "").partition("\n\n")[0].split())
    first = re.sub(r"^\[\w+\]: | \(paper: .*?\)", "", first)
    more = f" More: {SECTION_PAGES[section]}." if section in SECTION_PAGES else ""
    return f"{first[:1].upper()}{first[1:]}{more}"


def values_page() -> str:
    """Every value of an item that lists, plots and limits know."""
    lines = [
        NOTICE,
        "# Values of an item",
        "",
        "What the columns of the list, the strips and the scatter plots show, and what limits can",
        "be set on. A value that could not be determined is a dash, and lies outside every limit.",
        "The label, or an unambiguous part of it, names the value in the find line (`/`).",
        "",
        "| value | label | unit | meaning | limits |",
        "|---|---|---|---|---|",
    ]
    for stage in STAGES:
        for value in stage.summaries():
            limits = [key for key in (value.filter_min, value.filter_max) if key]
            named = ", ".join(f"`filters.{key}`" for key in limits)
            cells = (f"`{value.key}`", value.label, value.unit, value.help, named)
            lines.append(f"| {' | '.join(map(_cell, cells))} |")
    return "\n".join(lines) + "\n"


def keys_page() -> str:
    """Every key by the place where it works."""
    lines = [
        NOTICE,
        "# Keys",
        "",
        "`?` in the app lists the keys of the present screen. `[keys]` of `config.toml` changes a",
        'key by its id: `start-pause = "f5"`; several keys are separated by commas. `^` is ctrl.',
    ]
    found = dict(bindings_by_class())
    for place, classes in PLACES.items():
        rows: dict[str, tuple[list[str], str]] = {}
        for name in classes:
            for binding in found.get(name, ()):
                text = binding.tooltip or binding.description or "the answer with this letter"
                rows[binding.id or ""] = (keys_of(binding), text)
        lines += ["", f"## {place}", "", "| key | id | does |", "|---|---|---|"]
        for name, (keys, text) in rows.items():
            names = " ".join(f"`{key}`" if key != "`" else "`` ` ``" for key in keys)
            lines.append(f"| {_cell(names)} | `{name}` | {_cell(text)} |")
    return "\n".join(lines) + "\n"


def keys_of(binding: Binding) -> list[str]:
    """The keys of a binding as the app's footer names them."""
    return [shown(key.strip()) for key in binding.key.split(",")]


def bindings_by_class() -> Iterator[tuple[str, list[Binding]]]:
    """The bindings with an id of every screen and widget of the app, by the name of its class."""
    for module in pkgutil.walk_packages(warptui.screens.__path__, "warptui.screens."):
        importlib.import_module(module.name)
    for kind in sorted(_descendants(DOMNode), key=lambda kind: kind.__name__):
        own = [entry for entry in kind.__dict__.get("BINDINGS", ()) if isinstance(entry, Binding)]
        own = [binding for binding in own if binding.id]
        if own and kind.__module__.startswith("warptui."):
            yield kind.__name__, own


def _descendants(kind: type) -> set[type]:
    return {kind, *(found for child in kind.__subclasses__() for found in _descendants(child))}


def _cell(text: str) -> str:
    """A text that can be part of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def default_settings() -> str:
    """A config.toml that holds every default with its explanation."""
    return file.config_text(Config())


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/commands.md": commands_page,
    "docs/reference/settings.md": settings_page,
    "docs/reference/keys.md": keys_page,
    "docs/reference/values.md": values_page,
    "config.toml": default_settings,
}


def outdated_pages() -> list[str]:
    """Names of the committed pages that differ from what the code gives."""
    return [name for name, make in PAGES.items() if _read(REPOSITORY / name) != make()]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main(arguments: Iterable[str] | None = None) -> int:
    """Write or check the pages; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, name what is outdated")
    given = parser.parse_args(None if arguments is None else list(arguments))
    names = outdated_pages()
    if given.check:
        for name in names:
            print(f"{name} is out of date: {COMMAND}", file=sys.stderr)
        return 1 if names else 0
    for name in names:
        (REPOSITORY / name).parent.mkdir(parents=True, exist_ok=True)
        (REPOSITORY / name).write_text(PAGES[name](), encoding="utf-8")
        print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
