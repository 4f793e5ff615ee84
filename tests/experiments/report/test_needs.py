"""What claims need: verdicts at shorter lengths, beside each other by width."""

import numpy as np
import pytest

from experiments.claims import CLAIMS
from experiments.report import needs
from glorot_jax.files import write_netcdf
from tests.commands import assert_fails_in_one_line, run_command
from tests.experiments import made_up

BY_ID = {claim.id: claim for claim in CLAIMS}


@pytest.fixture(scope="module")
def group():
    return made_up.training_part("shapeset", width=100, updates=400_000)


@pytest.fixture(scope="module")
def judged(group):
    return needs.needs(group)


def test_a_shorter_run_ends_with_what_was_measured_then(group):
    shorter = needs.cut(group, 4)
    assert shorter.sizes["update"] == 4
    for row, chosen in enumerate(group["chosen_learning_rate"].values):
        rate = np.flatnonzero(group["learning_rate"].values == chosen)[0]
        np.testing.assert_array_equal(
            shorter["final_test_error"][row], group["test_error"].values[row, rate, :, 3]
        )
    whole = needs.cut(group, group.sizes["update"])
    np.testing.assert_allclose(whole["final_test_error"], group["final_test_error"])


def test_a_net_that_diverged_has_no_final_error(group):
    diverged = group.assign(chosen_learning_rate=group["chosen_learning_rate"] * np.nan)
    assert np.isnan(needs.cut(diverged, 3)["final_test_error"]).all()


def test_the_last_verdict_is_that_of_the_whole_run(group, judged):
    claim = BY_ID["fig11-tanh-n-helps"]
    last = judged[claim.id][-1]
    assert last.updates == 400_000
    assert last.width == 100
    verdict = claim.test(made_up.results(shapeset=group))
    assert last.status == verdict.status
    mean, low, high = last.estimate
    decides = next(number for number in verdict.numbers.values() if isinstance(number, dict))
    assert (mean, low, high) == (decides["mean"], decides["low"], decides["high"])
    assert last.bounds == (verdict.numbers["claimed above"],)


def test_only_claims_whose_verdict_changes_are_shown(judged):
    every = needs.changing(judged)
    assert every
    assert all(len({one.status for one in ones}) > 1 for ones in every.values())
    shown = needs.draw(every).axes
    assert [axes.get_title() for axes in shown if axes.get_visible()] == list(every)
    rows = needs.table(every).splitlines()
    assert len(rows) == len(every) + 2
    assert "100 units, 400,000 updates" in rows[0]


def test_what_was_drawn_is_kept_and_joined_by_other_runs(group, judged, tmp_path):
    """A run whose results are gone is drawn beside one that is there, claim by claim."""
    write_netcdf(made_up.results(shapeset=group.assign_attrs(width=300)), tmp_path / "results.nc")
    kept, out = tmp_path / "kept", tmp_path / "out"
    kept.mkdir()
    (kept / "needs.json").write_text(needs.as_json(judged))
    assert needs.from_json((kept / "needs.json").read_text()) == judged
    done = run_command("experiments.needs", f"--runs={kept},{tmp_path}", f"--workdir={out}")
    assert done.returncode == 0, done.stderr
    every = needs.from_json((out / "needs.json").read_text())
    for claim, ones in judged.items():
        assert every[claim][: len(ones)] == ones
        assert {one.width for one in every[claim]} == {100, 300}
    assert "300 units, 400,000 updates" in (out / "needs.md").read_text()


@pytest.mark.parametrize("text", ["", "[]", '{"claim": [{"width": 100}]}', '{"claim": 3}'])
def test_what_is_no_such_file_is_refused(text):
    with pytest.raises(ValueError, match="not what was judged"):
        needs.from_json(text)


def test_a_broken_file_is_told_in_one_line(tmp_path):
    (tmp_path / "needs.json").write_text("{")
    done = run_command("experiments.needs", f"--runs={tmp_path}", f"--workdir={tmp_path / 'out'}")
    assert_fails_in_one_line(done, "needs.json: ")
    assert not (tmp_path / "out").exists()


def test_a_run_that_trained_on_nothing_like_it_is_refused(tmp_path):
    write_netcdf(made_up.results(surface=made_up.surface_part()), tmp_path / "results.nc")
    done = run_command("experiments.needs", f"--runs={tmp_path}", f"--workdir={tmp_path / 'out'}")
    assert_fails_in_one_line(done, "nothing was trained on Shapeset")
