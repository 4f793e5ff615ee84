"""SVG that follows the page: one file, drawn for white, with a style for a dark ground."""

from xml.etree import ElementTree
from xml.sax.saxutils import escape

from glorot_jax.colours import HEX, on_dark

PHOTOGRAPH = "photograph"  # begins the id of an image that is data and keeps its greys
START = " <defs>\n"  # of what Matplotlib draws
_NAMESPACE = "{http://www.w3.org/2000/svg}"


def following(svg: str, *, title: str) -> str:
    """Matplotlib's ``svg`` with a title and colours for readers who prefer dark pages.

    Its own colours stay, for all that know no style sheets. A picture inside, which is no
    photograph, is turned from light to dark with its hues kept.
    """
    head, start, rest = svg.partition(START)
    style = f"<style>@media (prefers-color-scheme: dark) {{\n{_dark(rest)}}}</style>\n"
    return f"{head} <title>{escape(title)}</title>\n{style}{start}{rest}"


def _dark(drawn: str) -> str:
    rules = [
        f'[style*="{what}: {colour}"] {{ {what}: {on_dark(colour)} !important; }}\n'
        for colour in sorted(set(HEX.findall(drawn)))
        for what in ("fill", "stroke")
        if f"{what}: {colour}" in drawn
    ]
    # Matplotlib leaves out what is black, as letters are.
    rules.append(f"svg {{ fill: {on_dark('#000000')}; }}\n")
    rules.append(f'image:not([id^="{PHOTOGRAPH}"]) {{ filter: invert(1) hue-rotate(180deg); }}\n')
    return "".join(rules)


def title(svg: str) -> str:
    """The title that ``following`` gave; "" where there is none.

    >>> title('<svg xmlns="http://www.w3.org/2000/svg"><title>a &lt; b</title></svg>')
    'a < b'
    """
    found = ElementTree.fromstring(svg).find(f"{_NAMESPACE}title")
    return "" if found is None else found.text or ""
