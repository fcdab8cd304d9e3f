"""The micrographs marked for training: their particles and areas, and their use."""

from __future__ import annotations

from rich.style import Style

from warptui.engine.model.training import TrainingExample
from warptui.screens import words
from warptui.screens.training.words import count, counted, totals
from warptui.screens.widgets.line import BOLD, PLAIN, Piece
from warptui.screens.widgets.lists.list_pane import ListPane

ROLES = {"examples": "learn", "held-out": "held out"}
ROLE, NUMBER, MASK, SEEN = 9, 6, 5, 10  # width in columns
SEEN_FROM = 64  # least columns of the pane that leave room for it
ROLE_FROM = 48
SHORTEST_NAME = 12


class ExampleList(ListPane):
    """One line per micrograph; `empty_text` explains how to mark some."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.examples: tuple[TrainingExample, ...] = ()
        self.empty_text = ""

    def show(self, examples: tuple[TrainingExample, ...], empty_text: str) -> None:
        """Show these examples; the cursor stays on its micrograph."""
        if (examples, empty_text) == (self.examples, self.empty_text):
            return
        before = self.current
        self.examples, self.empty_text = examples, empty_text
        names = [example.name for example in examples]
        if before is not None and before.name in names:
            self.cursor = names.index(before.name)
        self.repaint()

    @property
    def current(self) -> TrainingExample | None:
        """The micrograph under the cursor."""
        return self.examples[min(self.cursor, len(self.examples) - 1)] if self.examples else None

    @property
    def n_rows(self) -> int:
        return len(self.examples)

    def empty(self) -> str:
        return self.empty_text

    def headings(self, width: int) -> list[list[Piece]]:
        if not self.examples:
            return []
        counts = counted(self.examples)
        muted = self.colours["muted"]
        role, name, seen = self._columns(width)
        head = f" {'use':{role}}{'micrograph':{name}}{'pos':>{NUMBER}}{'neg':>{NUMBER}}"
        head += f"{'unc':>{NUMBER}}{'mask':>{MASK}}" + (f"  {'seen':{SEEN}}" if seen else "")
        sums = (counts.positive, counts.negative, counts.uncertain)
        text = words.shorten_right(totals(counts), role + name, self.glyphs.ellipsis)
        total = f" {text:{role + name}}" + "".join(f"{n:>{NUMBER},}" for n in sums)
        return [[(head, muted)], [(total, BOLD)]]

    def _columns(self, width: int) -> tuple[int, int, bool]:
        """Widths of use and name, and whether there is room for the reviewer."""
        role = ROLE if width >= ROLE_FROM else 2
        seen = width >= SEEN_FROM
        rest = width - 2 - role - 3 * NUMBER - MASK - (SEEN + 2 if seen else 0)
        return role, max(rest, SHORTEST_NAME), seen

    def row(self, position: int, width: int) -> list[Piece]:
        example, colours = self.examples[position], self.colours
        role_width, name_width, seen = self._columns(width)
        role = ROLES.get(example.role, example.role)
        look: Style = colours["choice-filtered"] if example.role == "held-out" else PLAIN
        if example.problem:
            role, look = "! none", colours["alert"]
        if role_width < ROLE:
            role = role[0].upper()
        stem = example.name.rpartition(".")[0] or example.name
        name = words.shorten_name(stem, name_width - 1, self.glyphs.ellipsis)
        pieces: list[Piece] = [(f" {role:{role_width}}", look), (f"{name:{name_width}}", BOLD)]
        if example.problem:
            room = max(width - 1 - role_width - name_width, 0)
            pieces.append((words.shorten_right(example.problem, room, self.glyphs.ellipsis), look))
            return pieces
        mask = "yes" if example.masked else "no"
        counts = (example.n_particles, example.n_false, example.n_uncertain)
        pieces.append(("".join(f"{n:>{NUMBER},}" for n in counts) + f"{mask:>{MASK}}", PLAIN))
        if seen:
            by = words.shorten_right(example.seen_by or "new", SEEN, self.glyphs.ellipsis)
            pieces.append((f"  {by}", colours["muted"] if example.seen_by else PLAIN))
        return pieces

    def in_full(self) -> list[Piece]:
        example = self.current
        if example is None:
            return []
        if example.problem:
            return [(f" {example.name}  ", BOLD), (example.problem, self.colours["alert"])]
        marked = ", ".join(
            (
                count(example.n_particles, "particle"),
                count(example.n_false, "false pick"),
                count(example.n_uncertain, "uncertain area"),
            )
        )
        seen = f"learned by {example.seen_by} as it is" if example.seen_by else "new"
        mask = "its mask teaches, too" if example.masked else "its mask is not used"
        return [(f" {example.name}  ", BOLD), (f"{marked}; {seen}; {mask}", PLAIN)]
