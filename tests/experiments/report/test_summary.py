"""The run in Markdown."""

import pytest
import xarray as xr

from experiments.claims import Judgement, judge
from experiments.report.states import ORDER, counted
from experiments.report.story import badges
from experiments.report.summary import summary
from experiments.results import schema
from tests.experiments import made_up


@pytest.fixture(scope="module")
def results() -> xr.DataTree:
    return made_up.results()


@pytest.fixture(scope="module")
def judgements(results: xr.DataTree) -> list[Judgement]:
    return judge(results)


def test_every_decided_claim_has_a_row_and_the_counts_agree(results, judgements):
    text = summary(results, judgements)
    for status in ORDER:
        count = sum(one.verdict.status == status for one in judgements)
        assert text.count(f"\n| {status} |") == (count if status != "not tested" else 0)
        assert counted(status, count) in text.splitlines()[0]
    row = next(line for line in text.splitlines() if line.startswith("| Tanh N |"))
    assert "(15.60)" in row
    assert "**" in row


def test_claims_against_the_paper_come_first_and_each_has_its_q():
    results = made_up.results(initial=made_up.initial_part(singular={"standard": 0.9}))
    judgements = judge(results)
    lines = summary(results, judgements).splitlines()
    rows = [
        line.split(" | ") for line in lines if line.startswith(tuple(f"| {s} |" for s in ORDER))
    ]
    places = [ORDER.index(row[0].removeprefix("| ")) for row in rows]
    assert places == sorted(places)
    assert rows[0][0] == "| contradicted"
    assert len(rows) == sum(one.verdict.status != "not tested" for one in judgements)
    known = [row[-1] for row in rows if row[-1] != "- |"]
    assert len(known) == sum(one.verdict.p is not None for one in judgements)
    assert all(0 <= float(q.strip("< |")) <= 1 for q in known)


def test_it_says_what_is_left_out_and_why():
    results = made_up.results(surface=made_up.surface_part())
    reasons = schema.reasons_to_json({"cifar10": "cifar10: no files", "else": "else: nor this"})
    text = summary(made_up.with_attrs(results, left_out=reasons), [])
    line = next(line for line in text.splitlines() if "CIFAR-10" in line)
    assert "`--config=fig12:quick`" in line
    assert line.endswith("cifar10: no files")
    assert "- else: nor this." in text


def test_it_says_at_what_scale(results, judgements):
    head = summary(results, judgements).splitlines()[0]
    assert f"at this scale: {', '.join(badges(results))}.**" in head
    assert "the paper's training, width 1000 of 1000" in head


def test_it_says_when_where_and_how_long(results, judgements):
    known = {
        "preset": "quick",
        "finished": "2026-01-02T03:04:05+00:00",
        "device": "2 x cpu",
        "wall_time_s": 90.0,
    }
    text = summary(made_up.with_attrs(results, **known), judgements)
    assert "Preset `quick`, 2026-01-02, 2 x cpu, 1.5 minutes." in text


def test_it_says_what_was_changed_from_the_preset(results, judgements):
    known = {
        "preset": "paper",
        "config": '{"name": "paper", "online": {"updates": 20000}}',
        "changed_from_preset": '["online.updates"]',
    }
    text = summary(made_up.with_attrs(results, **known), judgements)
    assert "Preset `paper`, changed: online.updates = 20000," in text
