"""MNIST and Fashion-MNIST prepared by TFDS without TensorFlow, their failures, and the digits."""

import contextlib
import functools
import gzip
import http.server
import shutil
import socket
import subprocess
import sys
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds

from experiments.data import arrays, mnist_builder, preparing, registry
from experiments.data.errors import DataError, DataMissing

GZ = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}
SIZES = {"train": 60_000, "test": 10_000}
NO_NETWORK = "no network in tests"


@pytest.fixture(autouse=True)
def _no_network_and_no_home(monkeypatch, tmp_path):
    monkeypatch.setattr(preparing, "unreachable", lambda url: NO_NETWORK)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "default"))


@pytest.fixture(scope="module")
def gz_dir(test_data_dir):
    return test_data_dir / "mnist"


@pytest.fixture(scope="module")
def prepared(gz_dir, tmp_path_factory):
    """A data_dir holding MNIST prepared from the official gz files."""
    data_dir = tmp_path_factory.mktemp("tfds")
    mnist_builder.prepare(data_dir, manual_dir=gz_dir, download=False)
    return data_dir


@pytest.fixture(scope="module")
def mnist(prepared):
    """MNIST as read from the folder that TFDS_DATA_DIR names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(prepared))
        return registry.load("mnist", download=False)


@pytest.fixture
def copy_of_prepared(prepared, tmp_path):
    shutil.copytree(prepared / "mnist", tmp_path / "copy" / "mnist")
    return tmp_path / "copy"


@pytest.fixture
def gz_copies(gz_dir, tmp_path):
    """A folder with the official gz files, free to be spoilt."""
    folder = tmp_path / "gz"
    folder.mkdir()
    for path in gz_dir.glob("*.gz"):
        shutil.copyfile(path, folder / path.name)
    return folder


def _official(gz_dir, split):
    """Images and labels read from the gz files, after checking the idx headers."""
    images, labels = (gzip.decompress((gz_dir / name).read_bytes()) for name in GZ[split])
    n = SIZES[split]
    np.testing.assert_array_equal(np.frombuffer(images, ">i4", 4), [2051, n, 28, 28])
    np.testing.assert_array_equal(np.frombuffer(labels, ">i4", 2), [2049, n])
    x = np.frombuffer(images, np.uint8, offset=16).reshape(n, 784)
    return x, np.frombuffer(labels, np.uint8, offset=8)


def _assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


def _written(folder):
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


# The real set.


def test_pixel_for_pixel_the_official_files_in_their_order(mnist, gz_dir):
    train_x, train_y = _official(gz_dir, "train")
    test_x, test_y = _official(gz_dir, "test")
    assert mnist.x.shape == (70_000, 784)
    assert mnist.x.dtype == mnist.y.dtype == np.uint8
    np.testing.assert_array_equal(mnist.x[:60_000], train_x)
    np.testing.assert_array_equal(mnist.y[:60_000], train_y)
    np.testing.assert_array_equal(mnist.x[60_000:], test_x)
    np.testing.assert_array_equal(mnist.y[60_000:], test_y)


def test_label_counts_are_the_published_ones(mnist):
    published = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(mnist.y[:60_000]), published)
    published = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(np.bincount(mnist.y[60_000:]), published)


def test_task_has_the_papers_split_and_range(mnist):
    task = registry.as_task("mnist", mnist, block_size=100)
    assert task.train.arrays.x.shape == (50_000, 784)
    assert task.validation.x.shape == task.test.x.shape == (10_000, 784)
    for batch in (task.train.arrays, task.validation, task.test):
        assert batch.x.dtype == jnp.float32
        assert batch.y.dtype == jnp.int32
        assert (float(batch.x.min()), float(batch.x.max())) == (0.0, 1.0)
    np.testing.assert_array_equal(task.validation.y, mnist.y[50_000:60_000])
    np.testing.assert_array_equal(task.test.x, mnist.x[60_000:] / np.float32(255))
    assert task.class_names == tuple("0123456789")
    assert task.image_shape == (28, 28, 1)
    assert task.pixel_range == (0.0, 1.0)
    assert "mnist/3.0.1" in task.origin


def test_stock_tfds_reads_the_prepared_set_as_its_own(prepared):
    stock = tfds.builder("mnist", data_dir=prepared)
    registered = tfds.image_classification.MNIST(data_dir=prepared)
    assert stock.info.full_name == registered.info.full_name == "mnist/3.0.1"
    assert stock.info.features["image"].shape == (28, 28, 1)
    assert stock.info.features["label"].num_classes == 10
    assert {name: split.num_examples for name, split in stock.info.splits.items()} == SIZES
    assert stock.info.download_size == sum(
        info.size for info in tfds.image_classification.MNIST.url_infos.values()
    )
    assert [path.name for path in prepared.glob("mnist/*")] == ["3.0.1"]
    assert "tensorflow" not in sys.modules


def test_a_prepared_set_is_reused_untouched(prepared):
    folder = prepared / "mnist" / "3.0.1"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert mnist_builder.prepare(prepared, download=False) == folder
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


# MNIST that cannot be had.


@pytest.mark.parametrize("download", [True, False])
def test_no_files_and_no_network_is_one_line_at_once(tmp_path, download):
    start = time.perf_counter()
    with pytest.raises(DataMissing) as error:
        registry.load("mnist", data_dir=tmp_path / "empty", download=download)
    assert time.perf_counter() - start < 2.0
    reason = NO_NETWORK if download else "downloading is switched off"
    manual = tmp_path / "empty" / "downloads" / "manual"
    _assert_one_line(error, *GZ["train"], *GZ["test"], manual, reason, "--data_dir")
    assert not (tmp_path / "empty").exists()


def test_tfds_data_dir_is_the_default(tmp_path):
    with pytest.raises(DataMissing) as error:
        registry.load("mnist")
    _assert_one_line(error, tmp_path / "default" / "downloads" / "manual")


def test_default_data_dir_follows_tfds(monkeypatch, tmp_path):
    assert arrays.default_data_dir("given").name == "given"
    assert arrays.default_data_dir("") == tmp_path / "default"
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert arrays.default_data_dir() == tmp_path / "tensorflow_datasets"


def test_one_missing_file_is_named_alone(gz_copies, tmp_path):
    (gz_copies / GZ["test"][1]).unlink()
    with pytest.raises(DataMissing) as error:
        mnist_builder.prepare(tmp_path / "new", manual_dir=gz_copies)
    _assert_one_line(error, GZ["test"][1])
    assert GZ["train"][0] not in str(error.value)


def test_fallback_says_what_it_is_and_why():
    task = registry.task("mnist", block_size=10, fallback="digits")
    assert task.name == "digits"
    assert task.origin.startswith("mnist could not be had (mnist: ")
    assert NO_NETWORK in task.origin
    assert "scikit-learn's 1797 8x8 digits" in task.origin
    assert "\n" not in task.origin


def _closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def test_unreachable_is_told_within_its_timeout(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    assert "refused" in preparing.unreachable(f"http://127.0.0.1:{_closed_port()}/")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        start = time.perf_counter()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert preparing.unreachable(url, timeout=0.3)
        assert time.perf_counter() - start < 2.0


# Damaged files: never a fallback, nothing half-written.


def _truncate(folder):
    path = folder / GZ["train"][0]
    path.write_bytes(path.read_bytes()[:5_000_000])
    return path, "truncated, 5000000 bytes where the official file has 9912422"


def _swap(folder):
    path = folder / GZ["train"][1]
    shutil.copyfile(folder / GZ["test"][0], path)
    return path, "not the official file, 1648877 bytes where the official file has 28881"


def _flip_a_byte(folder):
    path = folder / GZ["test"][1]
    content = bytearray(path.read_bytes())
    content[2000] ^= 1
    path.write_bytes(content)
    return path, "sha256"


@pytest.mark.parametrize("spoil", [_truncate, _swap, _flip_a_byte])
def test_damaged_gz_file_is_named_and_nothing_is_written(gz_copies, tmp_path, spoil):
    path, what = spoil(gz_copies)
    new = tmp_path / "new"
    with pytest.raises(DataError) as error:
        registry.task("mnist", block_size=10, data_dir=new, manual_dir=gz_copies, fallback="digits")
    assert not isinstance(error.value, DataMissing)
    _assert_one_line(error, path, what)
    assert not new.exists()


def test_failure_while_writing_leaves_no_set(gz_dir, tmp_path, monkeypatch):
    killed = tmp_path / "new" / "mnist" / "incomplete.ABC123_3.0.1"
    killed.mkdir(parents=True)
    (killed / "mnist-train.array_record-00000-of-00001").write_bytes(b"half of it")
    examples = mnist_builder.MNIST._generate_examples

    def few_then_none(self, images, labels):
        for _, example in zip(range(50), examples(self, images, labels), strict=False):
            yield example
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mnist_builder.MNIST, "_generate_examples", few_then_none)
    with pytest.raises(DataError) as error:
        mnist_builder.prepare(tmp_path / "new", manual_dir=gz_dir)
    _assert_one_line(error, "data_dir", tmp_path / "new", "No space left on device")
    assert _written(tmp_path / "new" / "mnist") == []


def test_data_dir_that_is_a_file(gz_dir, tmp_path):
    (tmp_path / "file").write_text("taken")
    with pytest.raises(DataError) as error:
        mnist_builder.prepare(tmp_path / "file", manual_dir=gz_dir)
    _assert_one_line(error, "data_dir", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "taken"


def _cut(content):
    return content[: len(content) // 2]


def _flip(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize("spoil", [_cut, _flip, lambda content: b""], ids=["cut", "flip", "empty"])
def test_damaged_record_file_is_named_and_the_good_set_still_reads(
    copy_of_prepared, prepared, mnist, spoil
):
    [path] = (copy_of_prepared / "mnist" / "3.0.1").glob("mnist-train.array_record*")
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError) as error:
        registry.task("mnist", block_size=10, data_dir=copy_of_prepared, fallback="digits")
    _assert_one_line(error, path, "remove")
    x, y = mnist_builder.read_split("test", data_dir=prepared)
    np.testing.assert_array_equal(x, mnist.x[60_000:])
    np.testing.assert_array_equal(y, mnist.y[60_000:])


def test_other_examples_in_good_records_are_noticed(copy_of_prepared, monkeypatch):
    monkeypatch.setitem(mnist_builder._CONTENTS, "test", "0" * 64)
    with pytest.raises(DataError) as error:
        mnist_builder.read_split("test", data_dir=copy_of_prepared)
    _assert_one_line(error, "mnist-test.array_record", "other examples than mnist's test")


@pytest.mark.parametrize("content", [None, '{"name": "mn'])
def test_damaged_dataset_info_is_named(copy_of_prepared, content):
    info = copy_of_prepared / "mnist" / "3.0.1" / "dataset_info.json"
    info.unlink()
    if content is not None:
        info.write_text(content)
    with pytest.raises(DataError) as error:
        registry.load("mnist", data_dir=copy_of_prepared)
    _assert_one_line(error, info.parent, "remove")


# Downloading, from a server on this machine.


@pytest.fixture
def serve(monkeypatch):
    """Serves a folder of gz files in place of TFDS's mirror."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with contextlib.ExitStack() as stack:

        def start(folder):
            handler = functools.partial(Quiet, directory=folder)
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            stack.callback(server.server_close)
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            url = f"http://127.0.0.1:{server.server_port}/"
            infos = tfds.image_classification.MNIST.url_infos.values()
            monkeypatch.undo()
            monkeypatch.setenv("no_proxy", "*")
            monkeypatch.setattr(mnist_builder.MNIST, "URL", url)
            monkeypatch.setattr(
                mnist_builder.MNIST, "url_infos", {url + info.filename: info for info in infos}
            )

        yield start


def test_downloads_what_is_missing_with_tfds_and_checks_it(gz_dir, tmp_path, serve, monkeypatch):
    serve(gz_dir)
    examples = mnist_builder.MNIST._generate_examples

    def few(self, images, labels):
        for _, example in zip(range(20), examples(self, images, labels), strict=False):
            yield example

    monkeypatch.setattr(mnist_builder.MNIST, "_generate_examples", few)
    folder = mnist_builder.prepare(tmp_path)
    assert (folder / "dataset_info.json").is_file()
    official = {path.read_bytes() for path in gz_dir.glob("*.gz")}
    assert {path.read_bytes() for path in (tmp_path / "downloads").rglob("*.gz")} == official

    shutil.rmtree(folder)  # what was downloaded is used again, without any network
    monkeypatch.setattr(preparing, "unreachable", lambda url: NO_NETWORK)
    assert mnist_builder.prepare(tmp_path) == folder


def test_damaged_download_is_an_error(gz_copies, tmp_path, serve):
    _flip_a_byte(gz_copies)
    serve(gz_copies)
    with pytest.raises(DataError) as error:
        mnist_builder.prepare(tmp_path / "new")
    assert not isinstance(error.value, DataMissing)
    _assert_one_line(error, GZ["test"][1], "checksum")
    assert _written(tmp_path / "new" / "mnist") == []


def test_refused_download_is_missing_data(gz_copies, tmp_path, serve):
    (gz_copies / GZ["test"][1]).unlink()
    serve(gz_copies)
    with pytest.raises(DataMissing) as error:
        mnist_builder.prepare(tmp_path / "new")
    _assert_one_line(error, "404", tmp_path / "new" / "downloads" / "manual")


# Digits, and what needs no data.


def test_digits_are_scikit_learns_shuffled_once():
    import sklearn.datasets

    digits = registry.load("digits")
    x, y = sklearn.datasets.load_digits(return_X_y=True)
    order = np.random.RandomState(2010).permutation(1797)
    np.testing.assert_array_equal(digits.x, x[order])
    np.testing.assert_array_equal(digits.y, y[order])
    np.testing.assert_array_equal(order[:5], [979, 1400, 1635, 255, 544])
    assert digits.sizes == (1283, 257, 257)


def test_digits_task():
    task = registry.task("digits", block_size=10)
    parts = (task.train.arrays, task.validation, task.test)
    assert [part.y.shape[0] for part in parts] == [1283, 257, 257]
    for part in parts:
        assert part.x.shape == (part.y.shape[0], 64)
        assert part.x.dtype == jnp.float32
        assert part.y.dtype == jnp.int32
        assert (float(part.x.min()), float(part.x.max())) == (0.0, 1.0)
        assert np.bincount(part.y, minlength=10).min() >= 10
    assert task.train.block_size == 10
    assert len(task.class_names) == 10


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"name": "cifar", "block_size": 10}, "name: 'cifar'"),
        ({"name": "mnist", "block_size": 10, "fallback": "shapeset"}, "fallback: 'shapeset'"),
        ({"name": "digits", "block_size": 10, "fallback": ""}, "fallback: ''"),
        ({"name": "digits", "block_size": 0}, "block_size: 0"),
        ({"name": "digits", "block_size": 1284}, "block_size: 1284"),
    ],
)
def test_bad_arguments_are_named(arguments, field):
    with pytest.raises(DataError) as error:
        registry.task(**arguments)
    _assert_one_line(error, field)


def test_tfds_is_imported_only_when_needed():
    program = (
        "import sys\n"
        "from experiments.data import registry\n"
        "registry.task('digits', block_size=10)\n"
        "assert 'tensorflow_datasets' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
