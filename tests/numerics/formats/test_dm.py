"""DM3 and DM4: the image is found among the tags, and damage is a typed error."""

from __future__ import annotations

import numpy as np
import pytest
from dm4_writing import PIXEL_CODES, write_dm
from hypothesis import given, settings
from hypothesis import strategies as st

from warptui.engine.errors import InputError
from warptui.engine.formats.image import read_image


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", PIXEL_CODES)
def test_the_largest_image_is_read_with_its_rows_flipped(tmp_path, version, order, kind):
    image = np.arange(6 * 9).reshape(6, 9).astype(kind)
    write_dm(tmp_path / "a.dm4", image, version=version, order=order)
    found = read_image(tmp_path / "a.dm4")
    assert found.dtype == image.dtype
    np.testing.assert_array_equal(found, image[::-1])


@given(st.integers(0, 3000), st.integers(0, 255), st.booleans())
@settings(max_examples=300, deadline=None)
def test_damage_never_escapes_as_another_error(tmp_path_factory, position, value, cut):
    path = tmp_path_factory.mktemp("dm") / "a.dm4"
    write_dm(path, np.arange(54, dtype=np.float32).reshape(6, 9))
    data = bytearray(path.read_bytes())
    position %= len(data)
    if cut:
        del data[position:]
    else:
        data[position] = value
    path.write_bytes(data)
    try:
        assert read_image(path).ndim == 2
    except InputError as error:
        assert "a.dm4" in str(error)
