"""Shapeset's images: Fig. 1."""

import numpy as np
import xarray as xr

from experiments.claims.measured import values
from experiments.claims.verdict import NotTested, Verdict

SIDES = (32, 64)


def classes_shown(part: xr.Dataset, /) -> Verdict:
    """Every class at both sizes, each image as many grey levels as its class needs.

    The ground has one level and each shape its own, so a class of one shape shows two and a class
    of two shapes, whose name joins theirs by "+", three. Counted, not estimated: no interval.
    """
    if "class_name" not in part.variables:
        raise NotTested("the results hold no 'class_name'")
    shapes = np.array([str(name).count("+") + 1 for name in part["class_name"].values])
    shown, fitting = [], []
    for side in SIDES:
        images = values(part, f"image_{side}", "example", f"row_{side}", f"column_{side}")
        labels = values(part, f"label_{side}", "example").astype(int)
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
        "holds" if right else "fails",
        numbers,
        f"{reason}; {'as claimed' if right else 'contradicted'}",
    )
