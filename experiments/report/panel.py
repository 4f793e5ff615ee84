"""An initialisation to play with: mean field drawn live in the page of results and in the docs."""

from pathlib import Path

from markupsafe import Markup

from glorot_jax.templates import template

TEMPLATE = "panel.html.j2"
TABLE = Path(__file__).with_name("panel.json")


def panel() -> Markup:
    """The panel: an HTML fragment that needs nothing beside itself, safe to put into a template.

    A style, controls, three charts and a script that iterates the maps of ``panel.json``, which
    ``experiments.report.panel_table`` has made. Once a page: its elements have ids.

    Example:
      >>> str(panel()).startswith("<section")
      True
    """
    table = Markup(TABLE.read_text(encoding="utf-8").strip())
    return Markup(template(__package__, TEMPLATE).render(table=table))
