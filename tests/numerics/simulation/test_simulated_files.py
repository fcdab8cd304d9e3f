"""Files: round trips through the program's own readers, truth beside them, models read in."""

from __future__ import annotations

import gzip
import json
import threading

import numpy as np
import pytest

from warptui.engine.errors import InputError
from warptui.engine.formats.movie import open_movie
from warptui.engine.formats.mrc import read_mrc, write_mrc
from warptui.engine.simulation.__main__ import main
from warptui.engine.simulation.atoms import read_atoms
from warptui.engine.simulation.density import particle_from_map, read_particle, read_particles
from warptui.engine.simulation.files import write_movie
from warptui.engine.simulation.movie import simulate_movie
from warptui.engine.simulation.session import write_demo_session
from warptui.engine.simulation.settings import PRESETS, MovieSettings
from warptui.engine.simulation.truth import read_truth

TINY = PRESETS["small"].model_copy(
    update={"shape_yx": (96, 128), "n_frames": 3, "name": "tiny", "particles_per_um2": 2000.0}
)


@pytest.mark.parametrize("movie_format", ["tif", "mrc"])
def test_counts_come_back_from_the_file_as_they_were_counted(tmp_path, movie_format):
    movie = simulate_movie(TINY)
    path = write_movie(movie, tmp_path, movie_format)
    with open_movie(path) as opened:
        np.testing.assert_array_equal(opened.read_all(), list(movie.frames()))
        assert opened.pixel_size == pytest.approx(TINY.pixel_size)
    reference, _ = read_mrc(tmp_path / "tiny_gain.mrc")
    np.testing.assert_array_equal(reference, movie.camera.reference)
    assert read_truth(tmp_path / "tiny_truth.json").record["movie"] == path.name


def test_eer_holds_the_electrons_of_the_frames_but_those_that_coincide(tmp_path):
    settings = TINY.model_copy(update={"raw_frames_per_frame": 5, "gain_variation": 0,
                                       "n_hot_pixels": 0, "n_dead_pixels": 0})  # fmt: skip
    movie = simulate_movie(settings)
    path = write_movie(movie, tmp_path, "eer")
    with open_movie(path, eer_frames_per_group=5) as opened:
        assert (opened.n_raw_frames, opened.n_frames) == (15, 3)
        read = opened.read_all().astype(int)
    counted = np.stack(list(movie.frames())).astype(int)
    assert ((counted - read) >= 0).all()
    assert (read > 0)[counted > 0].all()
    rate = settings.dose_per_frame / 5
    assert read.sum() / counted.sum() == pytest.approx((1 - np.exp(-rate)) / rate, abs=0.03)


def test_truth_has_the_keys_of_the_shared_truth_and_is_plain_json():
    record = simulate_movie(TINY).truth.record
    assert json.loads(json.dumps(record)).keys() == record.keys()
    assert {
        "kind", "movie", "config", "pixel_size", "shape", "conventions", "global_shifts", "local",
        "ctf", "particles", "mask", "gain", "hot_pixels", "dead_pixels",
    } <= record.keys()  # fmt: skip


@pytest.mark.shared
@pytest.mark.parametrize("name", ["drift", "gain", "short", "tilt40"])
def test_shared_truth_is_read_like_ours(shared_data, name):
    shared = read_truth(shared_data / "movies" / f"{name}_truth.json")
    ours = simulate_movie(TINY).truth
    assert shared.record.keys() <= ours.record.keys()
    assert shared.record["ctf"].keys() == ours.record["ctf"].keys()
    assert shared.record["particles"][0].keys() <= ours.record["particles"][0].keys()
    moved = shared.displacement(np.array([100.0, 300.0]), np.array([50.0, 60.0]))
    assert moved.shape == (shared.n_frames, 2, 2)
    assert np.abs(moved[0]).max() == 0


PDB = """\
ATOM      1  N   SER A   4      10.000  20.000  30.000  1.00 91.41           N
ATOM      2  CA  SER A   4      11.000  20.000  30.000  1.00 86.17           C
ATOM      3  H   SER A   4      12.000  20.000  30.000  1.00 86.17           H
ATOM      4  CA BSER A   4      11.100  20.000  30.000  0.40 86.17           C
HETATM    5  O   HOH A 101      50.000  20.000  30.000  1.00 86.17           O
ENDMDL
ATOM      1  N   SER A   4      99.000  20.000  30.000  1.00 91.41           N
"""
CIF = """\
data_X
loop_
_atom_site.group_PDB
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.auth_asym_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
_atom_site.pdbx_PDB_model_num
ATOM P P . G A 10.0 20.0 30.0 1
ATOM O "O5'" . G A 11.0 20.0 30.0 1
ATOM C C5' . G A 12.0 20.0 30.0 1
ATOM C C5' . G A 99.0 20.0 30.0 2
#
"""


def test_pdb_gives_heavy_atoms_of_the_first_model(tmp_path):
    path = tmp_path / "a.pdb.gz"
    path.write_bytes(gzip.compress(PDB.encode()))
    atoms = read_atoms(path)
    assert list(atoms.elements) == ["N", "C"]
    np.testing.assert_allclose(atoms.xyz_angstrom[:, 0], [10, 11])


def test_mmcif_reads_atom_names_with_primes(tmp_path):
    path = tmp_path / "a.cif"
    path.write_text(CIF)
    atoms = read_atoms(path)
    assert list(atoms.elements) == ["P", "O", "C"]
    np.testing.assert_allclose(atoms.xyz_angstrom[:, 0], [10, 11, 12])


def test_files_without_atoms_are_refused_by_name(tmp_path):
    (tmp_path / "empty.pdb").write_text("END\n")
    with pytest.raises(InputError, match=r"empty\.pdb"):
        read_atoms(tmp_path / "empty.pdb")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no atomic models"):
        read_particles(tmp_path / "nothing")


@pytest.mark.shared
def test_every_shared_model_becomes_a_particle(shared_data):
    for name, low, high in (
        ("6zu5_80S_ribosome.cif.gz", 2000, 4500),
        ("1oel_GroEL.pdb.gz", 350, 850),
    ):
        particle = read_particle(shared_data / "structures" / name)
        assert low < particle.mass_kda < high
        assert 100 < particle.diameter_angstrom < 500


def test_density_map_becomes_a_particle_of_its_mass(tmp_path):
    z, y, x = np.mgrid[:32, :32, :32] - 15.5
    write_mrc(tmp_path / "ball.mrc", (np.hypot(np.hypot(x, y), z) < 10).astype(np.float32), 5.0)
    particle = particle_from_map(tmp_path / "ball.mrc", threshold=0.5, mass_kda=300)
    assert particle.mass_kda == pytest.approx(300, rel=1e-3)
    assert particle.diameter_angstrom == pytest.approx(100, rel=0.06)
    with pytest.raises(InputError, match="largest is 1"):
        particle_from_map(tmp_path / "ball.mrc", threshold=2, mass_kda=300)


def test_command_writes_movie_gain_and_truth(tmp_path, capsys):
    arguments = ["small", str(tmp_path), "--seed", "3", "--size", "128,96", "--frames", "2"]
    assert main([*arguments, "--format", "mrc", "--set", "defocus_um=2.5"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "small_3.mrc")
    truth = read_truth(tmp_path / "small_3_truth.json")
    assert truth.shape_yx == (96, 128)
    assert truth.record["settings"]["defocus_um"] == 2.5
    assert (tmp_path / "small_3_gain.mrc").exists()


def test_demo_session_is_the_same_at_every_call_and_holds_its_mishaps(tmp_path):
    seen_growing: list[int] = []
    stop = threading.Event()
    grown = tmp_path / "a" / "movies" / "demo_003.tif"

    def watch() -> None:
        while not stop.wait(0.005):
            if grown.exists():
                seen_growing.append(grown.stat().st_size)

    watcher = threading.Thread(target=watch)
    watcher.start()
    fractions: list[float] = []
    small = {"n_movies": 7, "delay_s": 0.2, "shape_yx": (128, 128), "n_frames": 4}
    session = write_demo_session(tmp_path / "a", progress=fractions.append, **small)
    stop.set()
    watcher.join()
    assert write_demo_session(tmp_path / "b", **small) == session
    for name in session.movies:
        first, second = (tmp_path / at / "movies" / name for at in "ab")
        assert first.read_bytes() == second.read_bytes()
    assert fractions[-1] == 1
    assert len(set(seen_growing)) > 2
    with open_movie(tmp_path / "a" / "movies" / session.empty) as opened:
        counts = opened.read_all()
    gain, _ = read_mrc(tmp_path / "a" / "gain.mrc")
    assert (counts.mean(axis=0) * gain).mean() == pytest.approx(1.5, rel=0.02)
    whole = (tmp_path / "a" / "movies" / session.movies[0]).stat().st_size
    cut = (tmp_path / "a" / "movies" / session.truncated).stat().st_size
    assert cut < 0.7 * whole
    assert (tmp_path / "a" / "movies" / f"{session.with_mdoc}.mdoc").exists()
    left = [path.name for path in (tmp_path / "a").rglob(".*")]
    assert left == []


def test_settings_refuse_what_they_do_not_know():
    with pytest.raises(ValueError, match="extra"):
        MovieSettings.model_validate({"dose": 3})
