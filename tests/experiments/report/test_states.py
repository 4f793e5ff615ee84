"""Every state of a claim has a look that needs no colour."""

from experiments.claims.verdict import STATUSES
from experiments.report.states import ORDER, STATES, counted


def test_every_state_has_a_look_and_a_place():
    assert sorted(ORDER) == sorted(STATUSES) == sorted(STATES)
    assert len({state.sign for state in STATES.values()}) == len(STATUSES)
    assert len({state.style for state in STATES.values()}) == len(STATUSES)
    assert ORDER[-1] == "not tested"


def test_counts_are_sentences():
    assert [counted("holds", n) for n in (0, 1, 2)] == ["0 hold", "1 holds", "2 hold"]
    assert counted("not tested", 1) == "1 is not tested"
    assert counted("not tested", 58) == "58 are not tested"
