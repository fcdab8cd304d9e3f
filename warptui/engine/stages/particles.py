"""Particles cut from the frames (paper: *Export of corrected data*)."""

from __future__ import annotations

from warptui.engine.formats.particles_file import particle_rows

__all__ = ["particle_rows"]
