"""The engine of a project: `engine`, `start`, `stop`, `pause`, `resume`."""
