"""``python -m tests.screens.fake_app [N_ITEMS] [STATE...]``: the app by hand, without an engine.

``nobody``: no engine answers; ``empty``: nothing there yet; ``paused``; ``grow``: items arrive;
``later``: more values, as stages of later versions will declare them; ``notices``: two are unseen.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

from tests.screens.fake_engine import (
    FakeEngine,
    initial_settings,
    synthetic_notices,
    synthetic_rows,
)
from warptui.app import WarptuiApp
from warptui.engine.config.file import config_text, read_config
from warptui.engine.config.settings import Config
from warptui.engine.errors import EngineError
from warptui.engine.model.item import State


def make_app(engine: FakeEngine | None, **options) -> WarptuiApp:
    """The app on a fake engine; None: none answers."""
    project = options.pop("project", None) or (engine.project if engine else None)

    def connect() -> FakeEngine:
        if engine is None:
            raise EngineError("no engine runs on /data/k3 (Connection refused)")
        return engine

    def launch() -> None:
        raise EngineError("the engine ended with 1; the end of engine.log:\nout of memory")

    return WarptuiApp(project or Path("/data/k3"), connect, connect, launch, **options)


def write_project(folder: Path) -> Path:
    """A project folder with the settings that the fake engine uses."""
    text = config_text(Config.from_json(initial_settings()))
    (folder / "config.toml").write_text(text)
    return folder


def _grow(engine: FakeEngine, n: int) -> None:
    rows = synthetic_rows(n + 5000)
    for row in rows[n:]:
        time.sleep(1.0)
        engine.say(replace(row, state=State.QUEUED, summary={}))
        engine.say_status(newest_age_s=0.0)


if __name__ == "__main__":
    words = sys.argv[1:]
    n_items = next((int(word) for word in words if word.isdigit()), 1284)
    previews = Path(tempfile.mkdtemp(prefix="warptui-fake-"))
    status: dict = {"state": "paused"} if "paused" in words else {}
    if "notices" in words:
        status["notices"] = synthetic_notices()
    number = 0 if "empty" in words else n_items
    fake = FakeEngine(number, previews, later="later" in words, **status)
    fake.project = write_project(previews)
    fake.settings = read_config(fake.project).to_json()
    if "grow" in words:
        threading.Thread(target=_grow, args=(fake, n_items), daemon=True).start()
    make_app(None if "nobody" in words else fake).run()
