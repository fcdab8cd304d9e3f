"""Digests of product files: the same for the same results, whenever and wherever they were made.

Every digest comes with a few numbers, so that a difference can be understood, and so that results
of another processor, whose last bits may differ, can be compared within tolerances.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import mrcfile
import numpy as np
import tifffile

RELATIVE_TOLERANCE = 1e-3  # of numbers
ABSOLUTE_TOLERANCE = 1e-5
SAMPLE_TOLERANCE = 0.03  # of single values of an array, in its standard deviations
MOVED_PARTICLES = 2  # of a stack: positions that round to the next tenth of a pixel
MOVED_TOLERANCE = 0.5  # of a std, for their samples
N_SAMPLES = 24
COUNT_TOLERANCE = 1  # of picks and particles
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d+)?")
LIBRARIES = ("numpy", "scipy", "torch", "numba")
# Of records: clock times, the machine, the place of files, the program's version and its wording.
# "average" of candidates holds the size and the time of a file; gain and defects have hashes too.
LEFT_OUT = {
    "finished_at", "seconds", "device", "host", "program_version", "raw_path", "folder", "needs",
    "at", "notes", "message", "reason", "gain", "defects", "average",
}  # fmt: skip


def machine() -> dict[str, str]:
    """What decides the last bits of results: the processor and the numeric libraries."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    found = dict(re.findall(r"^(model name|model|cpu family|flags)\s*: (.*)$", text, re.MULTILINE))
    flags = " ".join(sorted(found.pop("flags", "").split()))
    return {
        "processor": " ".join([*sorted(found.values()), platform.machine()]),
        "processor_flags": hashlib.sha256(flags.encode()).hexdigest()[:16],
        **{name: version(name) for name in LIBRARIES},
    }


def of_folder(folder: Path) -> dict[str, dict[str, Any]]:
    """Records of all product files below the projects in ``folder``, by relative path."""
    return {
        str(path.relative_to(folder)): of_file(path, folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not _is_no_product(path, folder)
    }


def of_file(path: Path, folder: Path) -> dict[str, Any]:
    """The digest of one file and a few numbers about it.

    Raises
    ------
    ValueError
        For a file of a kind that is not known here.
    """
    match path.suffix:
        case ".mrc" | ".mrcs":
            with mrcfile.open(path, permissive=True) as opened:
                sizes = [float(opened.voxel_size.x), float(opened.voxel_size.y)]
                return _of_array(np.array(opened.data), sizes)
        case ".tif" if path.parent.name != "raw":
            with tifffile.TiffFile(path) as opened:
                tags = opened.pages.first.tags
                sizes = [
                    _ratio(tags[name].value)
                    for name in ("XResolution", "YResolution")
                    if name in tags
                ]
                return _of_array(opened.asarray(), sizes)
        case ".npy":
            return _of_array(np.load(path), [])
        case ".star":
            return _of_star(path, folder)
        case ".xml":
            return _of_xml(path)
        case ".json":
            values = _without(json.loads(_text(path, folder)))
            return {"kind": "json", "sha256": _sha256(_json(values)), "keys": _keys(values)}
        case ".txt" | ".tif" | ".eer" | ".mdoc":
            data = path.read_bytes()
            return {"kind": "file", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    raise ValueError(f"{path}: digests of such files are not defined")


def compare(found: dict[str, Any], golden: dict[str, Any]) -> list[str]:
    """Every difference, one line each.

    Products that match the golden file's ``steady`` must be equal bit by bit on an equal machine;
    all others, whose last bits differ from run to run, must agree within the tolerances.
    """
    exact = found["machine"] == golden["machine"]
    differences = []
    for part in ("items", "products"):
        for name in sorted(found[part].keys() | golden[part].keys()):
            now, before = found[part].get(name), golden[part].get(name)
            if now is None or before is None:
                differences.append(f"{name}: {'missing' if now is None else 'new'}")
                continue
            tolerant = not exact or not re.search(golden["steady"], name)
            differences += [
                f"{name}: {key} is {now.get(key)!r}, was {before.get(key)!r}"
                for key in sorted(now.keys() | before.keys())
                if not _is_same(key, now.get(key), before.get(key), tolerant, before.get("std", 0))
                and not (tolerant and key == "samples" and _is_same_stack(name, now, before))
            ]
    return differences


def _is_same_stack(name: str, now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether samples differ by a few particles only.

    One may be missing or new. The position of one may round to the next tenth of a pixel, for
    which its last bits are enough: then its pixels, and no others, change by some tenths of a std.
    """
    if now["shape"] != before["shape"]:
        return True
    if not name.endswith(".mrcs"):
        return False
    pairs = zip(now["samples"], before["samples"], strict=True)
    away = [abs(one - other) / before["std"] for one, other in pairs]
    moved = [distance for distance in away if distance > SAMPLE_TOLERANCE]
    return len(moved) <= MOVED_PARTICLES and max(moved, default=0.0) < MOVED_TOLERANCE


def _is_same(key: str, now: Any, before: Any, tolerant: bool, std: float = 0) -> bool:
    if now == before:
        return True
    if not tolerant:
        return False
    if key in ("sha256", "bytes"):
        return True
    if isinstance(now, list) and isinstance(before, list):
        if key == "shape" and len(now) == len(before) == 3 and now[1:] == before[1:]:
            return abs(now[0] - before[0]) <= COUNT_TOLERANCE  # particles of a stack
        part = "sample" if key == "samples" else ""
        return len(now) == len(before) and all(
            _is_same(part, one, other, True, std) for one, other in zip(now, before, strict=True)
        )
    if isinstance(now, bool | str | None) or isinstance(before, bool | str | None):
        return False
    if isinstance(now, int) and isinstance(before, int):
        return key != "sequence" and abs(now - before) <= COUNT_TOLERANCE
    of_std = {"mean": RELATIVE_TOLERANCE, "sample": SAMPLE_TOLERANCE}.get(key, 0)
    smallest = max(ABSOLUTE_TOLERANCE, of_std * std)
    return math.isclose(now, before, rel_tol=RELATIVE_TOLERANCE, abs_tol=smallest)


def _is_no_product(path: Path, folder: Path) -> bool:
    inside = "/".join(path.relative_to(folder).parts[1:])
    return inside.startswith(".warptui/") or inside == "config.toml"


def _of_array(data: np.ndarray, pixel_size: list[float]) -> dict[str, Any]:
    data = np.ascontiguousarray(data)
    values = data.astype(np.float64)
    return {
        "kind": "array",
        "sha256": hashlib.sha256(data.tobytes()).hexdigest(),
        "shape": list(data.shape),
        "dtype": data.dtype.str,
        "pixel_size": [float(f"{size:.7g}") for size in pixel_size],
        "mean": float(f"{values.mean():.6g}") if data.size else 0.0,
        "std": float(f"{values.std():.6g}") if data.size else 0.0,
        "samples": [float(f"{value:.5g}") for value in values.flat[:: data.size // N_SAMPLES + 1]],
    }


def _of_star(path: Path, folder: Path) -> dict[str, Any]:
    text = _text(path, folder)
    lines = [line.rstrip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    columns = [line.split()[0] for line in lines if line.startswith("_")]
    tables = [line for line in lines if line.startswith("data_")]
    rows = [line for line in lines if line[0] != "_" and line not in (*tables, "loop_")]
    return {
        "kind": "star",
        "sha256": _sha256("\n".join(lines)),
        "tables": tables,
        "columns": columns,
        "rows": len(rows),
        "mean": _mean_number(rows),
    }


def _mean_number(rows: list[str]) -> float:
    """Mean of all cells that are numbers; counts of particles alone change it little."""
    cells = [cell for row in rows for cell in row.split() if _NUMBER.fullmatch(cell)]
    return float(f"{math.fsum(map(float, cells)) / max(1, len(cells)):.6g}")


def _of_xml(path: Path) -> dict[str, Any]:
    root = ElementTree.fromstring(path.read_bytes())
    lines = list(_xml_lines(root, ""))
    return {
        "kind": "xml",
        "sha256": _sha256("\n".join(lines)),
        "elements": sorted({line.split(" ")[0] for line in lines}),
    }


def _xml_lines(element: ElementTree.Element, above: str) -> Iterator[str]:
    """One line per element, in the order of the file."""
    where = f"{above}/{element.tag}"
    attributes = {
        key: value
        for key, value in element.attrib.items()
        if key not in ("DataDirectory", "Version")
    }
    text = (element.text or "").strip()
    if element.tag in ("HistoryRecord", "FailureRecord"):
        text = ""  # when and where it ran, and the wording of a failure
    elif text[:1] in ("{", "[") and above.endswith("/Warptui"):
        text = _json(_without(json.loads(text)))
    yield f"{where} {_json(attributes)} {text}"
    for child in element:
        if not child.get("Name", "").endswith("Path"):
            yield from _xml_lines(child, where)


def _without(values: Any) -> Any:
    """Values without what depends on time, place and machine."""
    if isinstance(values, dict):
        return {key: _without(value) for key, value in values.items() if key not in LEFT_OUT}
    return [_without(value) for value in values] if isinstance(values, list) else values


def _keys(values: Any) -> list[str]:
    return sorted(values) if isinstance(values, dict) else []


def _text(path: Path, folder: Path) -> str:
    """The text of a file, in which the folder of the session has a fixed name."""
    return path.read_text(encoding="utf-8").replace(str(folder.resolve()), "SESSION")


def _ratio(value: Any) -> float:
    return value[0] / value[1] if isinstance(value, tuple) else float(value)


def _json(values: Any) -> str:
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
