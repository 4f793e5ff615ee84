"""Scores are written between the marks of the page, and nothing else of it changes."""

import pytest

from benchmarks.clinic import page


def _row(name, truth, verdict, first=""):
    return {"name": name, "room": "a", "truth": truth, "verdict": verdict, "first": first}


BEFORE = [_row("hot", "fever", "missed"), _row("well", "healthy", "severe", "severe: cough")]
AFTER = [_row("hot", "fever", "named first", "severe: fever@"), _row("well", "healthy", "quiet")]


def test_the_page_is_filled_between_its_marks():
    text = page.filled(f"head\n{page.START}\nold\n{page.END}\ntail\n", BEFORE, AFTER)
    assert text.startswith("head\n")
    assert text.endswith("\ntail\n")
    assert "old" not in text
    lines = text.splitlines()
    assert "| sick: named first | 0 | 1 |" in lines
    assert "| sick: missed | 1 | 0 |" in lines
    assert "| healthy: severe | 1 | 0 |" in lines
    assert "| a | 0 of 1 | 1 of 1 | 0 of 1 | 1 of 1 |" in lines
    assert "| hot | fever | missed | named first | severe: fever@ |" in lines
    assert page.filled(text, BEFORE, AFTER) == text


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="marks"):
        page.filled("text", BEFORE, AFTER)
