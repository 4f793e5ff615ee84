"""Imagenette at 37x37: its real images, and small files in place of the official archive."""

import hashlib
import random
import zipfile

import numpy as np
import pytest
from tensorflow_datasets.core.download.checksums import UrlInfo

from experiments.data import imagenette, photographs, preparing, registry
from experiments.data.errors import DataError, DataMissing
from tests.experiments.data import photo_files

NO_NETWORK = "no network in tests"
WNIDS = tuple(imagenette.CLASSES)
SPLITS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(preparing, "unreachable", lambda url: NO_NETWORK)


def _assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


# The real images.


@pytest.fixture(scope="module")
def source(test_data_dir):
    path = test_data_dir / imagenette.REDUCED
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with np.load(path) as file:
        return dict(file)


@pytest.fixture(scope="module")
def real(test_data_dir, source, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    return registry.load("imagenette", data_dir=data_dir, manual_dir=test_data_dir, download=False)


def test_the_real_set_is_a_shuffle_of_its_source(real, source):
    assert real.sizes == (8469, 1000, 3925)
    assert real.x.shape == (13_394, 37 * 37)
    assert real.x.dtype == real.y.dtype == np.uint8

    def contents(images, labels):
        return sorted(zip(map(bytes, images.reshape(len(labels), -1)), labels, strict=True))

    assert contents(real.x[:9469], real.y[:9469]) == contents(source["x_train"], source["y_train"])
    assert contents(real.x[9469:], real.y[9469:]) == contents(source["x_val"], source["y_val"])
    for part in (real.y[:300], real.y[8469:9469], real.y[9469:9769]):
        assert np.bincount(part, minlength=10).min() > len(part) / 20


def test_task_of_the_real_set(real):
    task = registry.as_task("imagenette", real, block_size=10)
    assert task.name == "imagenette"
    assert task.image_shape == (37, 37, 1)
    assert task.class_names[:3] == ("tench", "English springer", "cassette player")
    assert (float(task.test.x.min()), float(task.test.x.max())) == (-1.0, 1.0) == task.pixel_range
    assert abs(float(task.test.x.mean())) < 0.15
    assert "imagenette_grey37/1.0.0" in task.origin


# A small archive, and a small reduced file.


@pytest.fixture
def small(monkeypatch):
    """Four training and two validation photographs a class: (part, wnid, name, JPEG)."""
    monkeypatch.setattr(imagenette, "SIZES", {"train": 40, "val": 20})
    monkeypatch.setattr(imagenette, "VALIDATION", 10)
    return [
        (part, wnid, f"{wnid}_{number}.JPEG", photo_files.photograph([label, number]))
        for part, numbers in (("train", range(4)), ("val", range(4, 6)))
        for label, wnid in enumerate(WNIDS)
        for number in numbers
    ]


@pytest.fixture
def manual(tmp_path):
    (tmp_path / "manual").mkdir()
    return tmp_path / "manual"


def _archive(manual, files, monkeypatch):
    members = [(f"imagenette2-160/{part}/{wnid}/{name}", file) for part, wnid, name, file in files]
    members.append(("imagenette2-160/noisy_imagenette.csv", b"path,noisy_labels_0\n"))
    path = photo_files.pack(manual / "imagenette2-160.tgz", members, "w:gz")
    _register(path, monkeypatch)
    return path


def _register(path, monkeypatch):
    content = path.read_bytes()
    info = UrlInfo(len(content), hashlib.sha256(content).hexdigest(), "imagenette2-160.tgz")
    monkeypatch.setattr(imagenette.Imagenette, "url_infos", {imagenette.URL: info})


def _reduced(files):
    """The arrays of ``imagenette_grey37.npz``."""
    arrays = {"wnids": np.array(WNIDS)}
    for part in ("train", "val"):
        mine = [file for file in files if file[0] == part]
        arrays[f"x_{part}"] = np.stack([photographs.grey_square(file[3]) for file in mine])
        arrays[f"y_{part}"] = np.array([WNIDS.index(file[1]) for file in mine], np.uint8)
    return arrays


def test_archive_and_reduced_file_give_the_same_set(small, manual, tmp_path, monkeypatch):
    _archive(manual, small[::-1], monkeypatch)
    imagenette.prepare(tmp_path / "one", manual_dir=manual, download=False)
    np.savez(manual / imagenette.REDUCED, **_reduced(small))
    monkeypatch.delattr(imagenette, "_read_archive")
    imagenette.prepare(tmp_path / "two", manual_dir=manual, download=False)
    sizes = []
    for split in SPLITS:
        one = imagenette.read_split(split, data_dir=tmp_path / "one")
        two = imagenette.read_split(split, data_dir=tmp_path / "two")
        np.testing.assert_array_equal(one[0], two[0])
        np.testing.assert_array_equal(one[1], two[1])
        sizes.append(len(one[1]))
    assert sizes == [30, 10, 20]


@pytest.mark.parametrize("download", [True, False])
def test_nothing_there_is_missing_data(tmp_path, download):
    with pytest.raises(DataMissing) as error:
        registry.load("imagenette", data_dir=tmp_path / "new", download=download)
    reason = NO_NETWORK if download else "downloading is switched off"
    _assert_one_line(error, "imagenette2-160.tgz", imagenette.REDUCED, reason, "--data_dir")
    assert not (tmp_path / "new").exists()


def test_small_imagenet_falls_back_on_imagenette(small, manual, tmp_path):
    np.savez(manual / imagenette.REDUCED, **_reduced(small))
    task = registry.task(
        "small_imagenet",
        block_size=10,
        data_dir=tmp_path / "new",
        manual_dir=manual,
        download=False,
        fallback="imagenette",
    )
    assert task.name == "imagenette"
    assert task.origin.startswith("small_imagenet could not be had (small_imagenet: ")
    assert "so this is imagenette" in task.origin


def test_neither_the_set_nor_its_stand_in(tmp_path):
    with pytest.raises(DataMissing) as error:
        registry.task(
            "small_imagenet", block_size=10, data_dir=tmp_path / "new", fallback="imagenette"
        )
    _assert_one_line(error, "imagenette2-160.tgz")
    assert str(error.value).startswith("small_imagenet: ")


@pytest.mark.parametrize("spoil", [lambda c: c[:-100], lambda c: c[:-1] + b"?"])
def test_a_damaged_archive_is_named(small, manual, tmp_path, monkeypatch, spoil):
    path = _archive(manual, small, monkeypatch)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError) as error:
        imagenette.prepare(tmp_path / "new", manual_dir=manual)
    assert not isinstance(error.value, DataMissing)
    _assert_one_line(error, path, "official file")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (lambda files: files[1:], "train: 39 photographs instead of 40"),
        (lambda files: [*files[:-1], (*files[-1][:3], b"no image")], "not a readable image"),
    ],
)
def test_a_registered_archive_of_other_files(small, manual, tmp_path, monkeypatch, spoil, what):
    path = _archive(manual, spoil(small), monkeypatch)
    with pytest.raises(DataError) as error:
        imagenette.prepare(tmp_path / "new", manual_dir=manual)
    _assert_one_line(error, path, what)
    assert list((tmp_path / "new" / "imagenette_grey37").iterdir()) == []


def test_a_registered_file_that_is_no_archive(small, manual, tmp_path, monkeypatch):
    path = manual / "imagenette2-160.tgz"
    path.write_bytes(b"no archive")
    _register(path, monkeypatch)
    with pytest.raises(DataError) as error:
        imagenette.prepare(tmp_path / "new", manual_dir=manual)
    _assert_one_line(error, path, "not a readable archive")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"x_val": None}, "x_val"),
        ({"x_train": lambda x: x[:-1]}, "x_train: uint8 (39, 37, 37) instead of uint8"),
        ({"x_train": lambda x: x / 255}, "x_train: float64"),
        ({"x_val": lambda x: x.astype(np.uint16)}, "x_val: uint16"),
        ({"x_val": lambda x: x.reshape(20, -1)}, "x_val: uint8 (20, 1369) instead of uint8"),
        ({"y_train": lambda y: y + 1}, "y_train: its labels are not 0..9"),
        ({"y_val": lambda y: np.eye(10)[y]}, "y_val: float64 (20, 10) instead of whole numbers"),
        ({"y_val": lambda y: y.astype(object)}, "cannot be read"),
        ({"wnids": lambda wnids: wnids[::-1]}, "wnids: not imagenette's"),
        ({"wnids": lambda wnids: wnids.astype(bytes)}, "wnids: |S9 (10,) instead of text"),
    ],
)
def test_a_wrong_reduced_file_is_named_with_its_field(small, manual, tmp_path, change, what):
    arrays = _reduced(small)
    for name, function in change.items():
        array = arrays.pop(name)
        if function is not None:
            arrays[name] = function(array)
    np.savez(manual / imagenette.REDUCED, **arrays)
    with pytest.raises(DataError) as error:
        imagenette.prepare(tmp_path / "new", manual_dir=manual)
    assert not isinstance(error.value, DataMissing)
    _assert_one_line(error, manual / imagenette.REDUCED, what)
    assert not (tmp_path / "new").exists()


def _flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("spoil", [lambda c: c[:-500], _flip, lambda c: b"", lambda c: b"no npz"])
def test_a_damaged_reduced_file_is_named(small, manual, tmp_path, spoil):
    path = manual / imagenette.REDUCED
    np.savez(path, **_reduced(small))
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError) as error:
        imagenette.prepare(tmp_path / "new", manual_dir=manual)
    _assert_one_line(error, path, "cannot be read")
    assert not (tmp_path / "new").exists()


def test_whichever_bit_of_a_reduced_file_is_flipped_no_photograph_changes(small, manual):
    """Above all of what isn't pixels: names, sizes and kinds of the arrays, and where they lie."""
    path = manual / imagenette.REDUCED
    np.savez(path, **_reduced(small))
    whole, moments = path.read_bytes(), random.Random(0)
    good = list(imagenette._read_reduced(path))
    with zipfile.ZipFile(path) as archive:
        headers = [entry.header_offset + at for entry in archive.infolist() for at in range(180)]
    ends = range(archive.start_dir, len(whole))
    shifted = headers[69]  # how long NumPy's own header is
    for place in (shifted, *moments.choices(headers, k=150), *moments.choices(ends, k=150)):
        flipped = bytes([whole[place] ^ 1 << moments.randrange(8)])
        path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        try:
            found = list(imagenette._read_reduced(path))
        except DataError as error:
            found = []
            message = str(error)
        if not found:
            assert message.startswith(f"{path}: ")
            assert "\n" not in message
        for one, other in zip(found, good, strict=bool(found)):
            np.testing.assert_array_equal(one.images, other.images)
            np.testing.assert_array_equal(one.labels, other.labels)


def test_a_bare_array_is_no_reduced_file(small, manual, tmp_path):
    with (manual / imagenette.REDUCED).open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError) as error:
        imagenette.prepare(tmp_path / "new", manual_dir=manual)
    _assert_one_line(error, "cannot be read")
