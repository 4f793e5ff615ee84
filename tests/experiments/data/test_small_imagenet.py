"""Small-ImageNet made end to end from small synset archives, and archives that are not good."""

import io
import re
import tarfile

import numpy as np
import PIL.Image
import pytest
import tensorflow_datasets as tfds

from experiments.data import photographs, preparing, registry, small_imagenet
from experiments.data.errors import DataError, DataMissing
from glorot_jax.data import stream
from tests.experiments.data import photo_files

# Two of the real synsets a class, and classes of 5 + 2 + 1 images out of 10.
TINY = small_imagenet.Config(
    name="tiny",
    synsets={title: wnids[:2] for title, wnids in small_imagenet.SYNSETS.items()},
    per_class=(5, 2, 1),
)
WNIDS = [wnid for wnids in TINY.synsets.values() for wnid in wnids]


def _photographs(wnid):
    """The (name, JPEG) of the five photographs in a synset's archive."""
    return [
        (f"{wnid}_{number}.JPEG", photo_files.photograph([int(wnid[1:]), number]))
        for number in range(5)
    ]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archives")
    for wnid in WNIDS:
        photo_files.pack(folder / f"{wnid}.tar", _photographs(wnid))
    return folder


@pytest.fixture(scope="module")
def prepared(good, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("tfds")
    small_imagenet.prepare(data_dir, manual_dir=good, config=TINY)
    return data_dir


@pytest.fixture
def archives(good, tmp_path):
    """A copy of the good archives, free to be spoilt."""
    folder = tmp_path / "archives"
    folder.mkdir()
    for path in good.glob("*.tar"):
        (folder / path.name).symlink_to(path)
    return folder


def _assert_one_line(error, *parts):
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


def _read(data_dir):
    return {
        split: small_imagenet.read_split(split, data_dir=data_dir, config=TINY)
        for split in small_imagenet.SPLITS
    }


def _records(data_dir):
    """Every record of each split as stock TFDS reads it."""
    builder = tfds.builder_from_directory(data_dir / "small_imagenet" / "tiny" / "1.0.0")
    decoders = {"image": tfds.decode.SkipDecoding()}
    return {
        split: list(builder.as_data_source(split, decoders=decoders))
        for split in small_imagenet.SPLITS
    }


# The list of synsets.


def test_the_papers_ten_classes_in_its_order_and_no_synset_twice():
    names = "reptiles vehicles birds mammals fish furniture instruments tools flowers fruits"
    assert list(small_imagenet.SYNSETS) == names.split()
    wnids = [wnid for wnids in small_imagenet.SYNSETS.values() for wnid in wnids]
    assert len(set(wnids)) == len(wnids)
    assert all(re.fullmatch(r"n\d{8}", wnid) for wnid in wnids)


def test_the_synsets_of_ilsvrc_and_of_the_full_imagenet_are_enough():
    labels = tfds.core.tfds_path("image_classification/imagenet_resized_labels.txt")
    ilsvrc = set(labels.read_text().split())
    assert len(ilsvrc) == 1000
    needed = sum(small_imagenet.PAPER.per_class)
    assert needed == 11_000
    others = {}
    for title, wnids in small_imagenet.SYNSETS.items():
        common = len(ilsvrc & set(wnids))
        others[title] = len(wnids) - common
        assert 732 * common + 500 * others[title] >= needed  # the fewest images a synset has
    assert {title for title, n in others.items() if n} == {"tools", "flowers", "fruits"}


def test_is_a_builder_of_tfds():
    assert tfds.builder_cls("small_imagenet") is small_imagenet.SmallImagenet
    builder = tfds.builder("small_imagenet")
    assert builder.info.full_name == "small_imagenet/paper/1.0.0"
    assert builder.info.features["image"].shape == (37, 37, 1)
    assert builder.info.features["label"].names == list(small_imagenet.SYNSETS)


# Good archives.


def test_splits_are_balanced_disjoint_and_mixed(prepared):
    ids = set()
    for (split, records), size in zip(_records(prepared).items(), TINY.per_class, strict=True):
        labels = [record["label"] for record in records]
        np.testing.assert_array_equal(np.bincount(labels, minlength=10), [size] * 10, split)
        for record in records:
            wnid = record["id"].decode().partition("_")[0]
            assert wnid in list(TINY.synsets.values())[record["label"]]
        ids |= {record["id"] for record in records}
    assert len(ids) == 80
    labels = _read(prepared)["train"][1]
    assert len(set(labels[:20])) >= 5
    assert (np.diff(labels.astype(int)) < 0).sum() > 5


def test_images_are_the_archives_photographs(prepared):
    files = {name: file for wnid in WNIDS for name, file in _photographs(wnid)}
    images, _ = _read(prepared)["test"]
    records = _records(prepared)["test"]
    decoded = [np.asarray(PIL.Image.open(io.BytesIO(record["image"]))) for record in records]
    for record, image in zip(records, decoded, strict=True):
        np.testing.assert_array_equal(
            image.reshape(37, 37), photographs.grey_square(files[record["id"].decode()])
        )
    assert {image.tobytes() for image in images} == {image.tobytes() for image in decoded}


def test_the_same_archives_give_the_same_set_whatever_their_order(good, prepared, tmp_path):
    for wnid in WNIDS:
        photo_files.pack(tmp_path / f"{wnid}.tar", _photographs(wnid)[::-1])
    small_imagenet.prepare(tmp_path / "new", manual_dir=tmp_path, config=TINY)
    for (images, labels), (others, other_labels) in zip(
        _read(prepared).values(), _read(tmp_path / "new").values(), strict=True
    ):
        np.testing.assert_array_equal(images, others)
        np.testing.assert_array_equal(labels, other_labels)


def test_task(good, tmp_path, monkeypatch):
    monkeypatch.setattr(small_imagenet, "PAPER", TINY)
    own = tmp_path / "manual" / "small_imagenet"
    own.parent.mkdir()
    own.symlink_to(good)
    task = registry.task(
        "small_imagenet", block_size=10, data_dir=tmp_path / "new", manual_dir=own.parent
    )
    sizes = [len(part.y) for part in (task.train.arrays, task.validation, task.test)]
    assert (task.name, sizes) == ("small_imagenet", [50, 20, 10])
    assert task.class_names == tuple(small_imagenet.SYNSETS)
    assert task.pixel_range == (-1.0, 1.0)
    images, _ = _read(tmp_path / "new")["test"]
    pictures = stream.images(task, task.test.x)
    assert pictures.shape == (10, 37, 37, 1)
    np.testing.assert_allclose(pictures.reshape(10, -1), images / 127.5 - 1, atol=1e-6)


# Archives that are missing or not good.


def test_missing_archives_are_named_and_imagenette_stands_in(archives, tmp_path):
    (archives / f"{WNIDS[3]}.tar").unlink()
    with pytest.raises(DataMissing) as error:
        small_imagenet.prepare(tmp_path / "new", manual_dir=archives, config=TINY)
    _assert_one_line(error, f"{WNIDS[3]}.tar of 20 archives not in {archives}", "--data_dir")
    assert not (tmp_path / "new").exists()
    task = registry.task(
        "small_imagenet", block_size=10, data_dir=tmp_path / "new", fallback="digits"
    )
    assert task.name == "digits"
    assert task.origin.startswith("small_imagenet could not be had (small_imagenet: n01664065.tar")


def _replace(path, content):
    path.unlink()
    path.write_bytes(content)


def _truncate(path):
    _replace(path, path.read_bytes()[:4000])
    return "not a readable tar archive"


def _cut_at_a_member(path):
    with tarfile.open(path) as archive:
        third = archive.getmembers()[3].offset
    _replace(path, path.read_bytes()[:third])
    return "truncated, the archive's end mark is missing"


def _empty(path):
    _replace(path, b"")
    return "not a readable tar archive"


def _no_tar(path):
    _replace(path, b"<html>Please log in</html>" * 100)
    return "not a readable tar archive"


def _rename(path):
    _replace(path, (path.parent / f"{WNIDS[1]}.tar").read_bytes())
    return f"holds {WNIDS[1]}_0.JPEG, not images of the synset {WNIDS[0]}"


def _repeat(path):
    path.unlink()
    photo_files.pack(path, _photographs(WNIDS[0]) * 2)
    return "holds 5 images twice"


def _no_image(path):
    path.unlink()
    photo_files.pack(path, [(name, b"no image") for name, _ in _photographs(WNIDS[0])])
    return "is not a readable image"


def _half_an_image(path):
    path.unlink()
    photo_files.pack(path, [(name, file[:-300]) for name, file in _photographs(WNIDS[0])])
    return "is not a readable image"


def _make_a_folder(path):
    path.unlink()
    path.mkdir()
    return "not a readable tar archive"


SPOILT = [
    *(_truncate, _cut_at_a_member, _empty, _no_tar, _rename),
    *(_repeat, _no_image, _half_an_image, _make_a_folder),
]


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_bad_archive_is_named_and_leaves_no_set(archives, tmp_path, spoil):
    path = archives / f"{WNIDS[0]}.tar"
    what = spoil(path)
    with pytest.raises(DataError) as error:
        small_imagenet.prepare(tmp_path / "new", manual_dir=archives, config=TINY)
    assert not isinstance(error.value, DataMissing)
    _assert_one_line(error, path, what)
    assert list((tmp_path / "new" / "small_imagenet" / "tiny").iterdir()) == []


def test_a_class_of_too_few_images_is_named_with_its_numbers(archives, tmp_path):
    path = archives / f"{TINY.synsets['fish'][1]}.tar"
    path.unlink()
    photo_files.pack(path, _photographs(path.stem)[:2])
    with pytest.raises(DataError) as error:
        small_imagenet.prepare(tmp_path / "new", manual_dir=archives, config=TINY)
    _assert_one_line(error, "class fish: 7 images in its 2 archives", "8 are needed")


def test_swapped_record_files_are_noticed_and_the_set_is_never_rewritten(good, tmp_path):
    config = small_imagenet.Config(name="equal", synsets=TINY.synsets, per_class=(4, 2, 2))
    folder = small_imagenet.prepare(tmp_path / "new", manual_dir=good, config=config)
    [validation] = folder.glob("*-validation.*")
    [test] = folder.glob("*-test.*")
    content = test.read_bytes()
    test.write_bytes(validation.read_bytes())
    with pytest.raises(DataError) as error:
        preparing.read_split(folder, "test")
    _assert_one_line(error, test, "holds other examples than small_imagenet's test", "remove")
    small_imagenet.prepare(tmp_path / "new", manual_dir=good, config=config)
    assert test.read_bytes() == validation.read_bytes()
    test.write_bytes(content)
    assert len(preparing.read_split(folder, "test")[1]) == 20
