"""The Textual app: hands what Textual asks of an app to the objects that do the work."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

# Textual reads these once, at its import; over SSH every byte and repaint costs waiting time
if "SSH_CONNECTION" in os.environ:
    os.environ.setdefault("TEXTUAL_FPS", "15")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
else:  # draw no more often, but a key waits for the next frame: 8 ms instead of 16
    os.environ.setdefault("TEXTUAL_FPS", "120")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.events import Event
from textual.filter import LineFilter
from textual.screen import Screen

from warptui import client as engine_client
from warptui.screens.copying import PathCopier
from warptui.screens.dialogs.windows import TextDialog
from warptui.screens.keys.command_list import Palette, key_commands
from warptui.screens.keys.help import help_text
from warptui.screens.keys.order import KeyOrder, KeyPassed
from warptui.screens.keys.tables.app import APP
from warptui.screens.leaving import UnwaitedThreads
from warptui.screens.link.announcements import Announcements
from warptui.screens.link.calls import Calls
from warptui.screens.link.feed import Engine, Feed
from warptui.screens.link.following import EventFollower
from warptui.screens.link.item_actions import ItemActions
from warptui.screens.link.launching import EngineControl
from warptui.screens.link.pending_edits import EditSender
from warptui.screens.look.appearance import Appearance
from warptui.screens.look.glyphs import Drawing
from warptui.screens.look.palette import VARIABLES
from warptui.screens.navigation import Navigation
from warptui.screens.overview.plots import Plots
from warptui.screens.overview.screen import Overview
from warptui.screens.page import Page, page_of
from warptui.screens.stages.view import Side
from warptui.screens.workspace import Workspace


class WarptuiApp(App[None]):
    """The terminal app of one project."""

    TITLE = "warptui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = list(APP)

    def __init__(
        self,
        project: Path,
        attach: Callable[[], Engine],
        connect: Callable[[], Engine],
        launch: Callable[[], None],
        drawing: Drawing | None = None,
    ) -> None:
        """``attach`` makes the first connection, ``connect`` later ones; they and ``launch``,
        which starts an engine, raise EngineError where that fails."""
        super().__init__()
        self.project = project
        self.key_order = KeyOrder(self, super().on_event)
        self.appearance = Appearance(self, drawing)
        self.workspace = workspace = Workspace()
        workspace.drawing = self.appearance.drawing
        self.feed = feed = Feed(attach, connect)
        self.calls = calls = Calls(self, feed, workspace)
        self.announcements = Announcements(self, workspace)
        self.control = EngineControl(self, project, feed, workspace, calls, launch)
        self.edits = EditSender(self, feed, workspace.edits, self.show_edited)
        self.items = ItemActions(self, workspace, calls, self.announcements)
        self.paths = PathCopier(self, workspace, calls)
        self.navigation = Navigation(self, workspace, calls, self.edits, project)
        self.follower = EventFollower(
            self, feed, workspace, calls, self.control, self.edits, self.announcements
        )

    # what Textual asks of an app

    def get_default_screen(self) -> Screen:
        return Overview(self.workspace)

    def on_mount(self) -> None:
        threads = UnwaitedThreads(thread_name_prefix="call")
        asyncio.get_running_loop().set_default_executor(threads)
        self.follower.start()
        self.appearance.mounted()

    def on_unmount(self) -> None:
        self.feed.stop()

    async def on_event(self, event: Event) -> None:
        await self.key_order.on_event(event)

    async def on_key_passed(self, message: KeyPassed) -> None:
        await self.key_order.on_key_passed(message)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def get_line_filters(self) -> Sequence[LineFilter]:
        return self.appearance.line_filters(super().get_line_filters())

    def get_key_display(self, binding: Binding) -> str:
        return self.appearance.key_display(super().get_key_display(binding))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        pages = [screen for screen in self.screen_stack if isinstance(screen, Page)]
        return not (pages and action in pages[-1].HIDDEN)

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        yield from key_commands(self, screen)
        yield SystemCommand("Engine log", "the end of the engine's log", self.control.show_log)
        yield SystemCommand("Retry all failed", "forget failures", self.items.retry_failed)
        for name in self.available_themes:
            yield SystemCommand(f"Theme {name}", "colours", partial(setattr, self, "theme", name))

    # items

    def action_choose(self) -> None:
        self.items.cycle_choice()

    def action_exclude(self) -> None:
        self.items.switch_exclusion()

    def action_reprocess(self) -> None:
        self.items.process_again()

    def action_export(self) -> None:
        self.items.export()

    def action_seen(self) -> None:
        self.items.acknowledge_notice()

    def action_copy_path(self, raw: bool = False) -> None:
        self.paths.copy(raw=raw)

    # the engine

    def action_process(self) -> None:
        self.control.start_or_pause()

    def on_plots_limits_changed(self, message: Plots.LimitsChanged) -> None:
        filters = {"filters": message.filters}
        self.calls.ask(lambda engine: engine.change(filters), failed=message.refused)

    # where to look

    def action_problem(self) -> None:
        self.navigation.problem()

    def action_match(self, direction: int) -> None:
        self.navigation.match(direction)

    def action_step(self, steps: int) -> None:
        self.navigation.step(steps)

    def action_follow(self) -> None:
        self.navigation.follow_newest()

    def action_overview(self) -> None:
        self.navigation.to_overview()

    def action_item(self) -> None:
        self.navigation.to_item()

    on_item_table_opened = on_jobs_opened = on_training_screen_opened = action_item

    def action_side(self, side: str) -> None:
        self.navigation.to_side(Side(side))

    def action_jobs(self) -> None:
        self.navigation.to_jobs()

    def action_training(self) -> None:
        self.navigation.to_training()

    def action_settings(self) -> None:
        self.navigation.to_settings()

    def action_adopt(self) -> None:
        self.navigation.adopt()

    def action_try_settings(self, stage: str) -> None:
        self.navigation.try_settings(stage)

    async def action_back(self) -> None:
        self.navigation.back()

    async def action_quit(self) -> None:
        self.navigation.detach()

    # the look, help and commands

    def show_edited(self) -> None:
        """Show whether edits are saved, on the pages that show that."""
        if (page := page_of(self)) is not None:
            page.show_edited()

    def action_drawing(self) -> None:
        self.workspace.drawing = self.appearance.next_drawing()
        for page in self.screen_stack:
            if isinstance(page, Page):
                page.set_drawing()
        self.notify(f"glyphs: {self.workspace.drawing}")

    def action_help(self) -> None:
        width = TextDialog.text_width(self.size.width)
        text = help_text(self, self.screen, self.workspace.drawing, width)
        self.push_screen(TextDialog("Help", text))

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))


def run_app(project: Path, running: engine_client.Client | None = None) -> int:
    """Open the app on a project, starting its engine when none runs; returns the exit status.

    ``running`` is a client of the engine, where one is known to run.
    """
    if os.environ.get("TERM", "dumb") == "dumb" or not (sys.stdin.isatty() and sys.stderr.isatty()):
        print(
            "warptui: this is no terminal that can show the app (TERM="
            f"{os.environ.get('TERM', '')}). Try TERM=xterm-256color, or use "
            "`warptui status` and `warptui run`, which print lines.",
            file=sys.stderr,
        )
        return 2
    app = WarptuiApp(
        project,
        attach=lambda: running or engine_client.attach(project),
        connect=lambda: engine_client.Client.connect(project),
        launch=lambda: engine_client.launch_engine(project),
    )
    app.run()
    if app.return_code == 0 and not app.workspace.lost:
        print(f"Detached: the engine goes on. `warptui {project}` attaches again.")
    return app.return_code or 0
