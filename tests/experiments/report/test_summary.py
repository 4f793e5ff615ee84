"""The run in Markdown."""

from experiments.claims import judge
from experiments.report.summary import summary
from experiments.results import schema
from tests.experiments import made_up


def test_every_decided_claim_has_a_row_and_the_counts_agree():
    results = made_up.results()
    judgements = judge(results)
    text = summary(results, judgements)
    for status in ("holds", "fails"):
        count = sum(one.verdict.status == status for one in judgements)
        assert text.count(f"\n| {status} |") == count
        assert f"{count} {status.removesuffix('s')}" in text
    row = next(line for line in text.splitlines() if line.startswith("| Tanh N |"))
    assert "(15.60)" in row
    assert "**" in row


def test_it_says_what_is_left_out_and_why():
    results = made_up.results(surface=made_up.surface_part())
    reasons = schema.reasons_to_json({"cifar10": "cifar10: no files", "else": "else: nor this"})
    text = summary(made_up.with_attrs(results, left_out=reasons), [])
    line = next(line for line in text.splitlines() if "CIFAR-10" in line)
    assert "`--config=fig12:quick`" in line
    assert line.endswith("cifar10: no files")
    assert "- else: nor this." in text


def test_it_says_when_where_and_how_long():
    known = {
        "preset": "quick",
        "finished": "2026-01-02T03:04:05+00:00",
        "device": "2 x cpu",
        "wall_time_s": 90.0,
    }
    results = made_up.with_attrs(made_up.results(), **known)
    assert "Preset `quick`, 2026-01-02, 2 x cpu, 1.5 minutes." in summary(results, judge(results))
