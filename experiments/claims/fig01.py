"""Section 2.1 and Fig. 1: what the paper says of Shapeset-3x2 itself."""

import math

import numpy as np
import xarray as xr

from experiments.claims.plateau import PLATEAU
from experiments.claims.verdict import Claim, NotTested, Verdict, on
from experiments.results.queries import values

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
    """1 less the share of each class of one shape, the likeliest, among the test examples.

    Counted, not estimated: all seeds share the test set, so no interval over seeds knows how its
    classes were drawn.
    """
    counts = values(group, "test_class_count", "class")
    examples = int(counts.sum())
    reach = SAMPLING_ERRORS * math.sqrt(PLATEAU * (1 - PLATEAU) / examples)
    if reach > (EQUALLY_LIKELY - PLATEAU) / 2:
        raise NotTested(f"{examples} test examples are too few to tell 5/6 from 8/9")
    names = [str(name) for name in group.attrs["class_names"]]
    errors = {
        name: 1 - float(count) / examples
        for name, count in zip(names, counts, strict=True)
        if "+" not in name
    }
    right = all(abs(error - PLATEAU) < reach for error in errors.values())
    shown = ", ".join(f"{name} {error:.4f}" for name, error in errors.items())
    return Verdict(
        "holds" if right else "contradicted",
        {"test error of always answering": errors, "paper": PLATEAU, "reach": reach},
        f"of {examples} test examples always answering one class errs in: {shown}; "
        f"{'as claimed' if right else 'contradicted'}, 5/6 to within {reach:.4f}",
    )


ONE_CLASS_ERROR = Claim(
    id="fig01-one-class-error",
    where="Section 2.1",
    paper="One shape or two are equally likely, so a class of one shape has probability 1/6 "
    "and always answering one of them errs in 83.3%.",
    sentence="Always answering triangle, parallelogram or ellipse errs in 5/6 of the test "
    f"examples, each to within {SAMPLING_ERRORS} sampling errors; nine equally likely classes "
    "would give 8/9.",
    figure="fig01",
    test=on("shapeset", one_class_error),
    if_it_fails="The classes' frequencies are not the generator's; the counts of all nine classes, "
    "and a larger set, would tell which.",
)

CLAIMS = (CLASSES, ONE_CLASS_ERROR)
