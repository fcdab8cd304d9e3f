"""Transfer of spatial frequencies by optics, radiation damage and camera, in closed formulas."""

from __future__ import annotations

import numpy as np

from warptui.engine.simulation.settings import MovieSettings

Array = np.ndarray


def wavelength_angstrom(voltage: float) -> float:
    """Relativistic electron wavelength, Å, at ``voltage`` kV."""
    volts = voltage * 1e3
    return 12.2643247 / float(np.sqrt(volts * (1 + 0.978466e-6 * volts)))


def interaction_constant(voltage: float) -> float:
    """Phase per projected potential, rad/(V Å), at ``voltage`` kV."""
    rest = 510.99895
    return float(
        2 * np.pi / (wavelength_angstrom(voltage) * voltage * 1e3)
        * (rest + voltage) / (2 * rest + voltage)
    )  # fmt: skip


def calculate_ctf(ky: Array, kx: Array, settings: MovieSettings, defocus_angstrom: float) -> Array:
    """Contrast transfer of a phase object: positive where protein is *dark* at underfocus.

    Parameters
    ----------
    ky, kx
        Spatial frequencies, 1/Å, broadcast against each other.
    defocus_angstrom
        Mean of u and v, positive underfocus.
    """
    wavelength = wavelength_angstrom(settings.voltage)
    k2 = ky**2 + kx**2
    half, angle = settings.astigmatism_um * 5e3, 2 * np.deg2rad(settings.astigmatism_angle_deg)
    # cos 2(θ - α) k² without an arctangent
    astigmatic = (kx**2 - ky**2) * np.cos(angle) + 2 * kx * ky * np.sin(angle)
    chi = np.pi * wavelength * (defocus_angstrom * k2 + half * astigmatic)
    chi -= 0.5 * np.pi * settings.cs * 1e7 * wavelength**3 * k2**2
    chi += np.deg2rad(settings.phase_shift_deg)
    amplitude = settings.amplitude_contrast
    # sqrt(1 - A²) sin χ + A cos χ in one sine
    return np.sin(chi + np.arcsin(amplitude))


def phase_terms(
    settings: MovieSettings, shape_yx: tuple[int, int], defocus_angstrom: float
) -> Array:
    """What `kernels.transfer` needs to compute the CTF of `calculate_ctf` on the fly.

    Frequency steps of rows and columns (1/Å), then the factors of k², kx² - ky², 2 kx ky and k⁴
    and the constant of χ: (7,) float32.
    """
    wavelength = wavelength_angstrom(settings.voltage)
    half, angle = settings.astigmatism_um * 5e3, 2 * np.deg2rad(settings.astigmatism_angle_deg)
    terms = (
        1 / (shape_yx[0] * settings.pixel_size),
        1 / (shape_yx[1] * settings.pixel_size),
        np.pi * wavelength * defocus_angstrom,
        np.pi * wavelength * half * np.cos(angle),
        np.pi * wavelength * half * np.sin(angle),
        -0.5 * np.pi * settings.cs * 1e7 * wavelength**3,
        np.deg2rad(settings.phase_shift_deg) + np.arcsin(settings.amplitude_contrast),
    )
    return np.array(terms, dtype=np.float32)


def delocalisation_angstrom(settings: MovieSettings, defocus_angstrom: float) -> float:
    """Largest delocalisation of a point at frequencies that carry signal, Å."""
    wavelength = wavelength_angstrom(settings.voltage)
    k = np.linspace(0, min(0.4, 0.5 / settings.pixel_size), 64)
    reach = wavelength * abs(defocus_angstrom) * k - settings.cs * 1e7 * wavelength**3 * k**3
    return float(np.abs(reach).max())


def envelope(k: Array, b_factor: float) -> Array:
    """exp(-B k²/4), ``b_factor`` >= 0 in Å²."""
    return np.exp(-b_factor / 4 * k**2)


def critical_dose(k: Array, voltage: float) -> Array:
    """Dose at which amplitudes have fallen to exp(-1/2), e/Å² (Grant & Grigorieff 2015)."""
    scale = 1.0 if voltage > 250 else 0.8
    return scale * (0.24499 * np.maximum(k, 1e-4) ** -1.6649 + 2.8141)


def damage(k: Array, dose: float, law: str, voltage: float) -> Array:
    """Amplitude that is left at frequency ``k`` (1/Å) after ``dose`` (e/Å²).

    ``critical``: exponential with the critical dose per frequency; ``gaussian``: B grows by
    4 Å² per e/Å²; ``stretched``: fast early loss, then a slower one (exponent 0.7).
    """
    match law:
        case "none":
            return np.ones_like(k)
        case "critical":
            return np.exp(-0.5 * dose / critical_dose(k, voltage))
        case "gaussian":
            return np.exp(-dose * k**2)
        case "stretched":
            return np.exp(-((0.5 * dose / critical_dose(k, voltage)) ** 0.7))
        case _:
            raise ValueError(f"unknown damage law {law!r}")


def detector_transfer(k: Array, pixel_size: float, detector: str) -> Array:
    """Signal amplitude against white counting noise: sqrt(DQE(k) / DQE(0)).

    ``counting`` falls to 0.35 of the low-frequency DQE at Nyquist, about what counting cameras
    are specified with.
    """
    if detector == "perfect":
        return np.ones_like(k)
    nyquist_fraction = np.minimum(2 * pixel_size * k, np.sqrt(2))
    return np.sqrt(np.maximum(1 - 0.65 * nyquist_fraction**1.5, 0.05))


def ice_structure(k: Array) -> Array:
    """Structure factor of amorphous ice: small at low k, its first peak at 1/3.7 Å."""
    low = 0.06 + 3e-5 / np.maximum(k, 2e-3) ** 1.5
    step = 1 / (1 + np.exp(-(k - 0.23) / 0.018))
    peak = 0.6 * np.exp(-(((k - 0.27) / 0.03) ** 2))
    return np.minimum(low, 1.5) * (1 - step) + step + peak
