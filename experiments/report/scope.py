"""What these results show of the paper, what they leave out, and how to see the rest."""

from dataclasses import dataclass

import xarray as xr

from experiments.data.registry import DATA_SETS, STAND_IN
from experiments.report.figures import available
from experiments.results import schema
from experiments.results.queries import dataset_of, needed
from experiments.results.schema import find_group
from experiments.studies import STUDIES

PAPER_SCALE = "the paper: 5 layers of 1000 units, 5 000 000 updates of 10 examples"


PICTURE = "image_"  # of a set, in group ``examples``
CONFIG = "--config={}:quick"


@dataclass(frozen=True)
class LeftOut:
    """Something that these results lack; ``config`` makes it, ``why`` is known or ""."""

    what: str
    config: str
    why: str


@dataclass(frozen=True)
class Shown:
    """One thing that the paper shows.

    ``by``: the group or figure that shows it; ``config``: the config that makes it.
    """

    what: str
    by: str
    config: str


WHOLE_PAPER = (
    Shown("Fig. 1: Shapeset-3x2", "examples", "fig01"),
    Shown("Fig. 1: Small-ImageNet", "image_small_imagenet", "fig01"),
    Shown("Figs. 2 to 4, 9 and 10, on Shapeset-3x2", "shapeset", "paper"),
    Shown("Fig. 5: the two costs as surfaces", "surface", "fig05"),
    Shown("Figs. 6 to 8, eqs. 5 to 7, 12 to 17, at initialisation", "initial", "fig06"),
    Shown("Fig. 11 and Table 1 on Shapeset-3x2", "shapeset", "fig11"),
    Shown("Fig. 11: fine-tuning after denoising-autoencoder pre-training", "pretraining", "fig11"),
    Shown("Fig. 12 and Table 1 on MNIST", "mnist", "fig12"),
    Shown("Fig. 12 and Table 1 on CIFAR-10", "cifar10", "fig12"),
    Shown("Table 1 on Small-ImageNet", "small_imagenet", "table1"),
    Shown("section 2.3: depth and learning rate of each model", "selection", "selection"),
    Shown("section 4.1: training on the quadratic cost", "costs", "costs"),
    Shown("section 5: learning rates by parameter, widths by layer", "section5", "section5"),
    Shown("the RBF SVM on 100 000 Shapeset examples", "baseline", "baseline"),
)


def left_out(results: xr.DataTree) -> list[LeftOut]:
    """What the paper shows and these results don't, then whatever else was asked for in vain."""
    here = {*results.children, *available(results), *_pictured(results)}
    reasons = schema.left_out(results)

    def missing(shown: Shown) -> LeftOut:
        name = shown.by.removeprefix(PICTURE)
        prefix = shown.by.removesuffix(name)
        stand_in = STAND_IN.get(name, "")
        used = stand_in and prefix + stand_in in here
        instead = f", here {DATA_SETS[stand_in].title} instead" if used else ""
        return LeftOut(shown.what + instead, CONFIG.format(shown.config), reasons.get(name, ""))

    absent = [missing(shown) for shown in WHOLE_PAPER if shown.by not in here]
    told = {shown.by.removeprefix(PICTURE) for shown in WHOLE_PAPER}
    rest = [reason for name, reason in reasons.items() if name not in told]
    return absent + [LeftOut(reason, "", "") for reason in rest]


def _pictured(results: xr.DataTree) -> list[str]:
    examples = find_group(results, "examples")
    return [] if examples is None else [str(name) for name in examples.data_vars]


def scale(results: xr.DataTree) -> list[str]:
    """How long and how wide each set and study was trained, beside the paper's numbers."""
    here = results.children
    scales = [
        _scale_of(name, needed(results, name)) for name in (*DATA_SETS, *STUDIES) if name in here
    ]
    return [PAPER_SCALE, *scales] if scales else []


def _scale_of(name: str, trained: xr.Dataset) -> str:
    updates = f"{int(trained['update'].values[-1]):,}".replace(",", " ")
    study = f"{STUDIES[name].title}, on " if name in STUDIES else ""
    dataset = dataset_of(trained) if study else name
    return (
        f"{study}{DATA_SETS[dataset].title}: up to {trained.sizes['layer']} layers of "
        f"{trained.attrs.get('width', '?')} units, "
        f"{updates} updates of {trained.attrs.get('batch_size', '?')} examples, "
        f"{_tried(trained)} learning rates, {trained.sizes['seed']} seeds"
    )


def _tried(trained: xr.Dataset) -> int:
    """How many learning rates a condition was trained at; those of another optimizer are NaN."""
    start = trained["validation_error"].isel(update=0)
    return int(start.notnull().any("seed").sum("learning_rate").max())
