"""What the app's process must not load: torch costs seconds and 750 MB."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "scipy", "numba", "cupy")


@pytest.mark.parametrize(
    "module",
    [
        "warptui.app",
        "warptui.cli",
        "warptui.client",
        "warptui.engine.config.file",
        "warptui.engine.config.settings",
        "warptui.engine.service",
        "warptui.engine.model.edits",
        "warptui.engine.planning.plan",
        "warptui.engine.project.store",
    ],
)
def test_importing_it_loads_no_numerics(module: str):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_command_line_answers_without_the_app():
    code = (
        "import sys, warptui.cli\n"
        "code = warptui.cli.main(['--version'])\n"
        "loaded = [name for name in ('torch', 'textual', 'numpy') if name in sys.modules]\n"
        "sys.exit(code or bool(loaded))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_the_engine_knows_no_interface():
    code = (
        "import pkgutil, sys, warptui.engine as engine\n"
        "names = [m.name for m in pkgutil.walk_packages(engine.__path__, 'warptui.engine.')]\n"
        "for name in names:\n"
        "    if not name.endswith('__main__'):\n"
        "        __import__(name)\n"
        "print([name for name in ('textual', 'rich', 'plotext') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr
