"""The items of a project: `run`, `status`, `select`."""
