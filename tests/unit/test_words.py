"""Docstrings, comments and messages of the program avoid the words that pages avoid, too."""

from __future__ import annotations

import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.words import avoided_in

PROGRAM = Path(__file__).resolve().parents[2] / "warptui"
TEXTS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
ENGINE = sorted(
    path.name for path in (PROGRAM / "engine").iterdir() if (path / "__init__.py").exists()
)
OTHERS = sorted(
    path.name
    for path in PROGRAM.iterdir()
    if (path / "__init__.py").exists() and path.name != "engine"
)
# A folder with everything in it; "." and "engine" are the files directly in them.
FOLDERS = [".", "engine", *(f"engine/{name}" for name in ENGINE), *OTHERS]


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each line of the docstrings, comments and strings with spaces."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        is_text = token.type in TEXTS and " " in token.string.strip("\"'rbf")
        if token.type == tokenize.COMMENT or is_text:
            yield from enumerate(token.string.splitlines(), token.start[0])


def sources(folder: str) -> list[Path]:
    place = PROGRAM / folder
    return sorted(place.glob("*.py") if folder in {".", "engine"} else place.rglob("*.py"))


def test_every_source_file_is_in_one_folder() -> None:
    found = [path for folder in FOLDERS for path in sources(folder)]
    assert sorted(found) == sorted(PROGRAM.rglob("*.py"))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_program_is_written_in_plain_words(folder: str) -> None:
    hard = [
        f"{path.relative_to(PROGRAM.parent)}:{line}: {word}: {text.strip()}"
        for path in sources(folder)
        for line, text in texts(path.read_text(encoding="utf-8"))
        for word in avoided_in(text)
    ]
    assert hard == [], "\n".join(["write these plainly:", *hard])


def test_an_avoided_word_is_found_in_docstring_comment_and_message() -> None:
    source = '"""It tells.\n\nOf `told`, or none.\n"""\nsaid = f"a told one"  # made anew\n'
    found = [(line, word) for line, text in texts(source) for word in avoided_in(text)]
    assert found == [(1, "tells"), (3, "none"), (5, "told"), (5, "anew")]
