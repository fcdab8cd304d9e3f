"""Everything that can go wrong, as a tree.

::

    WarptuiError
    ├── SettingsError          a key, its value, and what is allowed
    ├── ItemError              concerns one item; the rest goes on
    │   ├── InputError         the raw file or a reference cannot be used
    │   │   ├── TruncatedError    fewer readable frames than expected
    │   │   ├── CorruptError      the bytes contradict themselves
    │   │   └── GainError         the gain reference or defect map does not fit
    │   ├── OutputError        a product was not finite, constant, or could not be written
    │   └── StageError         the maths of a stage cannot work on this input
    ├── TransientError         a file system hiccup: try again later, do not blame the item
    ├── DiskFullError          no space or quota left: processing pauses
    ├── WorkerError            a worker process died, hung, or ran out of memory
    ├── ExportError            a list for another program cannot be written as asked
    ├── TrainingError          BoxNet cannot be trained as asked, or from what there is
    ├── Cancelled              asked to stop
    └── EngineError            the engine itself: lock, socket, protocol
        └── OtherVersionError one runs whose language this program does not speak

A message names the item or file, what was found, what was expected, and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping


class WarptuiError(Exception):
    """Root of all errors that warptui raises on purpose."""


class SettingsError(WarptuiError):
    """A setting is wrong: the message names the key, the value found, and what is allowed.

    ``problems`` says what is allowed by key ("motion.b_factor"); empty where no key is to blame.
    """

    def __init__(self, message: str, problems: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.problems = dict(problems or {})


class ItemError(WarptuiError):
    """Concerns one item only; the rest of the session goes on."""


class InputError(ItemError):
    """The raw file or a reference that it needs cannot be used."""


class TruncatedError(InputError):
    """The file ends before its last frame."""


class CorruptError(InputError):
    """The bytes of the file contradict themselves."""


class GainError(InputError):
    """The gain reference or the defect map does not fit the frames."""


class OutputError(ItemError):
    """A product was not finite, was constant, or could not be written."""


class StageError(ItemError):
    """The maths of a stage cannot work on this input."""


class TransientError(WarptuiError):
    """A file system hiccup (ESTALE, EIO, ETIMEDOUT): try again, the item is not to blame."""


class DiskFullError(WarptuiError):
    """No space or quota is left for results: processing pauses until there is."""


class WorkerError(WarptuiError):
    """A worker process died, hung, or ran out of memory."""


class ExportError(WarptuiError):
    """A list for another program cannot be written as asked."""


class TrainingError(WarptuiError):
    """BoxNet cannot be trained as asked, or from what there is."""


class Cancelled(WarptuiError):
    """The stage was asked to stop."""


class EngineError(WarptuiError):
    """The engine itself: lock, socket, or protocol."""


class OtherVersionError(EngineError):
    """An engine runs whose language this program does not speak."""

    def __init__(
        self, project: object, hello: Mapping[str, object], own: str, protocol: int
    ) -> None:
        self.version, self.pid = str(hello.get("version")), hello.get("pid")
        self.host, self.own_version = str(hello.get("host")), own
        if self.version == own:  # of a working copy between two versions
            self.version, self.own_version = (
                f"{own}, protocol {hello.get('protocol')}",
                f"protocol {protocol}",
            )
        super().__init__(
            f"an engine of another version runs on {project}: process {self.pid} on {self.host} "
            f"speaks protocol {hello.get('protocol')} (version {hello.get('version')}), this "
            f"program {protocol} (version {own}). `warptui stop` ends it; nothing is lost: items "
            "that run are begun again"
        )
