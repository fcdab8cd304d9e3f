"""A line filter for terminals without Unicode: turns everything on the screen into ASCII.

Our own widgets draw in ASCII by themselves; this is for frames, keys, scroll bars and windows that
Textual draws, and for names of files.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from warptui.screens.look.glyphs import PLAIN, spell_out

_SAME = {
    "-": "─━┄┅┈┉═▔▁▂▃▄▅▆▇▀╌╍",
    "|": "│┃┆┇┊┋║▏▎▍▌▋▊▉▕▐╎╏",
    "+": "╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛┣┫┳┻╋╔╗╚╝",
    "#": "█▓▒░▘▝▖▗▚▞▛▜▙▟■",
    "*": "●•∙◉",
    "o": "○◌",
    "<": "←⟵◀◂",
    ">": "→⟶▶▸❯➜",
    "^": "↑▲△",
    "v": "↓▼▽",
    "x": "✕✗✖",
    "'": "‘’′",
    '"': "“”″",
}
_BRAILLE = range(0x2800, 0x2900)


class _Table(dict[int, str]):
    """Maps code points to ASCII texts of the same width."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        text = character if code < 128 else "*" if code in _BRAILLE else "?" * cell_len(character)
        self[code] = text
        return text


_TABLE = _Table({ord(c): ascii_ for ascii_, same in _SAME.items() for c in same})
_TABLE.update({code: chr(plain) for code, plain in PLAIN.items()})


class AsciiFilter(LineFilter):
    """Replaces characters outside ASCII by similar ones, cell by cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.text.isascii()
            else Segment(spell_out(segment.text).translate(_TABLE), segment.style, segment.control)
            for segment in segments
        ]
