"""What a person wrote comes into a figure as it stands."""

from matplotlib.figure import Figure

from glorot_jax.plotting import as_it_stands


def test_dollars_are_no_mathematics():
    for text in (r"$\frac{$", "a$ b$", "$$", "plain"):
        figure = Figure()
        shown = figure.text(0, 0, as_it_stands(text))
        figure.draw_without_rendering()
        # How Matplotlib takes the text apart: what it shows, and whether as mathematics.
        assert shown._preprocess_math(shown.get_text()) == (text, False)
