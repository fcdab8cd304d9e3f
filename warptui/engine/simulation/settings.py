"""Settings of a simulated movie, and the presets that tests and benchmarks share."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Extent = tuple[int, int]


class MovieSettings(BaseModel):
    """All settings of one simulated movie except the atomic models of its specimen.

    Motion amplitudes are Å: ``drift_angstrom`` is the largest distance of the global track from
    its first frame, ``local_angstrom`` the largest local displacement anywhere in the last frame
    (its RMS over the image is about half of that).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    seed: int = Field(default=0, ge=0)
    camera_seed: int | None = Field(
        default=None, ge=0, description="one camera for several movies; None = as seed"
    )
    name: str = Field(default="movie", description="root name of the files")

    # frames
    shape_yx: Extent = Field(default=(3710, 3838), description="px")
    n_frames: int = Field(default=32, ge=1, le=4000)
    pixel_size: float = Field(default=1.0, gt=0, le=20, description="Å/px")
    dose_per_frame: float = Field(default=1.2, gt=0, le=200, description="e/Å² at the camera")
    pre_exposure: float = Field(default=0.0, ge=0, description="e/Å² before the first frame")

    # optics
    voltage: float = Field(default=300.0, gt=10, le=1500, description="kV")
    cs: float = Field(default=2.7, ge=0, description="mm")
    amplitude_contrast: float = Field(default=0.07, ge=0, lt=1)
    defocus_um: float = Field(default=1.5, description="positive = underfocus, mean of u and v")
    astigmatism_um: float = Field(default=0.03, ge=0, description="u - v")
    astigmatism_angle_deg: float = Field(default=35.0, description="of u, from x towards y")
    phase_shift_deg: float = 0.0
    b_factor: float = Field(
        default=70.0, ge=0, description="Å², envelope exp(-B k²/4) on amplitudes"
    )
    tilt_deg: float = Field(default=0.0, gt=-75, lt=75)
    tilt_axis_deg: float = Field(
        default=0.0,
        description="of the tilt axis from y; a positive tilt raises defocus to its +x side",
    )

    # specimen
    particles_per_um2: float = Field(
        default=2000.0, ge=0, description="aimed at; crowding limits it"
    )
    min_distance_diameters: float = Field(default=1.0, ge=0, description="between particle centres")
    interface_fraction: float = Field(
        default=0.3, ge=0, le=1, description="share at an ice surface"
    )
    ice_thickness_angstrom: float = Field(default=400.0, ge=0)
    ice_thickness_variation: float = Field(
        default=0.02, ge=0, le=0.5, description="RMS, slow, relative"
    )
    ice_noise: float = Field(default=1.0, ge=0, description="scales the water's structural noise")
    ice_mobility: float = Field(
        default=0.33, ge=0, description="Å² of mean squared water motion per axis and e/Å²"
    )
    surface_roughness_angstrom: float = Field(
        default=40.0, ge=0, description="slow heights of the film"
    )
    damage: Literal["critical", "gaussian", "stretched", "none"] = "critical"
    signal: float = Field(
        default=1.0, ge=0, description="scales all specimen contrast; 0 = counts only"
    )

    # motion
    drift_angstrom: float = Field(default=12.0, ge=0)
    drift_time_frames: float = Field(default=4.0, gt=0, description="decay of the early drift")
    early_share: float = Field(default=0.6, ge=0, le=1, description="of the drift that is early")
    walk_share: float = Field(
        default=0.15, ge=0, le=1, description="of the drift that is a random walk"
    )
    jitter_angstrom: float = Field(
        default=0.15, ge=0, description="RMS from frame to frame, per axis"
    )
    local_angstrom: float = Field(default=6.0, ge=0)
    local_time_frames: float = Field(default=6.0, gt=0, description="decay of the doming")

    # camera
    detector: Literal["counting", "perfect"] = "counting"
    gain_variation: float = Field(
        default=0.04, ge=0, lt=0.3, description="RMS of pixels; 0 = no gain"
    )
    gain_error: float = Field(default=0.0, ge=0, lt=0.3, description="RMS error of the reference")
    illumination_fall_off: float = Field(default=0.01, ge=0, lt=1, description="centre to corner")
    n_dead_pixels: int = Field(default=20, ge=0)
    n_hot_pixels: int = Field(default=20, ge=0)
    n_dead_rows: int = Field(default=0, ge=0)
    n_dead_columns: int = Field(default=0, ge=0)
    coincidence_subframes: int = Field(
        default=0,
        ge=0,
        description="camera readouts a frame; two electrons in one count once; 0 = off",
    )

    # file
    raw_frames_per_frame: int = Field(default=1, ge=1, description="EER frames that make one frame")

    @property
    def dose(self) -> float:
        """Total dose of the movie, e/Å²."""
        return self.n_frames * self.dose_per_frame


_SMALL = {
    "shape_yx": (1024, 1024),
    "n_frames": 16,
    "dose_per_frame": 1.5,
    "particles_per_um2": 5000,
}

PRESETS: dict[str, MovieSettings] = {
    "typical": MovieSettings(),
    "demanding": MovieSettings(
        pixel_size=0.83,
        drift_angstrom=30,
        drift_time_frames=2.5,
        early_share=0.85,
        local_angstrom=10,
        defocus_um=1.2,
        ice_thickness_angstrom=500,
        damage="stretched",
        gain_error=0.003,
    ),
    "tilt40": MovieSettings(
        pixel_size=1.06, tilt_deg=40, tilt_axis_deg=20, defocus_um=1.8, local_angstrom=10
    ),
    "weak": MovieSettings(
        pixel_size=0.83,
        defocus_um=0.7,
        drift_angstrom=40,
        local_angstrom=5,
        particles_per_um2=5000,
        min_distance_diameters=0.8,
        b_factor=90,
    ),
    "still": MovieSettings(drift_angstrom=0, local_angstrom=0, jitter_angstrom=0, **_SMALL),
    "noise": MovieSettings(signal=0, **_SMALL),
    "eer": MovieSettings(
        shape_yx=(4096, 4096),
        n_frames=16,
        pixel_size=0.95,
        dose_per_frame=2.4,
        raw_frames_per_frame=20,
        gain_variation=0,
        n_dead_pixels=0,
        n_hot_pixels=0,
    ),
    "small": MovieSettings(**_SMALL),
}
"""By name. ``weak`` is meant for the small bundled protein (see ``density.PRESET_MODELS``)."""
