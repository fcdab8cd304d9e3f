"""The documentation says what the program does: pages made from the code are up to date, and links,
settings, keys and commands on the other pages exist."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs import generate
from tests.unit.words import avoided_in
from warptui import cli
from warptui.engine.config import checks
from warptui.engine.config.settings import Config
from warptui.engine.model.item import Choice, State
from warptui.engine.stages.registry import STAGES
from warptui.screens.keys.bindings import all_bindings
from warptui.screens.look.glyphs import ASCII, UNICODE

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(
    [*DOCS.rglob("*.md"), *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md"))]
)
MOST_README_LINES = 200
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
# Names in docs that are keys of a keyboard and no characters.
KEY_NAMES = {"enter": "⏎", "esc": "esc", "backspace": "⌫"}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


README = read(REPOSITORY / "README.md")
BINDINGS = dict(generate.bindings_by_class())


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def code_blocks(text: str) -> Iterator[str]:
    """The contents of the shell blocks of a page, with continued lines joined."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield block.replace("\\\n", " ")


def slug(heading: str) -> str:
    """The anchor of a heading, as the site builder and GitHub make it."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def anchors(path: Path) -> set[str]:
    return {slug(title) for title in re.findall(r"^#+ (.+)$", prose(read(path)), re.MULTILINE)}


def key_rows(text: str) -> list[tuple[str, str]]:
    """Key and id of each row of the tables of keys of a page."""
    tables = re.findall(r"^\| key \| id \| does \|\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [line for table in tables for line in table.splitlines()]
    found = [re.match(r"\| `([^`]+)`.*? \| `([a-z.-]+)` \|", line) for line in rows]
    assert all(found), rows
    return [(match[1], match[2]) for match in found if match]


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_file_made_from_the_code_is_up_to_date(name: str):
    assert name not in generate.outdated_pages(), f"{name}: run {generate.COMMAND}"


def test_every_key_of_the_app_is_on_the_page_of_keys():
    classes = [name for names in generate.PLACES.values() for name in names]
    assert sorted(BINDINGS) == sorted(classes), "name each class once in PLACES of docs/generate.py"
    listed = {name for _, name in key_rows(read(DOCS / "reference" / "keys.md"))}
    assert listed == {binding.id for bindings in BINDINGS.values() for binding in bindings}
    ids = {binding.id for binding in all_bindings() if binding.id}
    assert ids <= listed


def test_every_setting_is_on_the_page_of_settings_with_its_default():
    page = read(DOCS / "reference" / "settings.md")
    values = Config().to_json()
    for section, model in checks.SECTIONS.items():
        for key, info in model.model_fields.items():
            given = values[section].get(key)
            default = "not set" if given is None else f"`{checks.as_toml(given)}`"
            start = f"| `{section}.{key}` | {default} | {checks.unit(info)} | {info.description}"
            assert start in page


def test_every_verb_is_on_the_page_of_commands_and_no_other():
    page = read(DOCS / "reference" / "commands.md")
    assert re.findall(r"^## warptui (\w+)$", page, re.MULTILINE) == list(cli.VERBS)
    table = re.findall(r"^\| \[`warptui (\w+)`\]", page, re.MULTILINE)
    assert table == list(cli.VERBS)


def test_the_first_commands_are_those_of_the_makefile():
    found = re.findall(r"^make (\w+)", README, re.MULTILINE)
    assert found[:2] == ["demo", "test"]
    before = README.partition("make demo")[0].splitlines()
    assert len(before) <= 4, "the two commands come first"
    targets = re.findall(r"^(\w+):", read(REPOSITORY / "Makefile"), re.MULTILINE)
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^|`)make ([a-z]+)", read(page), re.MULTILINE)
    }
    assert named <= set(targets)
    assert "make --no-print-directory test" in read(REPOSITORY / ".ci" / "run")


def test_the_readme_is_short():
    assert len(README.splitlines()) <= MOST_README_LINES


def test_every_state_and_choice_is_explained_with_its_glyphs():
    page = read(DOCS / "using" / "concepts.md")
    for state in State:
        assert f"| `{UNICODE.states[state]}` `{ASCII.states[state]}` | {state} |" in page
    for choice in (Choice.INCLUDE, Choice.EXCLUDE):
        name = f"{choice}d"
        assert f"`{getattr(UNICODE, name)}` `{getattr(ASCII, name)}`" in page
    assert f"`{UNICODE.filtered}` `{ASCII.filtered}`" in page


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_keys_in_tables_do_what_their_id_says(path: Path):
    keys: dict[str, set[str]] = {}
    for bindings in BINDINGS.values():
        for binding in bindings:
            keys.setdefault(binding.id or "", set()).update(generate.keys_of(binding))
    for key, name in key_rows(read(path)):
        assert name in keys, f"{name_of(path)}: no key has the id {name}"
        assert KEY_NAMES.get(key, key) in keys[name], f"{key}: {name} has {sorted(keys[name])}"


def test_the_guide_and_the_readme_have_tables_of_keys():
    rows = {path.name: len(key_rows(read(path))) for path in PAGES}
    assert rows["README.md"] == 10
    assert rows["screens-and-keys.md"] > 50


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_settings_that_a_page_names_exist(path: Path):
    sections = "|".join(checks.SECTIONS)
    others = {binding.id for bindings in BINDINGS.values() for binding in bindings}
    others |= {value.key for stage in STAGES for value in stage.summaries()}
    for name in re.findall(rf"`((?:{sections})\.[\w-]+)", read(path)):
        section, _, key = name.partition(".")
        assert key in checks.SECTIONS[section].model_fields or name in others, name


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_that_a_page_shows_are_understood(path: Path):
    parser = cli.make_parser()
    text = read(path)
    lines = [line for block in code_blocks(text) for line in block.splitlines()]
    lines += re.findall(r"`(warptui [^`]+)`", prose(text))
    for line in lines:
        words = shlex.split(line.replace("...", ""), comments=True)
        words = words[1:] if words[:1] == ["warptui"] else []
        if not words or words[0] not in cli.VERBS or "[" in line:
            continue
        known = {
            option
            for verb, command in generate.subcommands(parser)
            if verb == words[0]
            for action in command._actions
            for option in action.option_strings
        }
        options = {word for word in words if word.startswith("--")}
        assert options <= known, f"{line}: {sorted(options - known)}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_links_of_a_page_lead_somewhere(path: Path):
    for link in LINK.findall(prose(read(path))):
        if link.startswith(("https://", "http://")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), f"{link}: there is no {name}"
        if DOCS in path.parents:
            assert DOCS in target.parents, f"{link} leaves docs/: the site cannot follow it"
        if anchor:
            assert anchor in anchors(target), f"{link}: {name} has no such heading"


def test_every_page_can_be_found_in_the_site():
    menu = read(REPOSITORY / "mkdocs.yml").partition("\nnav:\n")[2]
    listed = re.findall(r"([\w./-]+\.md)$", menu, re.MULTILINE)
    decisions = DOCS / "develop" / "decisions"
    linked = LINK.findall(read(decisions / "index.md"))
    assert len(set(listed)) == len(listed)
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    assert pages == {*listed, *(f"develop/decisions/{name}" for name in linked)}


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_files_of_the_repository_that_a_page_names_exist(path: Path):
    named = re.findall(r"`((?:warptui|tests|benchmarks|docs)/[\w./-]*)`", read(path))
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


WRITTEN = [path for path in PAGES if name_of(path) not in generate.PAGES]


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_a_page_is_written_in_plain_words(path: Path):
    assert avoided_in(prose(read(path))) == []


def sources() -> str:
    """The program's sources, with texts that are written in several pieces put together."""
    paths = (REPOSITORY / "warptui").rglob("*.py")
    return re.sub(r'"\s+f?"', "", "\n".join(map(read, paths)))


def test_messages_on_the_page_of_symptoms_are_messages_of_the_program():
    page = read(DOCS / "using" / "troubleshooting.md")
    tables = re.findall(
        r"^\| (?:reason|message|status line) \|.*\n\|.*\n((?:\|.*\n)+)", page, re.MULTILINE
    )
    cells = [row.split(" | ")[0] for table in tables for row in table.splitlines()]
    quoted = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell)]
    parts = [part.strip(" :,") for text in quoted for part in re.split(r"\.\.\.|[\d%]+", text)]
    parts = [part for part in parts if " " in part]
    known = sources()
    assert len(parts) > 10
    assert [part for part in parts if part not in known] == []


def test_pictures_load_nothing_from_elsewhere():
    pictures = sorted((DOCS / "pictures").glob("*.svg"))
    assert pictures
    for picture in pictures:
        assert "@font-face" not in read(picture), "make screenshots"
