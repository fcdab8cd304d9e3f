"""Key to paint on the item screen: processor time of one process, medians, in milliseconds.

``python -m benchmarks.item_screen [N_ITEMS]``. The neighbours are pre-read, as they are whenever
somebody looks at an item for longer than a moment; the terminal's own time is not in it.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from textual import events

from tests.screens.conftest import until
from tests.screens.fake_app import make_app
from tests.screens.fake_engine import FakeEngine
from warptui.app import WarptuiApp
from warptui.screens.look.glyphs import Drawing

ROUNDS = 15
SETTLED_S = 0.2  # all is painted by then; waiting takes no processor time
KEYS = (("left", "neighbour"), ("t", "layer"), ("m", "map"), ("greater_than_sign", "contrast"))


async def measure(n_items: int, size: tuple[int, int], drawing: Drawing) -> dict[str, float]:
    """Medians by what the key does."""
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(FakeEngine(n_items, Path(folder)), drawing=drawing)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: len(app.workspace.mirror) == n_items)
            await until(pilot, lambda: app.workspace.config)
            await pilot.press("enter")
            taken: dict[str, list[float]] = {name: [] for _, name in KEYS}
            for _ in range(ROUNDS):
                for key, name in KEYS:
                    await until(pilot, lambda: getattr(app.screen, "read_ahead", False))
                    await pilot.pause()
                    taken[name].append(await key_to_paint(app, key))
            return {name: statistics.median(times) for name, times in taken.items()}


async def key_to_paint(app: WarptuiApp, key: str) -> float:
    """Of the app's thread, from the key to the last byte for the terminal."""
    begun = time.thread_time()
    app.post_message(events.Key(key, None))
    await asyncio.sleep(SETTLED_S)
    return 1e3 * (time.thread_time() - begun)


def main() -> None:
    """Print a table."""
    n_items = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    print(f"{n_items} items; ms of processor time")
    for size in ((80, 24), (120, 40), (200, 60)):
        for drawing in Drawing:
            found = asyncio.run(measure(n_items, size, drawing))
            said = "  ".join(f"{name} {ms:5.1f}" for name, ms in found.items())
            print(f"{size[0]:3}x{size[1]}  {drawing:10}  {said}", flush=True)


if __name__ == "__main__":
    main()
