"""Type of changed settings that the app, the command line and the engine exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Changes = Mapping[str, Mapping[str, Any]]  # by section and key; None takes the key out of the file
NO_CHANGES: Changes = {}
