"""Folder -> newly complete files.

The truth is a look into the folder; file system events only make the next look come early. Times
are those of our own monotonic clock: file times serve to see *that* a file changed, never when.
Only names that are not yet complete are examined in every look; complete ones are known by the
inode that the listing names for free, and are looked at one after another in the background.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from warptui.engine.errors import InputError, TransientError
from warptui.engine.formats.acquisition.squares import square_told_beside
from warptui.engine.project import filesystem

IGNORED_SUFFIXES = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~", ".warptui-tmp")
PATIENCE = 3  # settle times that a file with fewer frames than its siblings is given
GIVE_UP = 10  # settle times after which an unchanged, incomplete file is handed on to fail
BUDGET_S = 0.2  # longest time that one look examines files
PATROL = 50  # complete files that are looked at again in each look
SIBLINGS = 50  # movies whose usual frame count is expected
MAX_BACKOFF_S = 60.0


@dataclass(frozen=True)
class Waiting:
    """A file that is not complete yet, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Complete:
    """A file that is complete, or new again: its content may differ from the one before."""

    path: Path
    fingerprint: str
    note: str = ""
    at_start: bool = False  # it was there when the watch began
    square: str = ""  # of the grid, where the path does not name it


@dataclass(frozen=True)
class Refused:
    """Something with the name of a movie that can never be read, such as a pipe."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Gone:
    """A file vanished."""

    path: Path


@dataclass(frozen=True)
class FolderState:
    """The folder became unusable (with a reason), or usable again (empty reason)."""

    reason: str


Sighting = Waiting | Complete | Refused | Gone | FolderState


@dataclass(frozen=True)
class Patterns:
    """Which names are movies."""

    take: tuple[str, ...]
    never: frozenset[Path] = frozenset()  # the gain reference and its like

    def match(self, name: str) -> bool:
        """Whether a file of this name is taken."""
        low = name.lower()
        if name.startswith(".") or low.endswith(IGNORED_SUFFIXES) or "_gain" in low:
            return False
        return any(fnmatch.fnmatchcase(low, pattern.lower()) for pattern in self.take)


@dataclass
class _Candidate:
    stamp: tuple[int, int, int]  # size, mtime_ns, inode: compared, never read
    inode: int  # as the listing names it
    since: float  # our clock: unchanged from then on
    due: float  # when to examine it
    at_start: bool
    refused: bool = False


class FolderWatch:
    """What is known about a folder. `look` often; it returns what is new.

    Parameters
    ----------
    folder
        The folder; may come and go.
    patterns
        Names that are movies.
    settle_s
        A file is complete when unchanged for this long.
    recursive
        Whether to look into sub-folders.
    skip
        Folders that are not entered.
    inspect
        (problem, number of frames) of a file; problem is "" when it is structurally complete.
    fingerprint
        Names the content of a file.
    known
        Files whose results are up to date as far as we know, with their fingerprints.
    """

    def __init__(
        self,
        folder: Path,
        patterns: Patterns,
        settle_s: float,
        *,
        inspect: Callable[[Path], tuple[str, int]],
        fingerprint: Callable[[Path], str],
        recursive: bool = False,
        skip: frozenset[Path] = frozenset(),
        known: dict[Path, str] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.folder = folder
        self.warnings: deque[str] = deque(maxlen=20)  # for the log
        self._patterns, self._settle_s, self.recursive = patterns, settle_s, recursive
        self._skip, self._inspect, self._fingerprint = skip, inspect, fingerprint
        self._clock = clock
        # Paths are strings in here: making 100,000 Path objects takes a second in every look.
        self._never = {str(path) for path in patterns.never}
        self._known = {str(path): content for path, content in (known or {}).items()}
        self._inodes: dict[str, int] = {}  # of complete files, as the listing names them
        self._prints: dict[str, str] = {}  # of the files in the patrol
        self._candidates: dict[str, _Candidate] = {}
        self._suspects: dict[str, tuple[int, int, int]] = {}  # failed: examined in every look
        self._patrol: deque[str] = deque()
        self._counts: dict[str, deque[int]] = {}  # frames of recent movies, by extension
        self._first = True
        self._reason = ""
        self._hiccups = 0

    def look(self, now: float) -> list[Sighting]:
        """List the folder and examine what is due. ``now`` is the monotonic clock."""
        try:
            names, special = self._list()
        except OSError as problem:
            return self._unusable(problem)
        self._hiccups = 0
        known = len(self._inodes) + len(self._candidates)
        if not names and known > 1:
            return self._close("is empty all of a sudden: is its disk still mounted?")
        found: list[Sighting] = []
        if self._reason:
            self._reason = ""
            found.append(FolderState(""))
        new = names.keys() - self._inodes.keys() - self._candidates.keys()
        for path in names.keys() - new:
            self._see(path, names[path], now, found)
        for path in sorted(new):  # what came between two looks counts as in name order
            self._see(path, names[path], now, found)
        if self._first:  # before the arrivals: one may be a file that was moved here
            found[:0] = [Gone(Path(path)) for path in self._known]
        for path in [path for path in self._inodes if path not in names]:
            del self._inodes[path]
            self._suspects.pop(path, None)
            found.append(Gone(Path(path)))
        for path in [path for path in self._candidates if path not in names]:
            if path not in special:
                del self._candidates[path]
                found.append(Gone(Path(path)))
        for path, reason in special.items():
            self._refuse(path, reason, found)
        self._first = False
        found.extend(self.ripen(now))
        found.extend(self._walk_round(now))
        return found

    def ripen(self, now: float) -> list[Sighting]:
        """Examine the candidates that are due, for a short time at most."""
        found: list[Sighting] = []
        if self._reason:
            return found
        until = self._clock() + BUDGET_S
        due = [path for path, candidate in self._candidates.items() if candidate.due <= now]
        old = [path for path in due if self._candidates[path].at_start]
        live = [path for path in reversed(due) if not self._candidates[path].at_start]
        for path in live + old:  # the latest first: it is what people wait for
            found.extend(self._examine(path, self._candidates[path], now))
            if self._clock() > until:
                break
        return found

    def next_due(self) -> float:
        """When to examine the earliest candidate, by the monotonic clock."""
        if self._reason:  # nothing can be examined until a look finds the folder usable
            return float("inf")
        return min((entry.due for entry in self._candidates.values()), default=float("inf"))

    def suspect(self, path: Path) -> None:
        """Watch a file closely, because it failed: a better one may replace it."""
        with suppress(OSError):
            self._suspects[str(path)] = _stamp(str(path))

    def recheck(self, path: Path) -> None:
        """Treat a file as newly arrived in the next look."""
        self._inodes.pop(str(path), None)
        self._suspects.pop(str(path), None)

    @property
    def patient_s(self) -> float:
        """How much longer to wait before the next look after hiccups of the file system."""
        return min(MAX_BACKOFF_S, 2.0**self._hiccups) if self._hiccups else 0.0

    def _list(self) -> tuple[dict[str, int], dict[str, str]]:
        """Inodes of files, and what is wrong with names of other things than files."""
        names: dict[str, int] = {}
        special: dict[str, str] = {}
        seen = set()
        folders = [self.folder]
        while folders:
            folder = folders.pop()
            try:
                entries = list(_scan(folder))
            except OSError as problem:
                if folder == self.folder or filesystem.is_transient(problem):
                    raise  # a part that is missing for a while must not look like deletions
                self.warnings.append(f"{folder}: {problem.strerror}")
                continue
            for entry in entries:
                if self._is_folder(entry, seen):
                    if Path(entry.path) not in self._skip:
                        folders.append(Path(entry.path))
                elif entry.path in self._inodes or self._is_movie(entry):
                    reason = _why_no_file(entry)
                    if reason is None:
                        names[entry.path] = entry.inode()
                    elif reason:
                        special[entry.path] = reason
        return names, special

    def _is_movie(self, entry: os.DirEntry[str]) -> bool:
        return self._patterns.match(entry.name) and entry.path not in self._never

    def _is_folder(self, entry: os.DirEntry[str], seen: set[tuple[int, int]]) -> bool:
        if not self.recursive or entry.name.startswith("."):
            return False
        try:
            if not entry.is_dir():
                return False
            found = entry.stat()
        except OSError:
            return False  # a loop of links
        here = (found.st_dev, found.st_ino)
        if here in seen:
            return False
        seen.add(here)
        return True

    def _unusable(self, problem: OSError) -> list[Sighting]:
        self._hiccups += 1
        reason_text = problem.strerror or str(problem)
        if filesystem.is_transient(problem) and self._hiccups < 3:
            self.warnings.append(f"{self.folder}: {reason_text}; trying again")
            return []
        return self._close(
            "is not there" if isinstance(problem, FileNotFoundError) else reason_text
        )

    def _close(self, reason: str) -> list[Sighting]:
        reason = f"the input folder {self.folder} {reason}"
        if self._reason == reason:
            return []
        self._reason = reason
        return [FolderState(reason)]

    def _see(self, path: str, inode: int, now: float, found: list[Sighting]) -> None:
        if path in self._inodes:
            if self._inodes[path] != inode or self._looks_changed(path):
                self._begin(path, inode, now, found, "the file changed")
        elif path in self._candidates:
            self._candidates[path].inode = inode
            self._update(path, self._candidates[path], now)
        elif self._first and path in self._known:
            self._inodes[path] = inode
            self._prints[path] = self._known.pop(path)
            self._patrol.append(path)
        else:
            self._begin(path, inode, now, found, "just arrived")

    def _looks_changed(self, path: str) -> bool:
        if path not in self._suspects:
            return False
        try:
            return _stamp(path) != self._suspects[path]
        except OSError:
            return False

    def _begin(self, path: str, inode: int, now: float, found: list[Sighting], reason: str) -> None:
        self._inodes.pop(path, None)
        self._suspects.pop(path, None)
        try:
            stamp = _stamp(path)
        except OSError as problem:
            stamp = (-1, 0, 0)
            reason = problem.strerror or reason
        due = now + self._settle_s
        self._candidates[path] = _Candidate(stamp, inode, now, due, self._first)
        found.append(Waiting(Path(path), reason))

    def _update(self, path: str, candidate: _Candidate, now: float) -> bool:
        """Note whether a candidate changed since it was last seen."""
        try:
            stamp = _stamp(path)
        except OSError:
            return False  # `_examine` says what is wrong
        if stamp != candidate.stamp:
            candidate.stamp, candidate.since = stamp, now
            candidate.due = now + self._settle_s
            return True
        return False

    def _examine(self, path: str, candidate: _Candidate, now: float) -> list[Sighting]:
        if self._update(path, candidate, now):
            return []
        waited = now - candidate.since
        try:
            problem, n_frames = self._inspect(Path(path))
            fingerprint = self._fingerprint(Path(path))
        except TransientError as hiccup:
            return self._later(path, candidate, now, str(hiccup))
        except InputError as verdict:  # the worker reports the problem, with all details
            problem, n_frames, fingerprint = str(verdict), 0, self._fingerprint_or_none(path)
        except OSError as trouble:
            reason_text = trouble.strerror or str(trouble)
            if filesystem.is_transient(trouble) or isinstance(trouble, FileNotFoundError):
                return self._later(path, candidate, now, reason_text)
            found: list[Sighting] = []
            self._refuse(path, reason_text, found)
            candidate.due = now + max(self._settle_s, 5.0)
            return found
        if problem and waited < GIVE_UP * max(self._settle_s, 0.5):
            return self._later(path, candidate, now, problem)
        usual = self._usual(path)
        note = problem
        if not problem and n_frames < usual:
            if waited < PATIENCE * self._settle_s:
                few = f"{n_frames} frames so far, its siblings have {usual}"
                return self._later(path, candidate, now, few, candidate.since + 3 * self._settle_s)
            note = f"{n_frames} frames, its siblings have {usual}"
        if n_frames and not problem:
            counts = self._counts.setdefault(_suffix(path), deque(maxlen=SIBLINGS))
            counts.append(n_frames)
        del self._candidates[path]
        # Not the inode of its stat, which is another one for links and on some network disks.
        self._inodes[path] = candidate.inode
        if path not in self._prints:
            self._patrol.append(path)
        self._prints[path] = fingerprint
        if problem:
            self._suspects[path] = candidate.stamp
        square = square_told_beside(Path(path))
        return [Complete(Path(path), fingerprint, note, candidate.at_start, square)]

    def _later(
        self, path: str, candidate: _Candidate, now: float, reason: str, due: float | None = None
    ) -> list[Sighting]:
        candidate.due = due if due and due > now else now + max(self._settle_s, 0.25)
        return [Waiting(Path(path), reason)]

    def _refuse(self, path: str, reason: str, found: list[Sighting]) -> None:
        candidate = self._candidates.setdefault(
            path, _Candidate((-1, 0, 0), 0, 0.0, float("inf"), self._first)
        )
        if not candidate.refused:
            candidate.refused = True
            found.append(Refused(Path(path), reason))

    def _usual(self, path: str) -> int:
        counts = self._counts.get(_suffix(path))
        return Counter(counts).most_common(1)[0][0] if counts else 0

    def _fingerprint_or_none(self, path: str) -> str:
        try:
            return self._fingerprint(Path(path))
        except (OSError, InputError):
            return ""

    def _walk_round(self, now: float) -> list[Sighting]:
        """Look at some complete files again: they may have been overwritten in place."""
        found: list[Sighting] = []
        until = self._clock() + BUDGET_S / 4
        for _ in range(min(PATROL, len(self._patrol))):
            path = self._patrol.popleft()
            if path not in self._inodes:
                del self._prints[path]
                continue  # gone or waiting: it comes back when it is complete
            self._patrol.append(path)
            fingerprint = self._fingerprint_or_none(path)  # the listing or the worker shows it
            if fingerprint and fingerprint != self._prints[path]:
                self._begin(path, self._inodes[path], now, found, "the file changed")
            if self._clock() > until:
                break
        return found


def _scan(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from entries


def _why_no_file(entry: os.DirEntry[str]) -> str | None:
    """None for a regular file, "" for a folder, else what it is."""
    try:
        if entry.is_file():
            return None
        if entry.is_dir():
            return ""
        mode = entry.stat().st_mode
    except FileNotFoundError:
        return "a symbolic link to nothing"
    except OSError as problem:
        return problem.strerror or str(problem)
    return "a named pipe, no movie" if stat.S_ISFIFO(mode) else "not a regular file"


def _suffix(path: str) -> str:
    return Path(path).suffix.lower()


def _stamp(path: str) -> tuple[int, int, int]:
    found = os.stat(path)  # noqa: PTH116 - called for 100,000 names
    return found.st_size, found.st_mtime_ns, found.st_ino


def inspect_movie(path: Path) -> tuple[str, int]:
    """What keeps a movie from being complete ("" = nothing), and its number of frames."""
    from warptui.engine.formats import movie

    problem = movie.check_complete(path)
    if problem:
        return problem, 0
    with movie.open_movie(path) as reader:
        return "", reader.n_raw_frames


def never_movies(names: Iterable[str], base: Path) -> frozenset[Path]:
    """Reference files that the settings name: no movies, wherever they lie."""
    paths = [(base / name).absolute() for name in names if name]
    return frozenset([*paths, *(path.resolve() for path in paths)])
