"""Words that make a sentence hard to read at first sight; pages and sources are written without."""

from __future__ import annotations

import re

AVOIDED = (
    "told", "said", "tells", "stands", "anew", "whom", "whoever", "nobody", "somebody",
    "what came of", "is to be", "at once",
)  # fmt: skip
WORDS = re.compile(rf"(?i)\b(?:{'|'.join(AVOIDED)})\b")
ENDS_WITH_NONE = re.compile(r"(?<![\"'])\bnone(?=[.]|\"{3}$|$)")


def avoided_in(text: str) -> list[str]:
    """The avoided words of a text, whose `quoted` parts do not count."""
    text = re.sub(r"`+[^`]*`+", "", text)
    return WORDS.findall(text) + ENDS_WITH_NONE.findall(text)
