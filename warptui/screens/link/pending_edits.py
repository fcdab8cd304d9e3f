"""Edits of picks on their way to the engine, and back again by undo. No Textual.

What a person did is shown at once and sent soon after. Until the engine is known to have it, it
stands over whatever is read of the item.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warptui.engine.model.edits import Edits

KEPT = 500  # steps back on one item


@dataclass
class _Page:
    """What is known of one item."""

    now: Edits | None = None  # over what is read; None: what is read is right
    last: Edits | None = None  # as it was left here, or read since
    before: list[Edits] = field(default_factory=list)
    after: list[Edits] = field(default_factory=list)  # undone
    kind: str = ""  # of the last edit: those of a slider are one step
    version: int = 0  # grows with every edit
    sent: int = 0  # the version that the engine has
    sending: int = 0  # the version that is on its way, 0 = none
    problem: str = ""  # why the engine has not


class EditBook:
    """All edits of this viewer since it was opened."""

    def __init__(self) -> None:
        self._pages: dict[str, _Page] = {}

    def over(self, name: str, read: Edits) -> Edits:
        """An item's edits as they are to be shown, given those that were read."""
        page = self._pages.get(name)
        return read if page is None or page.now is None else page.now

    def put(self, name: str, before: Edits, now: Edits, kind: str = "") -> None:
        """A person made ``now`` of ``before``. Of one ``kind`` in a row, undo takes all back."""
        page = self._pages.setdefault(name, _Page())
        if not kind or kind != page.kind or not page.before:
            page.before = [*page.before[-KEPT + 1 :], before]
        page.after.clear()
        self._set(page, now, kind)

    def undo(self, name: str, now: Edits) -> bool:
        """Take the last edit of an item back; False if there is none."""
        page = self._pages.get(name)
        if page is None or not page.before:
            return False
        page.after.append(now)
        self._set(page, page.before.pop())
        return True

    def redo(self, name: str, now: Edits) -> bool:
        """Do again what was taken back; False if there is nothing."""
        page = self._pages.get(name)
        if page is None or not page.after:
            return False
        page.before.append(now)
        self._set(page, page.after.pop())
        return True

    def steps(self, name: str) -> int:
        """How many edits of an item can be taken back."""
        page = self._pages.get(name)
        return len(page.before) if page is not None else 0

    def _set(self, page: _Page, now: Edits, kind: str = "") -> None:
        page.now, page.last, page.kind = now, now, kind
        page.version += 1

    # on the way to the engine

    @property
    def unsaved(self) -> list[str]:
        """Items whose edits the engine does not have, as far as it is known."""
        return [name for name, page in self._pages.items() if page.sent < page.version]

    def why_unsaved(self, name: str) -> str:
        """Why the engine refused, or "" if it did not."""
        page = self._pages.get(name)
        return page.problem if page is not None and page.sent < page.version else ""

    def take(self) -> tuple[str, Edits] | None:
        """What is to be sent next; it counts as on its way until `arrived` or `refused`."""
        for name in self.unsaved:
            page = self._pages[name]
            if not page.sending and page.now is not None:
                page.sending = page.version
                return name, page.now
        return None

    def arrived(self, name: str) -> None:
        """The engine has what was on its way."""
        page = self._pages[name]
        page.sent, page.sending, page.problem = page.sending, 0, ""

    def refused(self, name: str, why: str) -> bool:
        """The engine has it not. False when it said the same before."""
        page = self._pages[name]
        news = why != page.problem
        page.sending, page.problem = 0, why
        return news

    # what is read

    def mark(self, name: str) -> int | None:
        """To be asked for before an item is read, and given back with what was read."""
        page = self._pages.get(name)
        if page is None:
            return 0
        return None if page.sent < page.version else page.version

    def read(self, name: str, mark: int | None, edits: Edits) -> None:
        """An item was read: if nothing was on its way meanwhile, that is how it is.

        If it is not as it was left here, somebody else edited it: to undo would undo their work.
        """
        page = self._pages.get(name)
        if page is None or mark is None or mark != page.version:
            return
        if page.last is not None and page.last != edits:
            page.before.clear()
            page.after.clear()
        page.now, page.last = None, edits
