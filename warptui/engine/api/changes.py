"""Changes of settings, as the app, the command line and the engine pass them on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Changes = Mapping[str, Mapping[str, Any]]  # by section and key; None takes the key out of the file
NO_CHANGES: Changes = {}
