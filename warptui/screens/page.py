"""Base class of the full screens: status bar, banner, navigation bar and footer around a page."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from warptui.engine.model.row import ItemRow
from warptui.engine.model.status import EngineStatus
from warptui.screens import words
from warptui.screens.keys.tables.app import PAGE
from warptui.screens.link.mirror import Changes
from warptui.screens.widgets.bars.key_bar import KeyBar
from warptui.screens.widgets.bars.navigation_bar import NavigationBar
from warptui.screens.widgets.bars.notice_bar import NoticeBar
from warptui.screens.widgets.bars.status_bar import StatusBar
from warptui.screens.widgets.line import LineWidget
from warptui.screens.workspace import Workspace

WIDTHS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # least columns, class
HEIGHTS = [(0, "-short"), (24, "-low"), (32, "-high")]
RAW = "raw file"  # a kind of path that can be copied
MINIMUM = (40, 10)  # smallest usable window; from 60x20 on everything is shown


class Page(Screen[None]):
    """A screen that shows the session; changes reach it only while it is visible."""

    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    BINDINGS = list(PAGE)
    PANES: tuple[str, ...] = ()  # ids; side by side where there is room, else one at a time
    HIDDEN: frozenset[str] = frozenset()  # actions of the app that have no use here
    NOTICE_LINES = 1  # lines of the newest notice, at most
    topic = ""  # title of the help

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self.workspace = workspace
        self._pane = 0
        self._ready = False  # events may arrive before the widgets exist

    def compose(self) -> ComposeResult:
        self._fit(self.app.size)
        yield StatusBar(id="status-bar")
        yield NoticeBar(id="notice-bar", most_lines=self.NOTICE_LINES)
        yield Static(id="banner", markup=False)
        yield Static("this window is too small\n(40x10 at least)", id="too-small", markup=False)
        yield from self.content()
        yield NavigationBar(id="navigation-bar")
        yield KeyBar()

    def _fit(self, size: Size) -> None:
        """Set the width classes before the first frame; Textual updates them after that."""
        widths, heights = self.HORIZONTAL_BREAKPOINTS, self.VERTICAL_BREAKPOINTS
        for points, length in ((widths or WIDTHS, size.width), (heights or HEIGHTS, size.height)):
            self.add_class(max(point for point in points if point[0] <= length)[1])

    def content(self) -> Iterable[Widget]:
        """The widgets between banner and navigation bar."""
        raise NotImplementedError

    def targets(self) -> list[ItemRow]:
        """The items that a key acts on."""
        row = self.workspace.current_row
        return [] if row is None else [row]

    def paths(self, raw: bool = False) -> tuple[str, list[str]]:
        """What `y` copies: the kind of file, and the paths of the targets."""
        status = self.workspace.mirror.status
        folder = Path(status.input_folder) if status else Path()
        return RAW, [str(folder / row.name) for row in self.targets()]

    def clear_marks(self) -> bool:
        """Clear a marked range; False without one."""
        return False

    # a screen may give these keys another action; False: the app's usual action

    def retry(self) -> bool:
        """Process the targets again, or retry them."""
        return False

    def follow(self) -> bool:
        """Follow the newest item."""
        return False

    def match(self, direction: int) -> bool:
        """Go to the next match."""
        return False

    def opened(self) -> None:
        """Called when the widgets exist: sets their titles, and gives one of them the focus."""

    def on_mount(self) -> None:
        if not self.app.is_running or self not in self.app.screen_stack:
            return  # the screen may be left while it opens: then its widgets never exist
        self.opened()
        self._show_pane()
        self.set_drawing()
        self._ready = True
        self.call_after_refresh(self.show, Changes(everything=True, values=True, status=True))

    def on_screen_resume(self) -> None:
        self.show(Changes(everything=True, values=True, status=True))

    def on_resize(self) -> None:
        self.set_class(self.size.width < MINIMUM[0] or self.size.height < MINIMUM[1], "-tiny")
        self.call_after_refresh(self.show, Changes(everything=True, values=True, status=True))

    @property
    def alive(self) -> bool:
        """Whether the widgets exist and neither the screen nor the app was left."""
        return self._ready and self.app.is_running and self in self.app.screen_stack

    def show(self, changes: Changes) -> None:
        """Repaint what the changes affect."""
        if self.alive:
            self.draw(changes)

    def show_current(self) -> None:
        """Repaint after the cursor moved to another item."""
        if self.alive:
            self.draw_current()

    def show_choices(self, names: set[str]) -> None:
        """Show the user's choice for items before the engine has confirmed it."""
        if self.alive:
            self.draw_choices(names)

    def show_edited(self) -> None:
        """Repaint what depends on edits of picks and on whether they are saved."""

    def draw(self, changes: Changes) -> None:
        """Repaint what the changes affect; the widgets exist."""
        workspace = self.workspace
        status = workspace.mirror.status
        self.query_one(StatusBar).show(workspace.mirror, not workspace.lost)
        self.query_one(NoticeBar).show(status.notices if status else ())
        self._show_banner()
        if changes.everything or changes.items:
            bar = self.query_one(NavigationBar)
            bar.show(workspace.mirror, workspace.current_number, workspace.along)

    def draw_current(self) -> None:
        """Repaint what depends on the cursor."""
        self.query_one(NavigationBar).show_cursor(self.workspace.current_number)

    def draw_choices(self, names: set[str]) -> None:
        """Repaint the choices of these items."""
        raise NotImplementedError

    def set_drawing(self) -> None:
        """Repaint after the way of drawing changed."""
        for widget in self.query(LineWidget):
            widget.drawing = self.workspace.drawing

    def _show_banner(self) -> None:
        banner = self.query_one("#banner", Static)
        text = banner_text(self.workspace)
        banner.set_class(bool(text), "-shown")
        if str(banner.content) != text:
            banner.update(text)

    # panes are tabs where the window is narrow

    @property
    def narrow(self) -> bool:
        """Whether the panes are tabs."""
        return self.has_class("-narrow")

    def focusable_panes(self) -> list[Widget]:
        """The panes that `tab` goes through."""
        return [widget for widget in self.focus_chain if isinstance(widget, Widget)]

    def action_pane(self, step: int) -> None:
        if self.narrow and self.PANES:
            self._pane = (self._pane + step) % len(self.PANES)
            self._show_pane()
            self.call_after_refresh(self.show, Changes(everything=True, values=True, status=True))
        elif step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def _show_pane(self) -> None:
        for number, pane in enumerate(self.PANES):
            self.set_class(number == self._pane, f"-pane-{pane}")
        for tabs in self.query(".tabs").results(Static):
            names = [
                f"[{name}]" if number == self._pane else f" {name} "
                for number, name in enumerate(self.PANES)
            ]
            tabs_text = " ".join(names) + "   tab: next"
            tabs.update(tabs_text if len(" ".join(names)) <= self.size.width else "".join(names))

    def action_zoom_pane(self) -> None:
        if self.maximized is not None:
            self.minimize()
        elif self.focused is not None:
            self.maximize(self.focused)


def page_of(app: App) -> Page | None:
    """The visible page; None while a dialog covers it, or before there is any screen."""
    screen = app.screen if app.screen_stack else None
    return screen if isinstance(screen, Page) else None


def _no_device(workspace: Workspace, status: EngineStatus) -> str:
    """The message for an engine without any device: why it cannot process, and what to do."""
    if status.state in ("starting", "stopped"):
        return ""  # the engine still looks for devices, or has ended on purpose
    if not status.devices:
        key = workspace.key("settings")
        return f"! no device to process on. Set [compute] devices, auto or a list ({key} settings)."
    lost = [str(device.get("problem") or "") for device in status.devices]
    if not all(lost):
        return ""
    which = ", ".join(dict.fromkeys(str(device.get("device")) for device in status.devices))
    return (
        f"! no device works ({which}). {workspace.key('start-pause')} tries again, "
        f"{workspace.key('settings')} sets others ([compute] devices), "
        f"`warptui doctor` tests them. {lost[0]}"
    )


def banner_text(workspace: Workspace) -> str:
    """What is wrong and what to do about it; empty when all is well."""
    status, start = workspace.mirror.status, workspace.key("start-pause")
    if (other := workspace.other_version) is not None:
        return (
            f"! an engine of another version runs ({other.version}; this app: "
            f"{other.own_version}). Press {start} to end it and start one of this version."
        )
    if workspace.lost:
        first, _, rest = workspace.lost.partition("\n")
        last = rest.strip().rpartition("\n")[2].strip()
        dated = ""
        if status is not None:
            seconds = workspace.mirror.status_age_s()
            dated = f" What you see is {words.age(seconds)} old."
        return f"! {first}{': ' + last if last else ''}.{dated} Press {start} to start the engine."
    if workspace.catching_up is not None:
        old = "" if status is None else "; until then you see what was before"
        return f"catching up with the engine: {workspace.catching_up:,} items so far{old}"
    if status is None:
        return "connecting to the engine" if workspace.connecting else ""
    if no_device := _no_device(workspace, status):
        return no_device
    if status.message:
        return f"! {status.message}"
    if status.state == "paused":
        return f"paused: new movies are found, but nothing is processed. Press {start} to go on."
    return ""
