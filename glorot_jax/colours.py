"""Colours that are seen on white and on a dark page alike: contrast, and a figure for the dark."""

import re
from functools import cache

import numpy as np

LIGHT, DARK = "#ffffff", "#15171a"  # the grounds of a page
LEAST_CONTRAST = 3.0  # of what a figure draws, with its ground; WCAG 2.2, criterion 1.4.11
HEX = re.compile(r"#[0-9a-f]{6}\b")

# B. Ottosson's OKLab (2020): from linear sRGB to cones, and from their cube roots to L, a, b.
_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_STEPS = 30  # halvings of a lightness, to below what eight bits tell apart


def linear(colour: str, /) -> np.ndarray:
    """Linear sRGB [3] of a colour as #rrggbb."""
    encoded = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def encoded(rgb: np.ndarray, /) -> str:
    """#rrggbb of linear sRGB [3], what is outside the gamut clipped."""
    rgb = np.clip(rgb, 0, 1)
    values = np.where(rgb <= 0.0031308, rgb * 12.92, 1.055 * rgb ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * value):02x}" for value in values)


def oklab(rgb: np.ndarray, /) -> np.ndarray:
    """Lightness, green to red and blue to yellow [3] of linear sRGB [3]."""
    return _TO_LAB @ np.cbrt(_TO_CONES @ rgb)


def contrast(one: str, other: str, /) -> float:
    """WCAG's contrast ratio of two colours, 1 to 21.

    >>> round(contrast("#000000", "#ffffff"), 2)
    21.0
    """
    low, high = sorted(float(_LUMINANCE @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


@cache
def on_dark(colour: str, /) -> str:
    """The colour of that hue which stands out from a dark page as ``colour`` does from white.

    Where nothing stands out so far, white. What hardly shows on white hardly shows on the dark.

    >>> on_dark("#ffffff") == DARK, on_dark("#000000")
    (True, '#ffffff')
    """
    wanted = contrast(colour, LIGHT)
    if wanted <= 1.0:
        return DARK
    _, *hue = oklab(linear(colour))
    low, high = oklab(linear(DARK))[0], 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if contrast(_of_lightness(middle, np.array(hue)), DARK) < wanted:
            low = middle
        else:
            high = middle
    return _of_lightness(high, np.array(hue))


def _of_lightness(lightness: float, hue: np.ndarray) -> str:
    """The colour of that lightness and hue, as strong as the gamut has it."""
    for strength in np.linspace(1, 0, 21):
        lab = np.array([lightness, *(strength * hue)])
        rgb = np.linalg.solve(_TO_CONES, np.linalg.solve(_TO_LAB, lab) ** 3)
        if np.all((rgb >= -1e-6) & (rgb <= 1 + 1e-6)):
            break
    return encoded(rgb)
