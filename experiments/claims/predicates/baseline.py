"""An RBF SVM and a deep net on the same fixed Shapeset sample: section 5."""

import numpy as np
import xarray as xr

from experiments.claims.measured import PAPER_WIDTH, values
from experiments.claims.predicates.errors import BEGUN, PLATEAU, as_in_the_paper
from experiments.claims.verdict import NotTested, Verdict, decide, interval

PAPER = {"svm": 0.5947, "net": 0.5047}  # test error as a fraction
PAPER_EXAMPLES = 100_000  # that both were trained on


def net_beats_svm(part: xr.Dataset, /) -> Verdict:
    """Test error of the SVM less the net's, paired by seed."""
    errors = {name: _error(part, name) for name in PAPER}
    examples = _attribute(part, "training_examples")
    if examples < PAPER_EXAMPLES:
        raise NotTested(
            f"{examples} training examples; the paper speaks of {PAPER_EXAMPLES}, and the net's "
            "lead comes with their number",
            errors,
        )
    best = min(interval(error).mean for error in errors.values())
    if not best < BEGUN * PLATEAU:
        raise NotTested(
            f"neither has begun to learn: the lower test error is {best:.3f}, guessing's "
            f"{PLATEAU:.3f}",
            errors,
        )
    return decide(
        errors["svm"] - errors["net"],
        what="test error, SVM less net",
        above=0.0,
        numbers={
            **errors,
            **{f"paper's {name}": value for name, value in PAPER.items()},
            "training examples": examples,
        },
    )


def value(part: xr.Dataset, /, *, name: str) -> Verdict:
    """Test error of ``svm`` or ``net`` against the paper's; what may differ is as in Table 1."""
    error, paper = _error(part, name), PAPER[name]
    lacking = _not_as_in_the_paper(part, name)
    if lacking:
        raise NotTested(
            f"the paper's {paper:.2%} is for another size than this run's ({lacking})",
            {"test error": error, "paper": paper},
        )
    named = name.upper() if name == "svm" else name
    return as_in_the_paper(error, paper, what=f"test error of the {named}")


def _not_as_in_the_paper(part: xr.Dataset, name: str) -> str | None:
    """More examples make either err less, so a run with more is no comparison either."""
    have = {"training_examples": PAPER_EXAMPLES} | ({"width": PAPER_WIDTH} if name == "net" else {})
    other = [
        f"{field.replace('_', ' ')} {_attribute(part, field)}, the paper's {wanted}"
        for field, wanted in have.items()
        if _attribute(part, field) != wanted
    ]
    return "; ".join(other) or None


def _attribute(part: xr.Dataset, name: str) -> int:
    return int(part.attrs.get(name, 0))


def _error(part: xr.Dataset, name: str) -> np.ndarray:
    return values(part, f"{name}_test_error", "seed")
