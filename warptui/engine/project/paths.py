"""Every file and folder name that warptui reads or writes.

Products lie where Warp puts them (``average/``, ``powerspectrum/``, ``matching/`` ...),
named by the item's root name, so that Warp, WarpTools and M find them.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from warptui.engine.stages.base import Product

CONFIG_NAME = "config.toml"


@dataclass(frozen=True)
class ProjectPaths:
    """The files of one project folder."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings."""
        return self.root / CONFIG_NAME

    @property
    def lock(self) -> Path:
        """Held by the one engine that may write here."""
        return self.root / ".warptui" / "engine.lock"

    @property
    def log(self) -> Path:
        """The engine's log."""
        return self.root / ".warptui" / "engine.log"

    @property
    def worker_logs(self) -> Path:
        """Folder of the workers' logs."""
        return self.root / ".warptui" / "workers"

    @property
    def choices(self) -> Path:
        """Choices of the user that the metadata files lack still."""
        return self.root / ".warptui" / "choices.jsonl"

    @property
    def exports(self) -> Path:
        """Folder of what is known of each export."""
        return self.root / ".warptui" / "exports"

    def live_rows(self, suffix: str) -> Path:
        """Rows of all items for the live lists of one model's particles; made again when gone."""
        return self.root / ".warptui" / "live" / f"{suffix}.rows"

    def live_groups(self, suffix: str) -> Path:
        """Optics groups of the live lists by beam shift, which an engine hands on to the next."""
        return self.root / ".warptui" / "live" / f"{suffix}.groups.json"

    def live_list(self, suffix: str) -> Path:
        """The particles of all selected items."""
        return self.root / f"particles_{suffix}.star"

    def live_last(self, suffix: str) -> Path:
        """The particles of the newest selected items."""
        return self.root / f"particles_{suffix}_last.star"

    @property
    def notices(self) -> Path:
        """Notices that are not marked as seen yet."""
        return self.root / ".warptui" / "notices.json"

    @property
    def trials(self) -> Path:
        """Folder of the pictures of trials, which are shown and go again."""
        return self.root / ".warptui" / "trials"

    def trial(self, number: int) -> Path:
        """Folder of one trial."""
        return self.trials / str(number)

    def metadata(self, root_name: str) -> Path:
        """Warp's XML file of an item."""
        return self.root / f"{root_name}.xml"

    def metadata_backup(self, root_name: str) -> Path:
        """The last readable version of the XML file before the present one."""
        return self.root / ".warptui" / "bak" / f"{root_name}.xml"

    def metadata_unreadable(self, root_name: str) -> Path:
        """A damaged or too new XML file that had to be replaced, kept for its owner."""
        return self.root / ".warptui" / "unreadable" / f"{root_name}.xml"

    def product(self, product: Product, root_name: str, model: str = "") -> Path:
        """A file that a stage writes for an item; ``model`` is the suffix of the picking model."""
        return product.path(self.root, root_name, model)

    def _named(self, name: str, root_name: str, model: str = "") -> Path:
        """The file of a product, by the product's name."""
        from warptui.engine.stages.registry import product_named  # pydantic: not for the app

        return product_named(name).path(self.root, root_name, model)

    def average(self, root_name: str) -> Path:
        """Motion-corrected, dose-weighted average."""
        return self._named("average", root_name)

    def average_half(self, root_name: str, half: str) -> Path:
        """Average of the ``odd`` or ``even`` frames."""
        return self._named(f"average/{half}", root_name)

    def average_float32(self, root_name: str) -> Path:
        """Copy of the average for programs that read no half precision."""
        return self.root / "average" / "float32" / f"{root_name}.mrc"

    def motion(self, root_name: str) -> Path:
        """Motion of a movie for RELION's polishing."""
        return self.root / "motion" / f"{root_name}.star"

    def power_spectrum(self, root_name: str) -> Path:
        """Power spectrum of a movie, its upper half."""
        return self._named("powerspectrum", root_name)

    def deconvolved(self, root_name: str) -> Path:
        """Deconvolved average."""
        return self._named("deconv", root_name)

    def picks(self, root_name: str, suffix: str) -> Path:
        """Particle positions, as Warp and RELION read them; ``suffix`` names the model."""
        return self._named("picks", root_name, suffix)

    def false_positives(self, root_name: str, suffix: str) -> Path:
        """What the model picked and a person removed."""
        return self._named("false positives", root_name, suffix)

    def edits(self, root_name: str) -> Path:
        """What a person changed about an item's picks."""
        return self.root / "matching" / f"{root_name}_edits.json"

    def particles(self, root_name: str, suffix: str, half: str = "") -> Path:
        """Stack of the particles of one micrograph; ``half`` is "", "odd" or "even"."""
        return self._named(f"particles {half}".rstrip(), root_name, suffix)

    def particles_star(self, root_name: str, suffix: str) -> Path:
        """Where these particles are and what their CTFs are, as RELION reads it."""
        return self._named("particles list", root_name, suffix)

    def mask(self, root_name: str) -> Path:
        """Mask of contamination, support film and holes, at 8 Å/px."""
        return self._named("mask", root_name)

    def candidates(self, root_name: str) -> Path:
        """Everything that might be a particle, with its score, for the app (``.npy``)."""
        return self._named("candidates", root_name)

    @property
    def models(self) -> Path:
        """Folder of the networks that were trained here."""
        return self.root / "models"

    def model(self, name: str) -> Path:
        """A network that was trained here; it is there only once its training is done."""
        return self.models / f"{name}.safetensors"

    def training(self, name: str) -> Path:
        """Folder of how a network was trained: checkpoint, examples, metrics, report."""
        return self.models / name

    def training_metrics(self, name: str) -> Path:
        """One line of JSON per measurement."""
        return self.training(name) / "metrics.jsonl"

    def training_report(self, name: str) -> Path:
        """The result of a training, and the held-out micrograph of its pictures."""
        return self.training(name) / "report.json"

    def candidates_key(self, root_name: str) -> Path:
        """What the candidates were found in and by."""
        return self._named("candidates key", root_name)

    def mask_preview(self, root_name: str) -> Path:
        """The mask for the app: uint8, 0 and 1, at 8 Å/px (``.npy``)."""
        return self._named("mask preview", root_name)

    def preview(self, root_name: str, product: str = "average") -> Path:
        """Small uint8 picture of a product, for the app (``.npy``)."""
        names = {"average": "preview", "mask": "mask preview"}
        return self._named(names.get(product, product), root_name)


def project_key(project: Path) -> str:
    """Short stable key of a project folder, for socket and index names."""
    return hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:16]


def runtime_folder() -> Path:
    """Folder of the engines' sockets, readable by the user alone (0700)."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(base) / "warptui" if base else Path(f"/tmp/warptui-{os.getuid()}")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def state_folder() -> Path:
    """Local folder of rebuildable indices (SQLite's WAL is unsafe on network file systems)."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(base) / "warptui"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def socket_path(project: Path) -> Path:
    """Unix socket of the engine that runs on ``project``."""
    return runtime_folder() / f"{project_key(project)}.sock"


def index_path(project: Path) -> Path:
    """Rebuildable SQLite index of ``project``."""
    return state_folder() / f"{project_key(project)}.sqlite"
