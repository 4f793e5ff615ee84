"""Fashion-MNIST from small gz files in place of the official ones; test_tfds_sets.py has the rest.

Both sets have files of the same names, so the tests are about telling them apart.
"""

import gzip
import hashlib

import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from experiments.data import mnist_builder, preparing, registry
from experiments.data.errors import DataError, DataMissing

BUILDERS = {"mnist": mnist_builder.MNIST, "fashion_mnist": mnist_builder.FashionMNIST}
PARTS = {"train": 60, "t10k": 30}


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(preparing, "unreachable", lambda url: "no network in tests")


def _write(folder, seed, labels):
    """Writes the four gz files and returns what TFDS would have registered of each, by name."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    infos = {}
    for part, n in PARTS.items():
        images = rng.integers(0, 256, (n, 784), np.uint8)
        for name, header, data in (
            ("images-idx3", 16, images),
            ("labels-idx1", 8, labels(n)),
        ):
            path = folder / f"{part}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(bytes(header) + data.tobytes()))
            infos[path.name] = UrlInfo(
                path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest(), path.name
            )
    return infos


def _balanced(n):
    return (np.arange(n) % 10).astype(np.uint8)


def _skewed(n):
    return (np.arange(n) ** 2 % 10).astype(np.uint8)


@pytest.fixture
def manual(tmp_path, monkeypatch):
    """A folder with MNIST's files, and Fashion-MNIST's in a folder of their own inside."""
    folder = tmp_path / "manual"
    for name, (where, labels) in {
        "mnist": (folder, _skewed),
        "fashion_mnist": (folder / "fashion_mnist", _balanced),
    }.items():
        infos = _write(where, len(name), labels)
        builder = BUILDERS[name]
        urls = {builder.URL + file: info for file, info in infos.items()}
        monkeypatch.setattr(builder, "url_infos", urls)
    return folder


def test_the_registered_files_are_fashion_mnists_own():
    mnist, fashion = (builder.url_infos for builder in BUILDERS.values())
    assert {info.filename for info in mnist.values()} == {
        info.filename for info in fashion.values()
    }
    assert not {info.checksum for info in mnist.values()} & {
        info.checksum for info in fashion.values()
    }


def test_each_set_finds_its_own_files(manual, tmp_path):
    folder = mnist_builder.prepare(
        tmp_path / "new",
        builder=mnist_builder.FashionMNIST,
        manual_dir=manual,
        download=False,
    )
    assert folder == tmp_path / "new" / "fashion_mnist" / "3.0.1"
    assert tfds.builder("fashion_mnist", data_dir=tmp_path / "new").is_prepared()
    other = mnist_builder.prepare(tmp_path / "new", manual_dir=manual, download=False)
    assert other == tmp_path / "new" / "mnist" / "3.0.1"
    for where, source in ((folder, manual / "fashion_mnist"), (other, manual)):
        content = gzip.decompress((source / "t10k-images-idx3-ubyte.gz").read_bytes())
        found, _ = preparing.read_split(where, "test")
        assert found.tobytes() == content[16:]


def test_set_in_memory(manual, tmp_path):
    finite = registry.load(
        "fashion_mnist", data_dir=tmp_path / "new", manual_dir=manual, download=False
    )
    assert finite.x.shape == (90, 784)
    np.testing.assert_array_equal(finite.y, np.concatenate([_balanced(60), _balanced(30)]))
    assert finite.sizes == (50_000, 10_000, 10_000)
    assert (finite.white, finite.image_shape) == (255, (28, 28, 1))
    assert registry.DATA_SETS["fashion_mnist"].pixel_range == (0.0, 1.0)
    assert finite.class_names[9] == "ankle boot"
    assert "Fashion-MNIST, TFDS's fashion_mnist/3.0.1" in finite.origin


def test_mnists_files_are_not_fashion_mnists(manual, tmp_path):
    for path in (manual / "fashion_mnist").iterdir():
        path.unlink()
    (manual / "fashion_mnist").rmdir()
    with pytest.raises(DataError) as error:
        registry.load("fashion_mnist", data_dir=tmp_path / "new", manual_dir=manual)
    assert not isinstance(error.value, DataMissing)
    assert "official file" in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "new").exists()


def test_mnist_prepared_in_its_folder_is_noticed(manual, tmp_path):
    folder = mnist_builder.prepare(tmp_path / "new", manual_dir=manual, download=False)
    (tmp_path / "new" / "fashion_mnist").mkdir()
    folder.rename(tmp_path / "new" / "fashion_mnist" / "3.0.1")
    with pytest.raises(DataError, match="the train set's classes are not equally large") as error:
        registry.load("fashion_mnist", data_dir=tmp_path / "new")
    assert "\n" not in str(error.value)


def test_no_files_are_missing_data(tmp_path):
    with pytest.raises(DataMissing) as error:
        registry.task("fashion_mnist", block_size=10, data_dir=tmp_path / "new")
    assert str(error.value).startswith("fashion_mnist: t10k-images-idx3-ubyte.gz")
    task = registry.task(
        "fashion_mnist", block_size=10, data_dir=tmp_path / "new", fallback="digits"
    )
    assert task.name == "digits"
