"""Small-ImageNet (section 2.2): ten classes of ImageNet, 37x37 grey, 90 000/10 000/10 000.

The paper names the ten classes and says that they are balanced, not which synsets or images they
are made of. Ours (``SYNSETS``):

- Every synset is by WordNet's definition a kind of its class (``instruments`` are musical
  instruments, ``tools`` are what WordNet calls a tool), none is in two classes, and the synsets of
  a class look different.
- Seven classes are sixteen synsets of ILSVRC-2012, whose training set is what most people have:
  its smallest synset has 732 images, so sixteen are sure to hold the 11 000 that a class needs.
- ILSVRC-2012 has only fourteen tools, ten fruits and two flowers. These classes are filled up from
  the full ImageNet (the same archives, nXXXXXXXX.tar) with well-known kinds that ImageNet-21K-P
  kept, which means at least 500 images each: 14 x 732 + 2 x 500 = 11 248 tools, 10 x 732 + 8 x 500
  = 11 320 fruits, 2 x 732 + 20 x 500 = 11 464 flowers.

Of all images of a class, the 11 000 with the smallest md5 of their file name are taken: the first
9000 for training, then 1000 for validation and 1000 for test. The same archives therefore give the
same set everywhere. See ``photographs`` and ``preparing``.
"""

import dataclasses
import functools
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from experiments.data import photographs, preparing
from experiments.data.errors import DataError, DataMissing

# In the paper's order; each line of synsets stands below their names.
SYNSETS: Mapping[str, tuple[str, ...]] = {
    "reptiles": (
        # loggerhead, leatherback turtle, mud turtle, terrapin
        *("n01664065", "n01665541", "n01667114", "n01667778"),
        # banded gecko, common iguana, frilled lizard, Gila monster
        *("n01675722", "n01677366", "n01688243", "n01692333"),
        # African chameleon, Komodo dragon, African crocodile, American alligator
        *("n01694178", "n01695060", "n01697457", "n01698640"),
        # garter snake, rock python, Indian cobra, sidewinder
        *("n01735189", "n01744401", "n01748264", "n01756291"),
    ),
    "vehicles": (
        # airliner, ambulance, cab, canoe
        *("n02690373", "n02701002", "n02930766", "n02951358"),
        # convertible, electric locomotive, fire engine, garbage truck
        *("n03100240", "n03272562", "n03345487", "n03417042"),
        # lifeboat, moped, mountain bike, school bus
        *("n03662601", "n03785016", "n03792782", "n04146614"),
        # schooner, steam locomotive, tractor, trailer truck
        *("n04147183", "n04310018", "n04465501", "n04467665"),
    ),
    "birds": (
        # cock, ostrich, robin, jay
        *("n01514668", "n01518878", "n01558993", "n01580077"),
        # bald eagle, great grey owl, peacock, macaw
        *("n01614925", "n01622779", "n01806143", "n01818515"),
        # hornbill, toucan, drake, black swan
        *("n01829413", "n01843383", "n01847000", "n01860187"),
        # flamingo, pelican, king penguin, albatross
        *("n02007558", "n02051845", "n02056570", "n02058221"),
    ),
    "mammals": (
        # wallaby, koala, killer whale, sea lion
        *("n01877812", "n01882714", "n02071294", "n02077923"),
        # golden retriever, timber wolf, red fox, tabby
        *("n02099601", "n02114367", "n02119022", "n02123045"),
        # lion, brown bear, fox squirrel, zebra
        *("n02129165", "n02132136", "n02356798", "n02391049"),
        # hippopotamus, gorilla, African elephant, giant panda
        *("n02398521", "n02480855", "n02504458", "n02510455"),
    ),
    "fish": (
        # tench, goldfish, great white shark, tiger shark
        *("n01440764", "n01443537", "n01484850", "n01491361"),
        # hammerhead, electric ray, stingray, barracouta
        *("n01494475", "n01496331", "n01498041", "n02514041"),
        # eel, coho, rock beauty, anemone fish
        *("n02526121", "n02536864", "n02606052", "n02607072"),
        # sturgeon, gar, lionfish, puffer
        *("n02640242", "n02641379", "n02643566", "n02655020"),
    ),
    "furniture": (
        # barber chair, bookcase, chiffonier, china cabinet
        *("n02791124", "n02870880", "n03016953", "n03018349"),
        # cradle, crib, desk, dining table
        *("n03125729", "n03131574", "n03179701", "n03201208"),
        # entertainment center, folding chair, four-poster, medicine chest
        *("n03290653", "n03376595", "n03388549", "n03742115"),
        # park bench, rocking chair, studio couch, wardrobe
        *("n03891251", "n04099969", "n04344873", "n04550184"),
    ),
    "instruments": (
        # accordion, acoustic guitar, banjo, bassoon
        *("n02672831", "n02676566", "n02787622", "n02804610"),
        # cello, drum, electric guitar, flute
        *("n02992211", "n03249569", "n03272010", "n03372029"),
        # French horn, grand piano, harmonica, harp
        *("n03394916", "n03452741", "n03494278", "n03495258"),
        # organ, sax, trombone, violin
        *("n03854065", "n04141076", "n04487394", "n04536866"),
    ),
    "tools": (
        # can opener, chain saw, cleaver, corkscrew
        *("n02951585", "n03000684", "n03041632", "n03109150"),
        # hammer, hatchet, lawn mower, letter opener
        *("n03481172", "n03498962", "n03649909", "n03658185"),
        # plane, plow, plunger, power drill
        *("n03954731", "n03967562", "n03970156", "n03995372"),
        # screwdriver, shovel, pliers, wrench
        *("n04154565", "n04208210", "n03966976", "n04606574"),
    ),
    "flowers": (
        # daisy, yellow lady's slipper, peony, delphinium
        *("n11939491", "n12057211", "n11719286", "n11733054"),
        # carnation, poppy, aster, chrysanthemum
        *("n11808468", "n11900569", "n11931918", "n11950345"),
        # cosmos, dahlia, common sunflower, marigold
        *("n11958080", "n11960245", "n11978713", "n12020507"),
        # zinnia, orchid, primrose, fuchsia
        *("n12034141", "n12041446", "n12090890", "n12343480"),
        # begonia, violet, bearded iris, daffodil
        *("n12360108", "n12387839", "n12412355", "n12421683"),
        # tulip, rose
        *("n12454159", "n12620196"),
    ),
    "fruits": (
        # Granny Smith, strawberry, orange, lemon
        *("n07742313", "n07745940", "n07747607", "n07749582"),
        # fig, pineapple, banana, jackfruit
        *("n07753113", "n07753275", "n07753592", "n07754684"),
        # custard apple, pomegranate, apple, blueberry
        *("n07760859", "n07768694", "n07739125", "n07743544"),
        # raspberry, watermelon, cherry, grape
        *("n07745466", "n07756951", "n07757132", "n07758680"),
        # kiwi, pear
        *("n07763629", "n07767847"),
    ),
}
SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(eq=False, kw_only=True)
class Config(tfds.core.BuilderConfig):
    """Which synsets make which class, and how many images of a class go to each of ``SPLITS``."""

    synsets: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: SYNSETS)
    per_class: tuple[int, int, int] = (9000, 1000, 1000)


PAPER = Config(name="paper", description="The paper's sizes: 90 000, 10 000 and 10 000 images.")


class SmallImagenet(photographs.Builder):
    """TFDS's ``small_imagenet``, from ``<wnid>.tar`` files of JPEGs in ``manual_dir``."""

    name = "small_imagenet"
    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [PAPER]  # noqa: RUF012 (TFDS's way)
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put ImageNet's archives (n01664065.tar and so on; see SYNSETS) in manual_dir: those in "
        "ILSVRC2012_img_train.tar, and some tools, flowers and fruits of the full ImageNet."
    )
    class_names = tuple(SYNSETS)
    description = (
        "Small-ImageNet of Glorot & Bengio (2010): ImageNet's photographs in ten broad classes of "
        "equal size, as 37x37 grey images."
    )

    def _photographs(self, dl_manager: Any) -> dict[str, photographs.Photographs]:
        config = self.builder_config
        chosen = _chosen(Path(dl_manager.manual_dir), config)
        return dict(zip(SPLITS, map(_reduced, chosen), strict=True))


_Choice = list[tuple[str, Path, int]]  # file name, archive and label, in the order of the split


def _chosen(manual_dir: Path, config: Config) -> list[_Choice]:
    """The photographs of each split, drawn class by class and then mixed.

    Raises:
      DataError: an archive is not what its name says, or a class has too few images.
    """
    splits: list[_Choice] = [[] for _ in SPLITS]
    ends = np.cumsum(config.per_class)
    for label, (title, wnids) in enumerate(config.synsets.items()):
        paths = [manual_dir / f"{wnid}.tar" for wnid in wnids]
        pool = [(name, path, label) for path in paths for name in _members(path)]
        if len(pool) < ends[-1]:
            raise DataError(
                f"small_imagenet: class {title}: {len(pool)} images in its {len(paths)} archives "
                f"in {manual_dir}, {ends[-1]} are needed"
            )
        pool.sort(key=lambda photograph: photographs.draw(photograph[0]))
        for split, size, end in zip(splits, config.per_class, ends, strict=True):
            split += pool[end - size : end]
    for split in splits:  # the first few hundred of a split are then of all classes
        split.sort(key=lambda photograph: photographs.draw(photograph[0]))
    return splits


def _reduced(choice: _Choice) -> photographs.Photographs:
    """Reads and reduces photographs, archive by archive."""
    images = np.empty((len(choice), photographs.SIDE, photographs.SIDE), np.uint8)
    rows_of: dict[Path, list[int]] = {}
    for row, (_, path, _) in enumerate(choice):
        rows_of.setdefault(path, []).append(row)
    for path, rows in rows_of.items():
        images[rows] = photographs.grey_squares(
            _files(path, [choice[row][0] for row in rows]), archive=path
        )
    labels = np.array([label for _, _, label in choice], np.uint8)
    return photographs.Photographs(images, labels, [name for name, _, _ in choice])


def _members(path: Path) -> list[str]:
    """The names of a synset archive's images, after checking that it is whole and the synset's.

    Raises:
      DataError: it is not.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            members = [member for member in archive if member.isfile()]
            end = archive.offset  # of the last member, where the end mark has to follow
        with path.open("rb") as file:
            file.seek(end)
            whole = file.read(tarfile.BLOCKSIZE) == bytes(tarfile.BLOCKSIZE)
    except (OSError, tarfile.TarError) as error:
        what = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: not a readable tar archive ({what})") from error
    if not whole:
        raise DataError(f"{path}: truncated, the archive's end mark is missing")
    names = [member.name for member in members]
    for name in names:
        if not Path(name).name.startswith(f"{path.stem}_"):
            raise DataError(f"{path}: holds {name}, not images of the synset {path.stem}")
    if len(set(names)) < len(names):
        raise DataError(f"{path}: holds {len(names) - len(set(names))} images twice")
    return names


def _files(path: Path, names: list[str]) -> list[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r:") as archive:
            members = {member.name: member for member in archive}
            return [(name, archive.extractfile(members[name]).read()) for name in names]  # type: ignore[union-attr]
    except (OSError, tarfile.TarError) as error:
        raise DataError(f"{path}: not a readable tar archive ({error})") from error


def _check_archives(manual_dir: Path, config: Config, remedy: str) -> None:
    wnids = [wnid for wnids in config.synsets.values() for wnid in wnids]
    missing = [f"{wnid}.tar" for wnid in wnids if not (manual_dir / f"{wnid}.tar").exists()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise DataMissing(
            f"small_imagenet: {', '.join(missing[:3])}{more} of {len(wnids)} archives not in "
            f"{manual_dir}",
            remedy,
        )


def prepare(
    data_dir: Path, *, manual_dir: Path | None = None, config: Config | None = None
) -> Path:
    """Prepares Small-ImageNet, by default ``PAPER``, unless that is done already.

    Args, Returns, Raises: as ``preparing.prepare``; the sources are the archives ``<wnid>.tar`` of
    ``SYNSETS``, searched for in ``preparing.manual_dir_of``. They cannot be downloaded: ImageNet
    asks for an account.
    """
    config = config or PAPER
    manual_dir = preparing.manual_dir_of(SmallImagenet, data_dir, manual_dir)
    remedy = (
        f"put ImageNet's archives of experiments.data.small_imagenet.SYNSETS in {manual_dir}, or "
        f"give a --data_dir that holds a prepared "
        f"{SmallImagenet.name}/{config.name}/{SmallImagenet.VERSION}"
    )
    return preparing.prepare(
        SmallImagenet,
        data_dir,
        manual_dir=manual_dir,
        check=functools.partial(_check_archives, manual_dir, config, remedy),
        remedy=remedy,
        config=config,
    )


def read_split(
    split: str, *, data_dir: Path, config: Config | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Reads one of ``SPLITS``, by default of ``PAPER``; see ``preparing.read_split``.

    Returns:
      Images [n, 1369] uint8 and labels [n] uint8.
    """
    folder = preparing.folder_of(SmallImagenet, data_dir, config or PAPER)
    return preparing.read_split(folder, split)
