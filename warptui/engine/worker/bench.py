"""What the stages of one movie work on: its frames, read once, and a place for its products."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from warptui.engine.config.settings import Config
from warptui.engine.errors import InputError, OutputError
from warptui.engine.formats.acquisition.mdoc import movie_facts
from warptui.engine.formats.array import write_array
from warptui.engine.formats.boxnet_model import find_model
from warptui.engine.formats.camera.defects import read_defects
from warptui.engine.formats.camera.gain import orientation_score, read_gain
from warptui.engine.formats.movie import open_movie
from warptui.engine.formats.mrc import StackWriter, read_mrc, write_mrc
from warptui.engine.formats.star.particles import (
    ParticleOptics,
    ParticleTable,
    images_made_of,
    write_particles,
)
from warptui.engine.formats.star.picks import Candidates, read_picks
from warptui.engine.model.edits import Chosen, Edits
from warptui.engine.model.item import Movie
from warptui.engine.nets.boxnet import BoxNet
from warptui.engine.project.edits_file import read_edits
from warptui.engine.project.paths import ProjectPaths
from warptui.engine.project.picks import read_candidates, write_candidates, write_chosen, write_mask
from warptui.engine.stages.base import StageResult
from warptui.engine.stages.movie.average import AverageSettings
from warptui.engine.stages.movie.picking import PickingSettings
from warptui.engine.worker import models
from warptui.engine.worker.frames import Frames
from warptui.engine.worker.products import ProductFiles

MIN_SIZE_PX = 64
MAX_BAD_SHARE = 0.1


class MovieBench:
    """One movie on one device.

    ``pixel_size``, ``dose_per_frame`` and ``notes`` are known once `frames` was called.
    """

    def __init__(
        self,
        item: Movie,
        project: ProjectPaths,
        config: Config,
        device: str,
        *,
        threads: int,
        on_progress: Callable[[float], None],
    ) -> None:
        self.item = item
        self.device = torch.device(device)
        self.input = config.input
        self.optics = config.optics
        average = config.stage("average")
        self.deconvolution = average.deconvolution if isinstance(average, AverageSettings) else []
        self.averaging = average if isinstance(average, AverageSettings) else AverageSettings()
        picking = config.stage("picking")
        assert isinstance(picking, PickingSettings)
        self.diameter_angstrom = picking.diameter_angstrom
        self.results: dict[str, StageResult] = {}
        self.notes: list[str] = []
        self.pixel_size = 0.0  # Å/px of the raw frames
        self.dose_per_frame: float | None = None  # e/Å²
        self.products = ProductFiles(project.root, item.name, item.root_name, self.device)
        self._project = project
        self._threads = threads
        self._on_progress = on_progress
        self._frames: Frames | None = None
        torch.set_num_threads(max(1, threads))

    def __enter__(self) -> MovieBench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._frames = None

    def frames(self) -> Frames:
        """The movie's frames, gain- and defect-corrected; read from disk once.

        Raises
        ------
        InputError
            If the file, its gain reference or its defect map cannot be used, or the pixel
            size is told nowhere.
        TransientError
            If the file system hiccups.
        """
        if self._frames is None:
            self._frames = self._read()
        return self._frames

    @property
    def tilt_deg(self) -> float | None:
        """Tilt of the stage that the mdoc beside the movie tells; None where there is none.

        Raises
        ------
        OSError, InputError
            If the mdoc is there but cannot be read.
        """
        facts = movie_facts(self.item.path)
        return facts.tilt_angle_deg if facts else None

    def _read(self) -> Frames:
        name = self.item.name
        settings = self.input
        facts = movie_facts(self.item.path)
        with open_movie(
            self.item.path,
            eer_frames_per_group=settings.eer_frames_per_group,
            eer_upsampling=settings.eer_upsampling,
        ) as movie:
            if min(movie.shape_yx) < MIN_SIZE_PX:
                raise InputError(
                    f"{name}: frames of {movie.shape_yx[1]} x {movie.shape_yx[0]} px; "
                    f"at least {MIN_SIZE_PX} px each way are needed. Is this a movie?"
                )
            told = facts.frame_pixel_size(movie.shape_yx) if facts else None
            self.pixel_size = settings.pixel_size or told or movie.pixel_size or 0.0
            if not self.pixel_size:
                raise InputError(
                    f"{name}: neither the file nor an mdoc beside it tells the pixel size; "
                    "set input.pixel_size (Å/px of the raw frames)"
                )
            dose = facts.dose_per_frame if facts and movie.format != "eer" else None
            self.dose_per_frame = settings.dose_per_frame or dose or movie.dose_per_frame
            self.notes += list(movie.notes)
            if self.dose_per_frame is None:
                self.notes.append("dose unknown: no dose weighting (set input.dose_per_frame)")
            expected = facts.n_frames if facts and movie.format != "eer" else None
            if expected and movie.n_raw_frames < expected:
                raise InputError(
                    f"{name}: {movie.n_raw_frames} frames; its mdoc says {expected}. "
                    "Copy the movie again"
                )
            orientation = {
                "flip_x": settings.gain_flip_x,
                "flip_y": settings.gain_flip_y,
                "transpose": settings.gain_transpose,
            }
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
            stack = movie.read_all(self._threads, lambda done: self.progress(0.2 * done))
        self._refuse_blank(stack)
        frames = Frames(stack, gain, self.device)
        total = frames.correct_defects(defects)
        if gain is not None:
            uncorrected = total.cpu().numpy() / gain / len(stack)
            note = orientation_score(gain, uncorrected, **orientation).note
            if note:
                self.notes.append(note)
        share = frames.n_defects / (frames.shape_yx[0] * frames.shape_yx[1])
        if share > MAX_BAD_SHARE:
            raise InputError(
                f"{name}: {share:.0%} of the pixels are dead, hot or not finite; "
                f"at most {MAX_BAD_SHARE:.0%} can be filled. Is the gain reference right?"
            )
        return frames

    def _refuse_blank(self, stack: np.ndarray) -> None:
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
                f"{self.item.name}: frame {index + 1} of {len(stack)} {found}. "
                "The file is damaged or was copied before it was complete; copy it again"
            )

    def _reference(self, name: str, key: str) -> Path:
        path = self._project.root / name
        if not path.is_file():
            raise InputError(f"{key}: no file {name}; set it to the reference's path or to ''")
        return path

    def image(self, name: str) -> Tensor:
        """``(y, x)`` float32: a product that `save` wrote, by the same name.

        Raises
        ------
        InputError
            If somebody took it away.
        """
        path = self._product(name)
        try:
            array, _ = read_mrc(path)
        except FileNotFoundError as problem:
            raise self._gone(name, path) from problem
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(self.device)

    def _gone(self, name: str, path: Path) -> InputError:
        return InputError(
            f"{self.item.name}: its {name} {path} is gone; process the item again (P)"
        )

    def save(self, name: str, image: Tensor, pixel_size: float) -> Path:
        """Write the product ``name`` (``average``, ``average/odd`` ...) as MRC.

        float16 where the values' range allows, else float32; spectra always float32, as Warp has
        them.

        Raises
        ------
        OutputError
            If the image holds values that are not finite, or is constant.
        """
        array = image.detach().cpu().numpy()
        refuse_blank_product(self.item.name, name, array)
        path = self._product(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = "float32" if name == "powerspectrum" else "float16"
        write_mrc(path, array, pixel_size, mode=mode)
        return path

    def discard(self, name: str) -> None:
        """Take away the product ``name``: there is none any more."""
        self._product(name).unlink(missing_ok=True)

    def boxnet(self, name: str) -> BoxNet:
        """The network that [picking] names, ready to answer on this device.

        Raises
        ------
        InputError
            If there is no such model, or it is damaged or of another version.
        """
        return models.ready_net(find_model(name, self._project.root), self.device)

    def boxnet_hash(self, name: str) -> str:
        """SHA-256 of the model's file. Raises InputError if there is none."""
        return models.net_hash(find_model(name, self._project.root))

    def identity(self, name: str) -> list[int]:
        """Size and time of a product that `save` wrote: another one has others.

        Raises
        ------
        InputError
            If somebody took it away.
        """
        path = self._product(name)
        try:
            found = path.stat()
        except FileNotFoundError as problem:
            raise self._gone(name, path) from problem
        return [found.st_size, found.st_mtime_ns]

    def edits(self) -> Edits:
        """What a person changed about the item's picks. Raises InputError if it is unreadable."""
        return read_edits(self._project.edits(self.item.root_name))

    def candidates(self, key: Mapping[str, Any]) -> Candidates | None:
        """What `save_candidates` kept of this very ``key``; None where there is none."""
        return read_candidates(self._project, self.item.root_name, key)

    def save_candidates(self, found: Candidates, key: Mapping[str, Any]) -> None:
        """Keep what may be picked, and where there is no specimen."""
        write_candidates(self._project, self.item.root_name, found, key)
        self._project.mask(self.item.root_name).unlink(missing_ok=True)  # of what was before

    def save_picks(self, model: str, chosen: Chosen, pixel_size: float, micrograph: str) -> Path:
        """Write matching/NAME_MODEL.star, and what was removed by hand from it."""
        name = Path(micrograph).name
        return write_chosen(self._project, self.item.root_name, model, chosen, pixel_size, name)

    def picks(self, path: str) -> tuple[np.ndarray, np.ndarray]:
        """Positions (n, 2) y, x in px of the average and scores, of a file in the project.

        Raises
        ------
        InputError
            If somebody took it away or damaged it.
        """
        try:
            return read_picks(self._project.root / path)
        except InputError as problem:
            raise InputError(f"{problem}; process the item again (P)") from problem

    def particle_stack(self, suffix: str, half: str, box_px: int, pixel_size: float) -> StackWriter:
        """A stack to add particles to: particles/NAME_SUFFIX.mrcs, or that of a half."""
        path = self._project.particles(self.item.root_name, suffix, half)
        return StackWriter(path, (box_px, box_px), pixel_size)

    def particle_path(self, suffix: str) -> Path:
        """Where that stack is."""
        return self._project.particles(self.item.root_name, suffix)

    def save_particles(
        self, suffix: str, table: ParticleTable, optics: ParticleOptics, made_of: str
    ) -> Path:
        """Write particles/NAME_SUFFIX.star; ``made_of`` tells these images from others."""
        path = self._project.particles_star(self.item.root_name, suffix)
        write_particles(path, table, optics, made_of)
        return path

    def has_particles(self, suffix: str, made_of: str, halves: Sequence[str]) -> bool:
        """Whether the stacks (``halves``: "", "odd", "even") are there and made of this."""
        root = self.item.root_name
        there = all(self._project.particles(root, suffix, half).is_file() for half in halves)
        return there and images_made_of(self._project.particles_star(root, suffix)) == made_of

    def sources(self) -> list[list[int]]:
        """Size and time of each file that frames are made from; another one has others."""
        settings = self.input
        paths = [self.item.path, self.item.path.with_name(self.item.path.name + ".mdoc")]
        paths += [self._project.root / name for name in (settings.gain, settings.defects) if name]
        there = [path.stat() for path in paths if path.is_file()]
        return [[found.st_size, found.st_mtime_ns] for found in there]

    def discard_particles(self, suffix: str) -> None:
        """Take away what was extracted before, first the list that names the images."""
        root = self.item.root_name
        self._project.particles_star(root, suffix).unlink(missing_ok=True)
        for half in ("", "odd", "even"):
            self._project.particles(root, suffix, half).unlink(missing_ok=True)

    def save_mask(self, mask: np.ndarray) -> Path:
        """Write mask/NAME.tif, unless it is there: `save_candidates` took that of others away."""
        path = self._project.mask(self.item.root_name)
        if not path.exists():
            write_mask(path, mask)
        return path

    def save_preview(self, picture: Tensor, product: str = "average") -> Path:
        """Write the ``(y, x)`` uint8 picture of a product that the app shows."""
        path = self._preview_path(product)
        write_array(path, picture.cpu().numpy())
        return path

    def _preview_path(self, product: str) -> Path:
        return self._project.preview(self.item.root_name, product)

    def _product(self, name: str) -> Path:
        root = self.item.root_name
        match name:
            case "average":
                return self._project.average(root)
            case "average/odd" | "average/even":
                return self._project.average_half(root, name.partition("/")[2])
            case "powerspectrum":
                return self._project.power_spectrum(root)
            case "deconv":
                return self._project.deconvolved(root)
        raise ValueError(f"no product is called {name!r}")

    def relative(self, path: Path) -> str:
        """``path`` as it is written into metadata: relative to the project folder."""
        return path.relative_to(self._project.root).as_posix()

    def progress(self, fraction: float) -> None:
        """Tell how far the stage is, 0..1.

        Raises
        ------
        Cancelled
            If the stage was asked to stop.
        """
        self._on_progress(fraction)


def refuse_blank_product(item_name: str, name: str, array: np.ndarray) -> None:
    """Raise OutputError for values that are not finite, or all the same."""
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise OutputError(f"{item_name}: {name} has values that are not finite")
    if low == high:
        raise OutputError(f"{item_name}: {name} is {low} everywhere; nothing was written")
