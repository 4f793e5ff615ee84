"""The verdict on a report's findings, and what the verdicts come to."""

import dataclasses

import jax.numpy as jnp
import pytest

from benchmarks.clinic import kit, score

MODEL = kit.Model(lambda p, x: x @ p, jnp.ones((2, 3)), jnp.ones((4, 2)), jnp.zeros(4, int))
SICK = kit.Case(
    "hot", lambda: MODEL, "fever", ("fever",), "w", lambda: MODEL, kit.Training(), "paper", ".", "a"
)
WELL = dataclasses.replace(SICK, name="well", truth="healthy", words=(), site="", twin=None)


@dataclasses.dataclass(frozen=True)
class Finding:
    severity: str = "severe"
    kind: str = "cough"
    text: str = ""
    cure: str = ""
    sites: tuple[str, ...] = ()


COUGH, FEVER = Finding(), Finding(kind="Fever")
WARNING, NOTE = Finding("warning"), Finding("note", "fever")


@pytest.mark.parametrize(
    ("case", "findings", "expected"),
    [
        (SICK, [], "missed"),
        (SICK, [NOTE], "missed"),
        (SICK, [COUGH], "wrong"),
        (SICK, [FEVER, COUGH], "named first"),
        (SICK, [COUGH, FEVER], "named, not first"),
        (SICK, [NOTE, FEVER], "named first"),
        (WELL, [], "quiet"),
        (WELL, [NOTE], "quiet"),
        (WELL, [WARNING], "warned"),
        (WELL, [WARNING, COUGH], "severe"),
    ],
)
def test_the_verdict(case, findings, expected):
    assert score.scored(case, findings, 1.0).verdict == expected


def test_a_word_in_the_remedy_alone_is_marked():
    result = score.scored(SICK, [Finding(cure="against fever", sites=("layer/w",)), COUGH], 1.0)
    assert (result.verdict, result.strict, result.placed) == ("named first", False, True)
    assert result.first == "severe: cough!@ (+1)"


def test_totals_end_in_a_line_for_programs():
    scores = [
        score.scored(SICK, [FEVER], 2.0),
        score.scored(SICK, [COUGH, FEVER], 1.0),
        score.scored(WELL, [WARNING], 1.0),
        dataclasses.replace(score.scored(WELL, [], 1.0), verdict="crash"),
    ]
    assert score.totals(scores, 2).splitlines()[-1] == (
        "SCORE sick=2 first=1 anywhere=2 healthy=2 quiet=0 no_severe=1 crash=1 cpu=5.0 strict=1"
    )
    assert "hot" not in score.table(scores)
    assert "SCORE sick=0" in score.totals([], 0)


def test_a_crash_is_a_verdict(monkeypatch):
    def fails(*_, **__):
        raise TypeError("no\n such thing")

    monkeypatch.setattr(score.gj, "diagnose", fails)
    result = score.examine(SICK)
    assert (result.verdict, result.first) == ("crash", "TypeError: no such thing")


@pytest.mark.parametrize(
    ("case", "findings", "status"),
    [(WELL, [WARNING], 0), (WELL, [COUGH], 1), (SICK, [COUGH], 0), (SICK, None, 1)],
)
def test_the_command_fails_where_a_promise_is_broken(case, findings, status, monkeypatch, capsys):
    """By a crash, None here, or a severe finding of a healthy model; a missed cause is none."""

    def diagnose(*_, **__):
        if findings is None:
            raise TypeError("of no report")
        return type("Report", (), {"findings": findings})()

    monkeypatch.setattr(score.gj, "diagnose", diagnose)
    monkeypatch.setattr(score, "chosen_cases", lambda names: [case])
    monkeypatch.setattr("sys.argv", ["score"])
    if status:
        with pytest.raises(SystemExit) as ended:
            score.main()
        assert ended.value.code == status
    else:
        score.main()
    assert "SCORE " in capsys.readouterr().out
