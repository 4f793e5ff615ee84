"""CIFAR-10: the real prepared set, and the way from the official archive to a prepared one."""

import hashlib
import io
import random
import shutil
import tarfile

import jax.numpy as jnp
import numpy as np
import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import resource
from tensorflow_datasets.core.download.checksums import UrlInfo

from experiments.data import cifar10, preparing, registry
from experiments.data.errors import DataError, DataMissing
from glorot_jax.data import stream

# The sha1 of the official batch files, as Apache MXNet's gluon.data.vision.CIFAR10 pins them.
SHA1 = (
    "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
    "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
    "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
    "aab85764eb3584312d3c7f65fd2fd016e36a258e",
    "26e2849e66a845b7f1e4614ae70f4889ae604628",
    "67eb016db431130d61cd03c7ad570b013799c88c",
)
BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
NO_NETWORK = "no network in tests"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    monkeypatch.setattr(preparing, "unreachable", lambda url: NO_NETWORK)


# The real set, read once.


@pytest.fixture(scope="module")
def real(test_data_dir):
    data_dir = test_data_dir / "tfds"
    if not (data_dir / "cifar10").is_dir():
        pytest.skip(f"{data_dir} holds no prepared cifar10")
    return registry.load("cifar10", data_dir=data_dir, download=False)


def _as_batches(x, y):
    """Rows of the official files: the label, then the red, the green and the blue plane."""
    planes = x.reshape(-1, 32, 32, 3).transpose(0, 3, 1, 2).reshape(-1, 3072)
    return np.concatenate([y[:, None], planes], axis=1)


def test_byte_for_byte_the_official_batches_in_their_order(real):
    rows = _as_batches(real.x, real.y)
    found = [hashlib.sha1(batch.tobytes()).hexdigest() for batch in np.split(rows, 6)]
    assert tuple(found) == SHA1


def test_real_task_has_the_papers_split_and_a_mean_near_zero(real):
    task = registry.as_task("cifar10", real, block_size=10)
    assert task.train.arrays.x.shape == (40_000, 3072)
    assert task.validation.x.shape == task.test.x.shape == (10_000, 3072)
    assert task.image_shape == (32, 32, 3)
    assert task.class_names[8] == "ship"
    for batch in (task.validation, task.test):
        assert batch.x.dtype == jnp.float32
        assert (float(batch.x.min()), float(batch.x.max())) == (-1.0, 1.0) == task.pixel_range
        assert abs(float(batch.x.mean())) < 0.1
    np.testing.assert_array_equal(task.validation.y, real.y[40_000:50_000])
    np.testing.assert_array_equal(task.test.y, real.y[50_000:])
    np.testing.assert_array_equal(np.bincount(task.test.y), [1000] * 10)
    pictures = np.asarray(stream.images(task, task.test.x[:20]))
    levels = real.x[50_000:50_020].reshape(20, 32, 32, 3)
    np.testing.assert_allclose(pictures, levels / 127.5 - 1, atol=1e-6)


# A small archive of made-up batches in place of the official one.


def _archive(path, batches, folder="cifar-10-batches-bin/"):
    """Packs rows [n, 3073] uint8 a batch and returns what TFDS would have registered."""
    with tarfile.open(path, "w:gz") as file:
        for name, rows in batches.items():
            member = tarfile.TarInfo(f"{folder}{name}")
            member.size = rows.nbytes
            file.addfile(member, io.BytesIO(rows.tobytes()))
    return _registered(path)


def _registered(path):
    content = path.read_bytes()
    return UrlInfo(
        size=len(content),
        checksum=hashlib.sha256(content).hexdigest(),
        filename="cifar-10-binary.tar.gz",
    )


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    rows = {name: rng.integers(0, 256, (12, 3073), np.uint8) for name in BATCHES}
    for batch in rows.values():
        batch[:, 0] %= 10
    return rows


@pytest.fixture
def archive(tmp_path, batches, monkeypatch):
    path = tmp_path / "manual" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    _use(monkeypatch, _archive(path, batches))
    return path


def _use(monkeypatch, registered):
    monkeypatch.setattr(cifar10.CIFAR10, "url_infos", {cifar10.URL: registered})


def _prepare(archive, data_dir):
    return cifar10.prepare(data_dir, manual_dir=archive.parent, download=False)


def _assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


def test_prepares_the_archive_in_its_order_as_stock_tfds_reads_it(archive, batches, tmp_path):
    folder = _prepare(archive, tmp_path / "new")
    assert folder == tmp_path / "new" / "cifar10" / "3.0.2"
    train = preparing.read_split(folder, "train")
    rows = np.concatenate([batches[name] for name in BATCHES])
    np.testing.assert_array_equal(_as_batches(*train), rows[:60])
    np.testing.assert_array_equal(_as_batches(*preparing.read_split(folder, "test")), rows[60:])
    stock = tfds.builder("cifar10", data_dir=tmp_path / "new")
    assert stock.info.features["label"].names == list(cifar10.CLASS_NAMES)
    records = stock.as_data_source("test", decoders={"image": tfds.decode.SkipDecoding()})
    assert {record["id"].decode() for record in records} == {f"test_{i:05d}" for i in range(12)}


def test_whichever_bit_of_a_prepared_set_is_flipped_no_example_changes(archive, tmp_path):
    folder, moments = _prepare(archive, tmp_path / "new"), random.Random(0)
    good = {split: preparing.read_split(folder, split) for split in ("train", "test")}
    said = []
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(8):
            place = moments.randrange(len(whole))
            flipped = bytes([whole[place] ^ 1 << moments.randrange(8)])
            path.write_bytes(whole[:place] + flipped + whole[place + 1 :])
            try:
                found = {split: preparing.read_split(folder, split) for split in good}
            except DataError as error:
                said.append(str(error))
            else:
                np.testing.assert_equal(found, good)
        path.write_bytes(whole)
    assert len(said) > 8
    assert all(line.startswith(str(folder)) and "\n" not in line for line in said)


def test_a_prepared_set_needs_no_archive_and_other_examples_are_noticed(archive, tmp_path):
    folder = _prepare(archive, tmp_path / "new")
    archive.unlink()
    assert _prepare(archive, tmp_path / "new") == folder
    with pytest.raises(DataError) as error:
        registry.load("cifar10", data_dir=tmp_path / "new", download=False)
    _assert_one_line(error, folder, "other examples than cifar10's train")


@pytest.mark.parametrize("download", [True, False])
def test_no_archive_is_missing_data(tmp_path, download):
    with pytest.raises(DataMissing) as error:
        registry.task("cifar10", block_size=10, data_dir=tmp_path / "new", download=download)
    reason = NO_NETWORK if download else "downloading is switched off"
    _assert_one_line(error, "cifar-10-binary.tar.gz", reason, "--data_dir")
    assert not (tmp_path / "new").exists()


def test_an_archive_of_another_name_is_missing_data(archive, tmp_path):
    archive.rename(archive.with_name("cifar10.tar.gz"))
    with pytest.raises(DataMissing) as error:
        _prepare(archive, tmp_path / "new")
    _assert_one_line(error, f"cifar-10-binary.tar.gz not in {archive.parent}")


def _truncate(path):
    path.write_bytes(path.read_bytes()[:5000])
    return "truncated, 5000 bytes"


def _lengthen(path):
    path.write_bytes(path.read_bytes() + b"x")
    return "not the official file"


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return "sha256"


def _replace_by_a_folder(path):
    path.unlink()
    path.mkdir()
    return "not the official file"


@pytest.mark.parametrize("spoil", [_truncate, _lengthen, _flip, _replace_by_a_folder])
def test_damaged_archive_is_named_and_nothing_is_written(archive, tmp_path, spoil):
    what = spoil(archive)
    with pytest.raises(DataError) as error:
        registry.task(
            "cifar10",
            block_size=10,
            data_dir=tmp_path / "new",
            manual_dir=archive.parent,
            fallback="digits",
        )
    assert not isinstance(error.value, DataMissing)
    _assert_one_line(error, archive, what)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("what", ["no such folder", "no such batch", "half an image", "no tar"])
def test_registered_archive_with_other_members_is_one_line(
    archive, batches, tmp_path, monkeypatch, what
):
    if what == "no such batch":
        del batches["data_batch_4.bin"]
    if what == "half an image":
        batches["data_batch_2.bin"] = batches["data_batch_2.bin"][:, :3000]
    folder = "elsewhere/" if what == "no such folder" else "cifar-10-batches-bin/"
    registered = _archive(archive, batches, folder)
    if what == "no tar":
        archive.write_bytes(b"no tar")
        registered = _registered(archive)
    _use(monkeypatch, registered)
    with pytest.raises(DataError) as error:
        _prepare(archive, tmp_path / "new")
    _assert_one_line(error, archive, "not an archive of CIFAR-10's batches")
    assert list((tmp_path / "new" / "cifar10").iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_other_sets_are_not(archive, tmp_path):
    folder = tmp_path / "new" / "cifar10"
    for name in ("incomplete.A1B2C3_3.0.2", "incomplete.A1B2C3_3.0.1", "3.0.1"):
        (folder / name).mkdir(parents=True)
        (folder / name / "records").write_bytes(b"some")
    # TFDS downloads into folders of these names, under either of its two layouts.
    [(url, registered)] = cifar10.CIFAR10.url_infos.items()
    half = f"{resource.get_dl_fname(url, registered.checksum)}.tmp.0123"
    downloads = tmp_path / "new" / "downloads"
    for name in (half, f"cifar10/{half}", "another.tar.gz.tmp.0123"):
        (downloads / name).mkdir(parents=True)
        (downloads / name / "cifar-10-binary.tar.gz").write_bytes(b"half of it")
    _prepare(archive, tmp_path / "new")
    left = sorted(path.relative_to(downloads).as_posix() for path in downloads.rglob("*.tmp.*"))
    assert left == ["another.tar.gz.tmp.0123"]
    assert {path.name for path in folder.iterdir()} == {
        *("3.0.2", "3.0.1", "incomplete.A1B2C3_3.0.1")
    }


def test_damaged_record_files_are_named(archive, tmp_path):
    folder = _prepare(archive, tmp_path / "new")
    [train] = folder.glob("cifar10-train*")
    [test] = folder.glob("cifar10-test*")
    shutil.copyfile(test, train)
    with pytest.raises(DataError) as error:
        preparing.read_split(folder, "train")
    _assert_one_line(error, train, "remove")
    test.unlink()
    with pytest.raises(DataError) as error:
        preparing.read_split(folder, "test")
    _assert_one_line(error, folder, "remove")
