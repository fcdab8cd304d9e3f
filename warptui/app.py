"""The terminal app: keys, theme, and the engine's words on the way to the screens."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

# Textual reads these once, at its import; over SSH every byte and repaint is somebody's wait
if "SSH_CONNECTION" in os.environ:
    os.environ.setdefault("TEXTUAL_FPS", "15")
    os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")
else:  # nothing is drawn more often, but a key waits for the next frame: 8 ms instead of 16
    os.environ.setdefault("TEXTUAL_FPS", "120")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")

from textual.app import SystemCommand
from textual.screen import Screen

from warptui import client as engine_client
from warptui.engine.api.events import CatchingUp, LogLine, Snapshot
from warptui.engine.model.detail import AVERAGE, ItemDetail
from warptui.screens.dialogs.prompts import keeping, leaving
from warptui.screens.dialogs.windows import TextDialog
from warptui.screens.item.screen import ItemScreen
from warptui.screens.jobs.screen import Jobs
from warptui.screens.keys.bindings import APP_BINDINGS, all_bindings, clashes
from warptui.screens.keys.command_list import Palette, key_commands
from warptui.screens.keys.help import help_text
from warptui.screens.leaving import UnwaitedThreads
from warptui.screens.link.calls import CallingApp
from warptui.screens.link.feed import Engine, Feed, Found, Lost
from warptui.screens.link.mirror import Changes
from warptui.screens.look.glyphs import Drawing
from warptui.screens.overview.plots import Plots
from warptui.screens.overview.screen import Overview
from warptui.screens.page import RAW, Page
from warptui.screens.stages import VIEWS
from warptui.screens.stages.view import Side

UPDATE_S = 0.5  # the screen follows the engine at 2 Hz at most
AGES_S = 5.0  # between looks at what grows older while the engine says nothing


class WarptuiApp(CallingApp):
    """One viewer of one session."""

    TITLE = "warptui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS = list(APP_BINDINGS)

    def __init__(
        self,
        project: Path,
        attach: Callable[[], Engine],
        connect: Callable[[], Engine],
        launch: Callable[[], None],
        drawing: Drawing | None = None,
    ) -> None:
        super().__init__(project, Feed(attach, connect), launch, drawing)
        self._followed_at = float("-inf")
        self._rung: set[tuple[int, int]] | None = None  # notices that the bell rang for

    def get_default_screen(self) -> Screen:
        return Overview(self.workspace)

    def on_mount(self) -> None:
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()
        loop.set_default_executor(UnwaitedThreads(thread_name_prefix="call"))

        def heard() -> None:  # in the feed's thread, which knows nothing of the app
            loop.call_soon_threadsafe(self._hear, context=context)

        self.feed.heard = heard
        self.feed.start()
        self.set_interval(AGES_S, self.follow_engine)

    def on_unmount(self) -> None:
        self.feed.stop()

    # the engine's words

    def _hear(self) -> None:
        """There is news: take it in at once, or when the last time is long enough ago."""
        wait = self._followed_at + UPDATE_S - time.monotonic()
        if wait > 0:
            self.set_timer(wait, self.follow_engine)
        else:
            self.call_next(self.follow_engine)

    def follow_engine(self) -> None:
        """Take in what the engine said since the last time, and show it."""
        if not self.is_running:
            return  # when the app closes, its widgets go before its timer
        workspace = self.workspace
        if workspace.mirror.status is not None:  # the first items are waited for
            self._followed_at = time.monotonic()
        notices = self.feed.take()
        news: list[Any] = []
        news_is_bad = False
        for notice in notices:
            match notice:
                case Found():
                    workspace.lost, workspace.connecting = "", False
                    workspace.stranger = None
                    self.ask("config", done=self._take_config)
                    self.send_edits()
                case Lost(reason, other):
                    workspace.lost, workspace.stranger = self._obituary(reason), other
                    if other is not None:
                        workspace.lost = self.meet(other)
                    news.append(LogLine(time.time(), "error", workspace.lost))
                    workspace.connecting, workspace.catching_up = False, None
                    news_is_bad = True
                case CatchingUp(n_items):
                    workspace.catching_up = n_items
                case _:
                    if isinstance(notice, Snapshot):
                        workspace.catching_up = None
                    news.append(notice)
        changes = workspace.mirror.apply(news)
        changes.status = True  # ages go on
        self._ring(news_is_bad)
        self.tell_of_exports()
        self.tell_of_training()
        self.send_again()
        status = workspace.mirror.status
        if status is not None and status.settings_version != workspace.settings_version:
            workspace.settings_version = status.settings_version
            self.ask("config", done=self._take_config)
        changes.everything = changes.everything or news_is_bad
        current = workspace.current
        if changes.everything or (changes.items and workspace.order_depends_on_items):
            workspace.refresh()
            changes.order = True
        elif changes.items and workspace.following:
            workspace.current = workspace.newest()
            changes.order = workspace.current != current
        if isinstance(self.screen, Page):
            self.screen.show(changes)

    def _ring(self, news_is_bad: bool) -> None:
        """The bell, once for each notice that came while one watched, or if the engine died."""
        status = self.workspace.mirror.status
        if status is None:
            return
        notices = {(status.pid, notice.id) for notice in status.notices}
        new = notices - self._rung if self._rung is not None else set()
        self._rung = notices | (self._rung or set())
        if (new or news_is_bad) and self.workspace.config.get("alerts", {}).get("bell", True):
            self.bell()

    def _take_config(self, config: dict[str, Any]) -> None:
        before, self.workspace.config = self.workspace.config, config
        keys = {str(name): str(key) for name, key in config.get("keys", {}).items()}
        known = {binding.id for binding in all_bindings()} if keys else set()
        if strange := sorted(set(keys) - known):
            lists = f"{self.workspace.key('help')} lists them"
            self.notify(
                f"[keys] in config.toml: no binding is called {', '.join(strange)}; {lists}",
                severity="warning",
                markup=False,
            )
        if found := clashes(keys) if keys else ():
            self.notify(
                f"[keys] in config.toml: the same key twice: {'; '.join(found)}",
                severity="warning",
                markup=False,
            )
        self.set_keymap(keys)
        if isinstance(self.screen, Page):
            other = before.get("optics") != config.get("optics")
            self.screen.show(Changes(everything=True, values=other))

    # where to look

    def _go(self, name: str | None, complaint: str = "") -> None:
        if name is None:
            if complaint:
                self.notify(complaint)
            return
        self.workspace.following = False
        self.workspace.current = name
        if isinstance(self.screen, Page):
            self.screen.show_current()

    def action_problem(self) -> None:
        name = self.workspace.next_problem()
        number = self.workspace.mirror.index.get(name) if name else None
        if number is not None and number not in self.workspace.order:
            if isinstance(self.screen, Page):
                self.screen.clear_marks()
            self.workspace.filter = None  # a problem is never hidden by a filter
            self.workspace.refresh()
            self.workspace.current = name
            if isinstance(self.screen, Page):
                self.screen.show(Changes(order=True))
        self._go(name, "no item failed, is missing or lacks a number")

    def action_match(self, direction: int) -> None:
        if isinstance(self.screen, Page) and self.screen.match(direction):
            return
        self._go(self.workspace.next_match(direction), "nothing matches")

    def action_step(self, steps: int) -> None:
        self._go(self.workspace.step(steps))

    def action_follow(self) -> None:
        if isinstance(self.screen, Page) and self.screen.follow():
            return
        workspace = self.workspace
        workspace.following = not workspace.following
        if workspace.following:
            workspace.current = workspace.newest()
        if isinstance(self.screen, Page):
            self.screen.show_current()

    def action_overview(self) -> None:
        while isinstance(self.screen, Page) and len(self.screen_stack) > 1:
            self.pop_screen()

    def action_item(self) -> None:
        if not isinstance(self.screen, ItemScreen) and self.workspace.current is not None:
            self.push_screen(ItemScreen(self.workspace, lambda: self.feed.client))

    def action_jobs(self) -> None:
        while any(isinstance(page, Jobs) for page in self.screen_stack[:-1]):
            self.pop_screen()
        if not isinstance(self.screen, Jobs):
            self.push_screen(Jobs(self.workspace, self.ask))

    def on_jobs_opened(self) -> None:
        self.action_item()

    def action_training(self) -> None:
        from warptui.screens.training.screen import (
            TrainingScreen,  # pydantic: not when the app starts
        )

        while any(isinstance(page, TrainingScreen) for page in self.screen_stack[:-1]):
            self.pop_screen()
        if not isinstance(self.screen, TrainingScreen):
            page = TrainingScreen(self.workspace, lambda: self.feed.client, self.project)
            self.push_screen(page)

    def on_training_screen_opened(self) -> None:
        self.action_item()

    def action_settings(self, adopt: str = "") -> None:
        from warptui.screens.settings.screen import (
            SettingsScreen,  # pydantic: not when the app starts
        )

        page = self.screen
        if not isinstance(page, SettingsScreen):
            page = SettingsScreen(self.workspace, lambda: self.feed.client, self.project)
            self.push_screen(page)
        if adopt:
            page.adopt(adopt)

    def action_adopt(self) -> None:
        if self.workspace.current is None:
            self.notify("there is no item")
        else:
            self.action_settings(self.workspace.current)

    def action_try_settings(self, stage: str) -> None:
        from warptui.screens.item.trial import TrialScreen  # pydantic: not when the app starts

        page = self.screen
        loaded = page.loaded if isinstance(page, ItemScreen) else None
        view = next(view for view in VIEWS if view.stage == stage)
        if loaded is None or loaded.detail is None:
            self.notify("nothing is known of this item yet")
        elif self.feed.client is None or not self.workspace.config:
            self.notify("the engine is not reachable; s starts it", severity="error")
        else:
            self.push_screen(
                TrialScreen(self.workspace, lambda: self.feed.client, self.project, view, loaded)
            )

    async def action_quit(self) -> None:
        if not self.workspace.draft:
            if not self.leave_with_edits():
                self.exit()
            return

        def answered(answer: str | None) -> None:
            if answer != "x":
                self.action_settings()
            elif not self.leave_with_edits():
                self.exit()

        self.push_screen(leaving(self.workspace.n_drafted), answered)

    def ask_about_draft(self) -> None:
        """The settings were left with changes: are they still wanted?"""

        def answered(answer: str | None) -> None:
            if answer == "x":
                self.workspace.draft.clear()

        key = self.workspace.key("settings")
        self.push_screen(keeping(self.workspace.n_drafted, key), answered)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        pages = [screen for screen in self.screen_stack if isinstance(screen, Page)]
        return not (pages and action in pages[-1].HIDDEN)

    def action_side(self, side: str) -> None:
        self.action_item()
        page = self.screen
        if isinstance(page, ItemScreen):
            self.call_later(page.show_side, Side(side))

    def on_plots_limits_changed(self, message: Plots.LimitsChanged) -> None:
        self.ask("change", {"filters": message.filters}, failed=message.refused)

    def on_item_table_opened(self) -> None:
        self.action_item()

    async def action_back(self) -> None:
        page = self.screen
        if page.maximized is not None:
            page.minimize()
        elif isinstance(page, Page) and page.clear_marks():
            return
        elif len(self.screen_stack) > 1:
            self.pop_screen()
        elif isinstance(page, Overview):
            page.clear_filter()

    # the rest

    def action_drawing(self) -> None:
        ways = list(Drawing)
        self.keep_drawing(ways[(ways.index(self.drawing) + 1) % len(ways)])
        self.workspace.drawing = self.drawing
        for page in self.screen_stack:
            if isinstance(page, Page):
                page.set_drawing()
        self.notify(f"glyphs: {self.workspace.drawing}")

    def action_copy_path(self, raw: bool = False) -> None:
        if not isinstance(self.screen, Page):
            return
        kind, paths = self.screen.paths(raw)
        if kind == RAW and len(paths) == 1 and not raw and not self.workspace.lost:
            name = self.screen.targets()[0].name  # the engine knows whether there is an average
            self.ask("item", name, done=self._copy_of)
        else:
            self._copy(kind, paths)

    def _copy_of(self, detail: ItemDetail) -> None:
        average = detail.path(AVERAGE)
        self._copy("average" if average else RAW, [average or detail.raw_path])

    def _copy(self, kind: str, paths: list[str]) -> None:
        if not paths:
            self.notify("no item: nothing to copy")
            return
        self.copy_to_clipboard("\n".join(paths))
        said = paths[0] if len(paths) == 1 else f"{len(paths):,} paths"
        self.notify(said, title=f"copied: {kind}", markup=False)

    def action_help(self) -> None:
        width = TextDialog.text_width(self.size.width)
        text = help_text(self, self.screen, self.workspace.drawing, width)
        self.push_screen(TextDialog("Help", text))

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        yield from key_commands(self, screen)
        yield SystemCommand("Engine log", "the end of the engine's log", self.action_engine_log)
        yield SystemCommand("Retry all failed", "forget failures", self.retry_all)
        for name in self.available_themes:
            yield SystemCommand(f"Theme {name}", "colours", partial(setattr, self, "theme", name))


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
