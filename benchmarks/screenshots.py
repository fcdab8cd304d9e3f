"""The README's pictures, made by the app itself: `python benchmarks/screenshots.py [FOLDER]`."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.screens.fake_app import make_app, write_project
from tests.screens.fake_engine import FakeEngine
from warptui.screens.widgets.glyphs import Drawing

SIZE = (120, 40)
SETTLE_S = 2.0
PICTURES = {
    "overview": ("Overview: list, strips of every value, the session in numbers", ()),
    "item": (
        "Item: spectrum and rings of the CTF, average with motion tracks, motion, numbers",
        ("enter",),
    ),
    "jobs": ("Jobs and log: what failed and why", ("5",)),
}


async def take(folder: Path, name: str, title: str, keys: tuple[str, ...]) -> None:
    """One picture, of a fresh app."""
    with tempfile.TemporaryDirectory() as previews:
        engine = FakeEngine(1284, Path(previews))
        engine.project = write_project(Path(previews))
        app = make_app(engine, drawing=Drawing.QUADRANT)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.pause(SETTLE_S)
            if name == "item":  # one that has a picture
                await pilot.press("g", "pagedown")
            await pilot.press(*keys)
            await pilot.pause(SETTLE_S)
            picture = app.export_screenshot(title=title)
            (folder / f"{name}.svg").write_text(picture, encoding="utf-8")


async def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, keys) in PICTURES.items():
        await take(folder, name, title, keys)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs")))
