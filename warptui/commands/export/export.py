"""`export`: write lists of the selected items for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path

from warptui.commands.parsing import Parsers, add_json, add_project, new_parser


def add_parser(verbs: Parsers, words: str) -> None:
    """Declare the options."""
    parser = new_parser(verbs, "export", words, run)
    add_json(parser)
    parser.add_argument(
        "what", choices=("micrographs", "particles"), metavar="micrographs|particles"
    )
    add_project(parser)
    _add_list_options(parser)
    _add_particle_options(parser)


def run(call: argparse.Namespace) -> int:
    """Write the list that the options ask for."""
    if call.what == "particles":
        from warptui.commands.export import particles

        return particles.export(call)
    from warptui.commands.export import micrographs

    return micrographs.export(call)


def _add_list_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the list (default: PROJECT/micrographs.star, PROJECT/export_particles.star)",
    )
    parser.add_argument(
        "--absolute", action="store_true",
        help="absolute paths; without it RELION must run in the project folder",
    )  # fmt: skip
    parser.add_argument(
        "--without-ctf", action="store_true",
        help="also items without a CTF, and no columns about it: RELION shall estimate it",
    )  # fmt: skip
    parser.add_argument(
        "--float32", action="store_true",
        help="list float32 copies, made once in average/float32: RELION 3.1 reads no float16",
    )  # fmt: skip
    group = parser.add_argument_group("optics groups", "without these as [export] has them")
    group.add_argument(
        "--optics-groups", choices=("one", "beam_shift"), help="one, or by the beam's position"
    )
    group.add_argument(
        "--beam-shift-folder", metavar="DIR",
        help="where EPU's XML or SerialEM's mdoc files are, if not beside the movies",
    )  # fmt: skip
    group.add_argument(
        "--beam-shift-distance", metavar="N",
        help="positions nearer than this are one (default: found from the images)",
    )  # fmt: skip


def _add_particle_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("particles")
    group.add_argument(
        "--done", action="store_true", help="of all that are done, not only of what is selected"
    )
    group.add_argument(
        "--coordinates", metavar="STAR", help="another program's places instead of our picks"
    )
    group.add_argument(
        "--coordinates-pixel-size", metavar="Å",
        help="of its coordinates, Å/px (default: as the list gives it, else that of the averages)",
    )  # fmt: skip
    group.add_argument("--box", metavar="PX", help="cut particles out with this box")
    group.add_argument("--pixel-size", metavar="Å", help="cut them out at this pixel size")
    group.add_argument(
        "--relion30", action="store_true", help="one table without optics groups, for RELION 3.0"
    )
