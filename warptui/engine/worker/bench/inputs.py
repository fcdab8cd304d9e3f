"""Reads the raw file of a movie, its gain reference, its defect map and its mdoc."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from warptui.engine.config.sections import InputSettings
from warptui.engine.errors import InputError
from warptui.engine.formats.acquisition.mdoc import MovieFacts, movie_facts
from warptui.engine.formats.camera.defects import read_defects
from warptui.engine.formats.camera.gain import orientation_score, read_gain
from warptui.engine.formats.movie import MovieReader, open_movie
from warptui.engine.worker.bench.frames import Frames

MIN_SIZE_PX = 64
MAX_BAD_SHARE = 0.1
READING_SHARE = 0.2  # of a stage's progress


class MovieFrames:
    """The frames of one movie.

    Parameters
    ----------
    path
        Raw file.
    project
        Folder that references are relative to.
    notes
        Gets what the user should know about the input, when the frames are read.
    """

    def __init__(
        self,
        path: Path,
        project: Path,
        settings: InputSettings,
        device: torch.device,
        *,
        threads: int,
        progress: Callable[[float], None],
        notes: list[str],
    ) -> None:
        self.pixel_size = 0.0
        self.dose_per_frame: float | None = None
        self._path, self._project, self._settings = path, project, settings
        self._device, self._threads = device, threads
        self._progress, self._notes = progress, notes
        self._frames: Frames | None = None

    def open(self) -> Frames:
        """The frames, gain- and defect-corrected; read from disk once.

        Raises
        ------
        InputError
            If the file, its gain reference or its defect map cannot be used, or the pixel
            size is unknown.
        TransientError
            If the file system hiccups.
        """
        if self._frames is None:
            self._frames = self._read()
        return self._frames

    def close(self) -> None:
        """Free the memory."""
        self._frames = None

    @property
    def tilt_deg(self) -> float | None:
        """Tilt of the stage by the mdoc beside the movie; None without a mdoc.

        Raises
        ------
        OSError, InputError
            If the mdoc is there but cannot be read.
        """
        facts = movie_facts(self._path)
        return facts.tilt_angle_deg if facts else None

    def sources(self) -> list[list[int]]:
        """Size and time of each file that frames are made from; another file has others."""
        settings = self._settings
        paths = [self._path, self._path.with_name(self._path.name + ".mdoc")]
        paths += [self._project / name for name in (settings.gain, settings.defects) if name]
        there = [path.stat() for path in paths if path.is_file()]
        return [[found.st_size, found.st_mtime_ns] for found in there]

    def _read(self) -> Frames:
        settings = self._settings
        orientation = {
            "flip_x": settings.gain_flip_x,
            "flip_y": settings.gain_flip_y,
            "transpose": settings.gain_transpose,
        }
        facts = movie_facts(self._path)
        with open_movie(
            self._path,
            eer_frames_per_group=settings.eer_frames_per_group,
            eer_upsampling=settings.eer_upsampling,
        ) as movie:
            self._take_facts(movie, facts)
            gain, defects = self._references(movie, orientation)
            stack = movie.read_all(self._threads, lambda done: self._progress(READING_SHARE * done))
        refuse_blank_frames(self._path.name, stack)
        return self._correct(stack, gain, defects, orientation)

    def _take_facts(self, movie: MovieReader, facts: MovieFacts | None) -> None:
        """Pixel size, dose and number of frames, by the settings, the mdoc, or the file itself."""
        name, settings = self._path.name, self._settings
        if min(movie.shape_yx) < MIN_SIZE_PX:
            raise InputError(
                f"{name}: frames of {movie.shape_yx[1]} x {movie.shape_yx[0]} px; "
                f"at least {MIN_SIZE_PX} px each way are needed. Is this a movie?"
            )
        by_mdoc = facts.frame_pixel_size(movie.shape_yx) if facts else None
        self.pixel_size = settings.pixel_size or by_mdoc or movie.pixel_size or 0.0
        if not self.pixel_size:
            raise InputError(
                f"{name}: neither the file nor an mdoc beside it gives the pixel size; "
                "set input.pixel_size (Å/px of the raw frames)"
            )
        dose = facts.dose_per_frame if facts and movie.format != "eer" else None
        self.dose_per_frame = settings.dose_per_frame or dose or movie.dose_per_frame
        self._notes += list(movie.notes)
        if self.dose_per_frame is None:
            self._notes.append("dose unknown: no dose weighting (set input.dose_per_frame)")
        expected = facts.n_frames if facts and movie.format != "eer" else None
        if expected and movie.n_raw_frames < expected:
            raise InputError(
                f"{name}: {movie.n_raw_frames} frames; its mdoc says {expected}. "
                "Copy the movie again"
            )

    def _references(
        self, movie: MovieReader, orientation: dict[str, bool]
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Gain reference and defect map, ``(y, x)`` each; None where the settings name no file."""
        settings = self._settings
        gain = defects = None
        if settings.gain:
            gain = read_gain(
                self._reference(settings.gain, "input.gain"),
                shape_yx=movie.shape_yx,
                movie_format=movie.format,
                **orientation,
            )
        if settings.defects:
            defects = read_defects(
                self._reference(settings.defects, "input.defects"),
                shape_yx=movie.shape_yx,
                **orientation,
            )
        return gain, defects

    def _correct(
        self,
        stack: np.ndarray,
        gain: np.ndarray | None,
        defects: np.ndarray | None,
        orientation: dict[str, bool],
    ) -> Frames:
        frames = Frames(stack, gain, self._device)
        total = frames.correct_defects(defects)
        if gain is not None:
            uncorrected = total.cpu().numpy() / gain / len(stack)
            note = orientation_score(gain, uncorrected, **orientation).note
            if note:
                self._notes.append(note)
        share = frames.n_defects / (frames.shape_yx[0] * frames.shape_yx[1])
        if share > MAX_BAD_SHARE:
            raise InputError(
                f"{self._path.name}: {share:.0%} of the pixels are dead, hot or not finite; "
                f"at most {MAX_BAD_SHARE:.0%} can be filled. Is the gain reference right?"
            )
        return frames

    def _reference(self, name: str, key: str) -> Path:
        path = self._project / name
        if not path.is_file():
            raise InputError(f"{key}: no file {name}; set it to the reference's path or to ''")
        return path


def refuse_blank_frames(name: str, stack: np.ndarray) -> None:
    """Raise InputError for a ``(frame, y, x)`` stack with a frame that holds no information."""
    for index, frame in enumerate(stack):
        sample = frame[:: max(1, frame.shape[0] // 64)]
        if sample.max() != sample.min():  # also true for a frame of NaN: next check
            if frame.dtype.kind != "f" or np.isfinite(sample).any():
                continue
            found = "holds no finite value"
        elif frame.max() != frame.min():
            continue
        else:
            found = f"is {frame.flat[0]} everywhere"
        raise InputError(
            f"{name}: frame {index + 1} of {len(stack)} {found}. "
            "The file is damaged or was copied before it was complete; copy it again"
        )
