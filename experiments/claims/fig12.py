"""Fig. 12 and Table 1: the order of test errors on finite data sets."""

from dataclasses import dataclass

from experiments.claims.final_errors import difference, in_order, sigmoid_worst
from experiments.claims.paper import TABLE_1
from experiments.claims.verdict import Claim, on
from experiments.data.registry import DATA_SETS, STAND_IN

_CLOSE = (
    "The paper's entries of this set differ by little more than the sampling error of 10 000 test "
    "examples; more seeds and the full length would decide."
)


@dataclass(frozen=True)
class _FiniteSet:
    """A column of Table 1: its ``order`` is from the highest final error to the lowest."""

    figure: str
    order: tuple[tuple[str, ...], ...]

    @property
    def where(self) -> str:
        return "Fig. 12 and Table 1" if self.figure == "fig12" else "Table 1"


FINITE_SETS = {
    "mnist": _FiniteSet(
        "fig12", (("Sigmoid",), ("Tanh",), ("Softsign N",), ("Softsign", "Tanh N"))
    ),
    "cifar10": _FiniteSet(
        "fig12",
        (("Sigmoid",), ("Tanh",), ("Softsign",), ("Softsign N",), ("Tanh N",)),
    ),
    "small_imagenet": _FiniteSet(
        "table1",
        (("Sigmoid",), ("Tanh",), ("Softsign",), ("Tanh N",), ("Softsign N",)),
    ),
}


def _finite_set(name: str) -> tuple[Claim, ...]:
    data, row, title = FINITE_SETS[name], TABLE_1[name], DATA_SETS[name].title
    options = {"stand_in": STAND_IN.get(name)}
    words = ", ".join(" and ".join(group) for group in data.order)
    return (
        Claim(
            id=f"{data.figure}-{dashed(name)}-order",
            where=data.where,
            paper=f"On {title}, in decreasing final error: {words}.",
            sentence="Our order of final test errors agrees with it: the rank correlation is "
            "positive.",
            figure=data.figure,
            test=on(name, in_order, order=data.order, **options),
            if_it_fails=_CLOSE,
        ),
        Claim(
            id=f"{data.figure}-{dashed(name)}-sigmoid-worst",
            where=data.where,
            paper=f"On {title} sigmoid has the highest error, {row['Sigmoid']:.2%}.",
            sentence="Seed by seed, it ends higher than every tanh and softsign net.",
            figure=data.figure,
            test=on(name, sigmoid_worst, **options),
            if_it_fails=_CLOSE,
        ),
        Claim(
            id=f"{data.figure}-{dashed(name)}-tanh-n-helps",
            where=data.where,
            paper=f"On {title} tanh ends lower with normalised initialisation: "
            f"{row['Tanh N']:.2%} against {row['Tanh']:.2%}.",
            sentence="Seed by seed, Tanh N ends at a lower test error than Tanh.",
            figure=data.figure,
            test=on(name, difference, worse="Tanh", better="Tanh N", **options),
            if_it_fails=_CLOSE,
        ),
    )


def dashed(name: str) -> str:
    """``name`` as ids of claims write it."""
    return name.lower().replace(" ", "-").replace("_", "-")


CLAIMS = tuple(claim for name in FINITE_SETS for claim in _finite_set(name))
