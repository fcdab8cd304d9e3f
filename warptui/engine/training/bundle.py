"""Bundles: training examples and their origin in one file, to share, merge or train on.

A zip file: ``manifest.json`` and one ``.npz`` per example. Images are stored in steps of a twelfth
of the noise, a difference that no network notices.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import warptui
from warptui.engine.errors import InputError, TrainingError
from warptui.engine.formats.writing import write_bytes
from warptui.engine.training.example import PIXEL_SIZE, Example

SUFFIX = ".boxset"
FORMAT = 1
STEPS_PER_SIGMA = 12
STEPS_OF_CERTAINTY = 50
_MANIFEST = "manifest.json"
_KIND = "BoxNet examples"


@dataclass(frozen=True)
class Origin:
    """Origin and licence of the examples in a bundle."""

    contributor: str = ""
    licence: str = ""
    pixel_size: float = 0.0  # Å/px of the original micrographs
    source: str = ""  # where the data come from: an EMPIAR entry, a paper


@dataclass(frozen=True)
class Entry:
    """An example and its origin."""

    example: Example
    origin: Origin


def write_bundle(path: Path, entries: Sequence[Entry]) -> str:
    """Write a bundle, renamed into place when complete; returns the SHA-256 of its content.

    Raises
    ------
    TrainingError
        If there are no examples.
    """
    if not entries:
        raise TrainingError("there are no examples to bundle")
    record, parts = [], []
    for number, entry in enumerate(entries):
        data = _packed(entry.example)
        parts.append((f"{number:04d}.npz", data))
        record.append({"file": parts[-1][0], "sha256": sha256(data).hexdigest(), **_record(entry)})
    manifest = {
        "kind": _KIND,
        "format": FORMAT,
        "program": f"warptui {warptui.__version__}",
        "pixel_size": PIXEL_SIZE,
        "made_at": round(time.time()),
        "examples": record,
    }
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as bundle:
        bundle.writestr(_fixed(_MANIFEST), json.dumps(manifest, indent=1))
        for name, data in parts:
            bundle.writestr(_fixed(name), data)
    write_bytes(path, memory.getbuffer())
    return content_hash(record)


def read_bundle(path: Path) -> list[Entry]:
    """All examples of a bundle, checked against its checksums.

    Raises
    ------
    InputError
        If the file is missing, damaged, no bundle, or of a format that this version cannot read.
    """
    manifest = read_manifest(path)
    entries = []
    with zipfile.ZipFile(path) as bundle:
        for record in manifest["examples"]:
            try:
                data = bundle.read(record["file"])
            except (KeyError, zipfile.BadZipFile, OSError) as problem:
                raise InputError(f"{path}: damaged ({problem}); copy it again") from problem
            if sha256(data).hexdigest() != record["sha256"]:
                raise InputError(
                    f"{path}: the checksum of {record['file']} ({record['name']}) does not fit; "
                    "copy it again"
                )
            entries.append(_unpacked(record, data, path))
    return entries


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a bundle, read without its images.

    Raises
    ------
    InputError
        As `read_bundle`.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            manifest = json.loads(bundle.read(_MANIFEST))
    except OSError as problem:
        raise InputError(f"{path}: cannot be read: {problem.strerror or problem}") from problem
    except (zipfile.BadZipFile, KeyError, ValueError) as problem:
        raise InputError(f"{path}: damaged, or no bundle of examples ({problem})") from problem
    if not isinstance(manifest, dict) or manifest.get("kind") != _KIND:
        raise InputError(f"{path}: no bundle of examples; expected one that warptui wrote")
    if manifest.get("format") != FORMAT:
        raise InputError(
            f"{path}: format {manifest.get('format')} of bundles; this version reads {FORMAT}"
        )
    return manifest


def merge(paths: Sequence[Path], target: Path) -> tuple[int, int]:
    """Merge bundles; returns the number of examples, and of duplicates that were left out.

    Raises
    ------
    InputError
        If any bundle cannot be read; nothing is written then.
    """
    seen: set[str] = set()
    kept: list[Entry] = []
    n_doubles = 0
    for path in paths:
        for entry in read_bundle(path):
            digest = sha256(_packed(replace(entry.example, name=""))).hexdigest()
            if digest in seen:
                n_doubles += 1
                continue
            seen.add(digest)
            kept.append(entry)
    write_bundle(target, kept)
    return len(kept), n_doubles


def content_hash(record: Sequence[dict[str, Any]]) -> str:
    """A hash of all examples, independent of the file's name and date."""
    return sha256("".join(entry["sha256"] for entry in record).encode()).hexdigest()


def species_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Number of micrographs and their sources, per species."""
    kinds = ("source", "contributor", "licence")
    found: dict[str, dict[str, Any]] = {}
    for record in manifest["examples"]:
        for name in (record["species"] or "no particles").split(" + "):
            entry = found.setdefault(
                name, {"species": name, "micrographs": 0, **{kind: set() for kind in kinds}}
            )
            entry["micrographs"] += 1
            for kind in kinds:
                entry[kind].add(record[kind])
    return [
        {**found[name], **{kind: sorted(found[name][kind]) for kind in kinds}}
        for name in sorted(found, key=str.lower)
    ]


def _record(entry: Entry) -> dict[str, Any]:
    example, origin = entry.example, entry.origin
    return {
        "name": example.name,
        "species": example.species,
        "source": example.source,
        "shape_yx": list(example.image.shape),
        "n_particles": example.n_particles,
        "diameter_angstrom": round(example.diameter_angstrom, 1),
        "contributor": origin.contributor,
        "licence": origin.licence,
        "original_pixel_size": origin.pixel_size,
        "origin": origin.source,
    }


def _packed(example: Example) -> bytes:
    steps = np.clip(np.round(example.image * STEPS_PER_SIGMA), -127, 127).astype(np.int8)
    certainty = np.clip(np.round(example.certainty * STEPS_OF_CERTAINTY), 0, 255).astype(np.uint8)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as arrays:
        for name, array in (
            ("image", steps),
            ("labels", example.labels.astype(np.uint8)),
            ("certainty", certainty),
            ("centres", example.centres_yx_px.astype(np.float32).reshape(-1, 2)),
            ("diameters", example.diameters_angstrom.astype(np.float32)),
        ):
            part = io.BytesIO()
            np.save(part, np.ascontiguousarray(array))
            arrays.writestr(_fixed(f"{name}.npy"), part.getvalue())
    return memory.getvalue()


def _unpacked(record: dict[str, Any], data: bytes, path: Path) -> Entry:
    try:
        arrays = np.load(io.BytesIO(data), allow_pickle=False)
        example = Example(
            str(record["name"]),
            arrays["image"].astype(np.float32) / STEPS_PER_SIGMA,
            arrays["labels"],
            arrays["certainty"].astype(np.float32) / STEPS_OF_CERTAINTY,
            arrays["centres"],
            arrays["diameters"],
            str(record["species"]),
            str(record["source"]),
        )
    except (KeyError, ValueError, zipfile.BadZipFile) as problem:
        raise InputError(f"{path}: {record['file']} is damaged ({problem})") from problem
    origin = Origin(
        str(record.get("contributor", "")),
        str(record.get("licence", "")),
        float(record.get("original_pixel_size", 0.0)),
        str(record.get("origin", "")),
    )
    return Entry(example, origin)


def _fixed(name: str) -> zipfile.ZipInfo:
    """A zip entry without a date, so that the same examples give the same bytes."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_STORED if name.endswith(".npz") else zipfile.ZIP_DEFLATED
    return info
