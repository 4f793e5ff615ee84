"""The argument in order, whatever a run has of it."""

from experiments.exhibits import EXHIBITS
from experiments.report import story
from experiments.report.figures import FIGURES
from tests.experiments import made_up


def test_every_key_of_a_chapter_is_a_figure_or_a_table():
    tables = {f"{key}_table" for key in EXHIBITS} | {"table1", "table1_p", "table1_shapeset"}
    told = [key for chapter in (*story.CHAPTERS, story.QUESTION) for key in chapter.shown]
    assert len(told) == len(set(told))
    assert set(told) <= set(FIGURES) | tables


def test_what_no_chapter_tells_is_in_the_rest():
    inside = story.in_chapters(["fig01", "fig06", "new"])
    assert [(chapter.key, keys) for chapter, keys in inside] == [
        ("shrink", ["fig06"]),
        ("rest", ["fig01", "new"]),
    ]


def test_a_stand_in_has_no_number_of_the_paper():
    sentence = story.verdict(made_up.results(digits=made_up.training_part("digits")), [])[0]
    assert "digits of 8 x 8 pixels (not MNIST)" in sentence
    assert "paper" not in sentence


def test_nothing_measured_says_nothing():
    assert story.verdict(made_up.results(surface=made_up.surface_part()), []) == []
