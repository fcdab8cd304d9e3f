"""Gain references: orientation, size, normalisation; and the test of the orientation itself."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import tifffile
from dm4_writing import write_dm
from hypothesis import given, settings
from hypothesis import strategies as st

from warptui.engine.errors import GainError, InputError
from warptui.engine.formats.camera.gain import Orientation, orientation_score, read_gain
from warptui.engine.formats.image import orient
from warptui.engine.formats.movie import open_movie
from warptui.engine.formats.mrc import write_mrc

ORIENTATIONS = [Orientation(*flags) for flags in product((False, True), repeat=3)]


def reference(shape=(40, 56), seed=0, spread=0.1) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, spread, shape).clip(0.3, 3).astype(np.float32)


def write(path, gain) -> None:
    write_mrc(path, gain, 1.0)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_flip_x_then_flip_y_then_transpose(tmp_path, orientation):
    gain = reference()
    write(tmp_path / "g.mrc", gain)
    expected = gain / gain.mean()
    if orientation.flip_x:
        expected = np.fliplr(expected)
    if orientation.flip_y:
        expected = np.flipud(expected)
    if orientation.transpose:
        expected = expected.T
    found = read_gain(tmp_path / "g.mrc", shape_yx=expected.shape, **orientation._asdict())
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.dtype == np.float32


def test_all_file_types_give_the_same_gain(tmp_path):
    gain = reference()
    write(tmp_path / "g.mrc", gain)
    tifffile.imwrite(tmp_path / "g.tif", gain[::-1])
    tifffile.imwrite(tmp_path / "g.gain", gain[::-1], compression="deflate")
    write_dm(tmp_path / "g.dm4", gain[::-1])
    expected = read_gain(tmp_path / "g.mrc", shape_yx=gain.shape)
    for name in ("g.tif", "g.gain", "g.dm4"):
        np.testing.assert_array_equal(read_gain(tmp_path / name, shape_yx=gain.shape), expected)


def test_a_gain_file_is_not_flipped_for_eer_as_eer_is_not(tmp_path):
    gain = reference()
    tifffile.imwrite(tmp_path / "g.gain", gain)
    found = read_gain(tmp_path / "g.gain", shape_yx=gain.shape, movie_format="eer")
    np.testing.assert_allclose(found, gain / gain.mean(), rtol=1e-6)


@given(st.integers(0, 20), st.integers(0, 1 << 16))
@settings(max_examples=30, deadline=None)
def test_zeros_become_one_and_the_mean_is_one(tmp_path_factory, n_dead, seed):
    rng = np.random.default_rng(seed)
    gain = reference((20, 30), seed) * 37
    dead = rng.choice(gain.size, n_dead, replace=False)
    gain.flat[dead] = rng.choice([0, -1], n_dead)
    path = tmp_path_factory.mktemp("gain") / "g.mrc"
    write(path, gain)
    found = read_gain(path, shape_yx=(20, 30))
    assert (found.flat[dead] == 1).all()
    assert found.mean() == pytest.approx(1, abs=1e-5)
    assert (found > 0).all()


def test_values_that_are_not_finite_become_one(tmp_path):
    gain = reference((20, 30))
    gain[3, 4], gain[5, 6] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "g.tif", gain[::-1])
    found = read_gain(tmp_path / "g.tif", shape_yx=(20, 30))
    assert found[3, 4] == found[5, 6] == 1


def test_a_gain_of_ones_changes_nothing(tmp_path):
    write(tmp_path / "g.mrc", np.ones((8, 9)))
    assert (read_gain(tmp_path / "g.mrc", shape_yx=(8, 9)) == 1).all()


def test_a_reference_of_zeros_is_refused(tmp_path):
    write(tmp_path / "g.mrc", np.zeros((8, 9)))
    with pytest.raises(GainError, match="100 % of the reference is zero"):
        read_gain(tmp_path / "g.mrc", shape_yx=(8, 9))


@pytest.mark.parametrize(
    ("shape", "wanted", "words"),
    [
        ((40, 56), (56, 40), "gain_transpose = true"),
        ((80, 112), (40, 56), "when binned by 2"),
        ((112, 80), (40, 56), "when binned by 2 and gain_transpose = true"),
        ((20, 28), (40, 56), "repeated 2 times"),
        ((41, 56), (40, 56), "no orientation or whole-number scale fits"),
    ],
)
def test_a_wrong_size_says_what_would_fit(tmp_path, shape, wanted, words):
    write(tmp_path / "g.mrc", reference(shape))
    with pytest.raises(GainError, match=words) as caught:
        read_gain(tmp_path / "g.mrc", shape_yx=wanted)
    assert "g.mrc" in str(caught.value)
    assert f"{shape[1]} x {shape[0]}" in str(caught.value)


def test_for_eer_the_size_follows_the_rendering(tmp_path):
    gain = reference((16, 24))
    write(tmp_path / "g.mrc", gain)
    options = {"movie_format": "eer"}
    same = read_gain(tmp_path / "g.mrc", shape_yx=(16, 24), **options)
    doubled = read_gain(tmp_path / "g.mrc", shape_yx=(32, 48), **options)
    halved = read_gain(tmp_path / "g.mrc", shape_yx=(8, 12), **options)
    np.testing.assert_array_equal(doubled[::2, 1::2], same)
    np.testing.assert_allclose(halved, same.reshape(8, 2, 12, 2).mean((1, 3)), rtol=1e-6)
    with pytest.raises(GainError, match="no orientation"):
        read_gain(tmp_path / "g.mrc", shape_yx=(24, 36), **options)


def test_a_stack_is_no_reference(tmp_path):
    write(tmp_path / "g.mrc", np.ones((3, 8, 9)))
    with pytest.raises(InputError, match="3 images"):
        read_gain(tmp_path / "g.mrc", shape_yx=(8, 9))


def exposed(gain: np.ndarray, dose: float, seed: int) -> np.ndarray:
    """Mean frame of a specimen with blobs, before gain correction."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: gain.shape[0], : gain.shape[1]]
    specimen = 1 + 0.2 * np.sin(y / 9.0 + seed) * np.cos(x / 7.0) + 0.3 * (y / gain.shape[0])
    frame = rng.poisson(dose * specimen / gain) / dose
    frame[rng.integers(0, gain.shape[0], 5), rng.integers(0, gain.shape[1], 5)] = 1e4
    return frame


@given(
    st.sampled_from(ORIENTATIONS), st.sampled_from(ORIENTATIONS), st.integers(0, 1 << 16),
    st.sampled_from([(256, 256), (300, 201)]), st.booleans(),
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_the_right_orientation_is_found_from_frames(true, configured, seed, shape, divides):
    """Whatever is configured, the note names the true settings, and is empty if they are set."""
    if shape[0] != shape[1]:
        configured = configured._replace(transpose=true.transpose)
    as_frames = reference(shape, seed)
    # The file holds what the true settings turn into the frames' gain.
    file = as_frames.T if true.transpose else as_frames
    file = orient(file, flip_x=true.flip_x, flip_y=true.flip_y, transpose=False)
    used = orient(1 / file if divides else file, **configured._asdict())
    frame = exposed(as_frames, 30.0, seed)
    # Two settings may mean one orientation: flips of both axes commute with nothing else.
    found = orientation_score(used, frame, **configured._asdict())
    assert found.best == true
    assert (found.scores[true] < 0) == divides
    if configured == true:
        assert ("invert it" in found.note) == divides
        assert bool(found.note) == divides
    else:
        assert str(true) in found.note


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_said_where_frames_have_no_fixed_pattern(seed):
    frame = exposed(np.ones((256, 256)), 30.0, seed)
    for orientation in ORIENTATIONS:
        assert orientation_score(reference((256, 256)), frame, **orientation._asdict()).note == ""
    assert orientation_score(np.ones((256, 256)), frame).note == ""


def test_different_sizes_cannot_be_compared():
    with pytest.raises(GainError, match="differ"):
        orientation_score(np.ones((8, 9)), np.ones((9, 8)))


@pytest.mark.shared
def test_the_reference_gain_fits_the_reference_movie(shared_data):
    """Of all orientations the one of the files gives the smoothest corrected mean."""
    with open_movie(shared_data / "movies" / "gain.tif") as reader:
        mean = reader.read_all().mean(axis=0)
    variances = {}
    for orientation in ORIENTATIONS:
        gain = read_gain(
            shared_data / "movies" / "gain_reference.mrc",
            shape_yx=mean.shape, movie_format="tiff", **orientation._asdict(),
        )  # fmt: skip
        corrected = mean * gain
        variances[orientation] = corrected[corrected < 3].var()
        found = orientation_score(gain, mean, **orientation._asdict())
        assert found.best == Orientation()
        assert bool(found.note) == (orientation != Orientation())
    assert min(variances, key=lambda key: variances[key]) == Orientation()
