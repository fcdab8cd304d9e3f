import numpy as np
import pytest

from warptui.engine.simulation.invented import HEAVIEST_KDA, LIGHTEST_KDA, invent_particle
from warptui.engine.simulation.species import make_species


@pytest.mark.parametrize("seed", range(12))
def test_an_invented_particle_has_a_proteins_mass_and_density(seed: int) -> None:
    particle = invent_particle(seed)
    assert LIGHTEST_KDA * 0.95 < particle.mass_kda < HEAVIEST_KDA * 1.05
    assert np.isfinite(particle.xyz_angstrom).all()
    assert np.abs(np.average(particle.xyz_angstrom, axis=0, weights=particle.potential)).max() < 0.1
    # a protein of this mass as a solid ball, about 1.2 Å³ a dalton, and ten times as loose
    ball = 2 * np.cbrt(3 * particle.mass_kda * 1.2e3 / (4 * np.pi))
    assert 0.9 * ball < particle.diameter_angstrom < 5 * ball


def test_the_seed_decides_all() -> None:
    one, same, other = invent_particle(3), invent_particle(3), invent_particle(4)
    np.testing.assert_array_equal(one.xyz_angstrom, same.xyz_angstrom)
    assert one.mass_kda != other.mass_kda


def test_it_is_denser_than_the_ice_that_it_displaces() -> None:
    species = make_species(invent_particle(5), 4, 8.0, np.random.default_rng(1))
    views = species.views.astype(np.float32)
    # the projected excess is the potential less the ice's, whatever the view
    excess = (views.sum(axis=(1, 2)) * 64) / (invent_particle(5).potential.sum())
    np.testing.assert_allclose(excess, excess[0], rtol=0.01)
    assert 0.1 < excess[0] < 0.6
