"""Section 2.1 and Fig. 1: what the paper says of Shapeset-3x2 itself."""

import math

import numpy as np
import xarray as xr

from experiments.claims.plateau import BEGUN, PLATEAU
from experiments.claims.verdict import Claim, NotTested, Verdict, decide, on
from experiments.networks import PAPER_DEPTH
from experiments.results.queries import at_chosen_rate, condition, values

SIDES = (32, 64)
# Were all nine classes equally likely, one answer would err in 8/9: told apart from 5/6 by a test
# set whose sampling error is less than a sixth of the difference.
EQUALLY_LIKELY = 8 / 9
SAMPLING_ERRORS = 3


def classes_shown(group: xr.Dataset, /) -> Verdict:
    """Every class at both sizes, each image as many grey levels as its class needs.

    The ground has one level and each shape its own, so a class of one shape shows two and a class
    of two shapes, whose name joins theirs by "+", three. Counted, not estimated: no interval.
    """
    if "class_name" not in group.variables:
        raise NotTested("the results hold no 'class_name'")
    shapes = np.array([str(name).count("+") + 1 for name in group["class_name"].values])
    shown, fitting = [], []
    for side in SIDES:
        images = values(group, f"image_{side}", "example", f"row_{side}", f"column_{side}")
        labels = values(group, f"label_{side}", "example").astype(int)
        levels = np.array([np.unique(image).size for image in images])
        shown.append(np.unique(labels).size)
        fitting.append(levels == shapes[labels] + 1)
    fits = np.concatenate(fitting)
    numbers = {
        "classes": int(shapes.size),
        "classes shown": dict(zip(map(str, SIDES), shown, strict=True)),
        "images": int(fits.size),
        "images with the grey levels of their class": int(fits.sum()),
    }
    reason = (
        f"{min(shown)} of {shapes.size} classes are shown at both sizes, and {fits.sum()} of "
        f"{fits.size} images have the grey levels of their class"
    )
    right = min(shown) == shapes.size and bool(fits.all())
    return Verdict(
        "holds" if right else "contradicted",
        numbers,
        f"{reason}; {'as claimed' if right else 'contradicted'}",
    )


CLASSES = Claim(
    id="fig01-classes",
    where="Section 2.1 and Fig. 1",
    paper="An image shows one or two shapes of three kinds on a ground, each shape with a grey "
    "level of its own: nine classes.",
    sentence="The examples show all nine classes at 32 x 32 and at 64 x 64, and every image "
    "has one grey level more than its class has shapes.",
    figure="fig01",
    test=on("examples", classes_shown),
    if_it_fails="Too few examples were drawn to show the rarer classes, or a shape hides "
    "another or its label is wrong, which is a mistake in the generator; the image with the "
    "wrong number of levels would tell which.",
)


def one_class_error(group: xr.Dataset, /) -> Verdict:
    """Test error of the sigmoid net of 5 layers while it has learned nothing of the images.

    It then answers whichever class is the likeliest so far, so its error is one less the frequency
    of a likeliest class: the median over checkpoints after the start at which learning hasn't
    begun, [seed], against 5/6.
    """
    net = condition(group, "sigmoid", "standard", depth=PAPER_DEPTH)
    course_of = at_chosen_rate(net, "test_error")[:, 1:]
    flat = np.where(course_of > BEGUN * PLATEAU, course_of, np.nan)
    if np.isnan(flat).all(axis=1).any():
        raise NotTested("not every seed of the sigmoid net was seen on a plateau")
    examples = max(int(group.attrs.get("test_examples", 0)), 1)
    reach = SAMPLING_ERRORS * math.sqrt(PLATEAU * (1 - PLATEAU) / examples)
    if reach > (EQUALLY_LIKELY - PLATEAU) / 2:
        raise NotTested(f"{examples} test examples are too few to tell 5/6 from 8/9")
    return decide(
        np.nanmedian(flat, axis=1),
        what="test error of always answering a likeliest class",
        above=PLATEAU - reach,
        below=PLATEAU + reach,
        numbers={"paper": PLATEAU, "nine equally likely classes": EQUALLY_LIKELY},
    )


ONE_CLASS_ERROR = Claim(
    id="fig01-one-class-error",
    where="Section 2.1",
    paper="One shape or two are equally likely, so a class of one shape has probability 1/6 "
    "and always answering one of them errs in 83.3%.",
    sentence="While it has learned nothing of the images (a test error above "
    f"{BEGUN * PLATEAU:.0%}), the sigmoid net of 5 layers errs, as the median over "
    f"checkpoints, in 5/6 of the test examples to within {SAMPLING_ERRORS} sampling errors; "
    "nine equally likely classes would give 8/9.",
    figure="fig01",
    test=on("shapeset", one_class_error),
    if_it_fails="Either the classes' frequencies are not the generator's, and counting the "
    "labels of the test set decides that, or the net had already learned something of the "
    "images at most of these checkpoints.",
)

CLAIMS = (CLASSES, ONE_CLASS_ERROR)
