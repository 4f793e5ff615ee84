"""A photograph's way to a grey square of 37 x 37 pixels."""

import numpy as np
import PIL.Image
import pytest

from experiments.data import photographs
from experiments.data.errors import DataError
from tests.experiments.data import photo_files


def _lanczos(n, size=37):
    """The weights [size, n] of a Lanczos-3 filter widened by the reduction, in closed form."""
    scale = n / size
    centres = (np.arange(size) + 0.5) * scale
    distance = (np.arange(n) + 0.5 - centres[:, None]) / max(scale, 1.0)
    weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("height", "width"), [(80, 121), (131, 90), (37, 37), (37, 50), (20, 31)])
def test_the_middle_square_by_lanczos_on_luma(height, width):
    pixels = np.random.default_rng(0).integers(60, 196, (height, width, 3), np.uint8)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    # Recommendation ITU-R BT.601, section 2.5.1.
    luma = np.round(pixels.astype(float) @ [0.299, 0.587, 0.114])
    square = luma[top : top + side, left : left + side]
    expected = _lanczos(side) @ square @ _lanczos(side).T
    found = photographs.grey_square(photo_files.encode(pixels, "PNG"))
    assert found.shape == (37, 37)
    assert found.dtype == np.uint8
    # PIL rounds after each of its three steps, and clips what a filter with lobes makes too bright.
    np.testing.assert_allclose(found, np.clip(expected, 0, 255), atol=2.5)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK", "P"])
@pytest.mark.parametrize("level", [0, 77, 255])
def test_any_kind_of_image_keeps_its_grey(mode, level):
    image = PIL.Image.fromarray(np.full((50, 70), level, np.uint8)).convert(mode)
    file = photo_files.io.BytesIO()
    image.save(file, "TIFF")
    assert np.abs(photographs.grey_square(file.getvalue()).astype(int) - level).max() <= 1


def test_files_are_reduced_in_their_order():
    files = [(str(seed), photo_files.photograph(seed)) for seed in range(20)]
    found = photographs.grey_squares(files, archive="a.tar")
    alone = [photographs.grey_square(file) for _, file in files]
    np.testing.assert_array_equal(found, alone)
    assert len(np.unique(np.reshape(alone, (20, -1)), axis=0)) == 20


@pytest.mark.parametrize("spoil", [lambda file: file[:-200], lambda file: b"", lambda file: b"GIF"])
def test_a_file_that_is_no_image_is_named(spoil):
    files = [("good.JPEG", photo_files.photograph(0)), ("bad.JPEG", photo_files.photograph(1))]
    files[1] = ("bad.JPEG", spoil(files[1][1]))
    with pytest.raises(DataError, match=r"^a\.tar: bad\.JPEG is not a readable image") as error:
        photographs.grey_squares(files, archive="a.tar")
    assert "\n" not in str(error.value)
