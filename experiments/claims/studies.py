"""What the paper says of depth (2.3), of the cost (4.1), and of rates and widths (section 5)."""

from experiments.claims.nets import SYMMETRIC
from experiments.claims.predicates.errors import difference
from experiments.claims.predicates.selection import best_depth
from experiments.claims.verdict import Claim, on

_LENGTH = (
    "Error curves cross: a run shorter than the paper's 5 million updates shows who is faster, not "
    "who ends lower. The paper's own length and width would decide."
)
_DEPTH = (
    "Deeper nets take longer, so a shorter run favours shallower ones, and neighbouring depths may "
    "differ by less than the seeds' spread. The paper's own length, and more seeds, would decide."
)
_RATES = {
    "hessian": ("Hessian rates", "the diagonal of the Hessian"),
    "variance": ("variance rates", "an estimate of the gradients' variance"),
}
_RATES_FAIL = (
    "The paper names neither the damping of these rates nor how often they are estimated, and the "
    "global rate that multiplies them is chosen from a grid of our own. "
)


def _selection(id: str, nets: tuple[str, ...], depth: int, whose: str) -> Claim:
    return Claim(
        id=id,
        where="Section 2.3",
        paper=f"Chosen on validation error, the best depth on Shapeset is {depth} for {whose}.",
        sentence=f"Seed by seed, {depth} hidden layers end at a lower validation error than every "
        f"other depth tried, each at its own best learning rate: {', '.join(nets)}.",
        figure="selection",
        test=on("selection", best_depth, nets=nets, depth=depth),
        if_it_fails=_DEPTH,
    )


def _compared(
    id: str, part: str, where: str, worse: str, better: str, *, paper: str, why: str
) -> Claim:
    return Claim(
        id=id,
        where=where,
        paper=paper,
        sentence=f"Seed by seed, the net '{better}' ends at a lower test error than '{worse}'.",
        figure=part,
        test=on(part, difference, worse=worse, better=better),
        if_it_fails=why,
    )


def _rates(key: str) -> tuple[Claim, ...]:
    suffix, source = _RATES[key]
    where = "Section 5, on second-order methods"
    why = _RATES_FAIL + _LENGTH
    return (
        _compared(
            f"section5-{key}-helps",
            "section5",
            where,
            "Tanh",
            f"Tanh, {suffix}",
            paper=f"With standard initialisation, learning rates for each parameter from {source} "
            "help tanh.",
            why=why,
        ),
        _compared(
            f"section5-{key}-does-not-reach-normalized",
            "section5",
            where,
            f"Tanh, {suffix}",
            "Tanh N",
            paper=f"But rates from {source} don't reach what normalised initialisation does.",
            why=why,
        ),
        _compared(
            f"section5-{key}-with-normalized",
            "section5",
            where,
            "Tanh N",
            f"Tanh N, {suffix}",
            paper=f"Rates from {source} together with normalised initialisation help further.",
            why=why,
        ),
    )


def _widths(shape: str, words: str) -> Claim:
    return _compared(
        f"section5-{shape}",
        "section5",
        "Section 5, on layer sizes",
        f"Tanh, {shape}",
        f"Tanh N, {shape}",
        paper=f"Normalised initialisation gains as much where layers {words} with depth.",
        why="By how much the layers grow or shrink is our choice; the paper doesn't say. "
        + _LENGTH,
    )


def _cost(net: str) -> Claim:
    return _compared(
        f"costs-{net.lower().replace(' ', '-')}",
        "costs",
        "Section 4.1",
        f"{net}, quadratic",
        net,
        paper="The conditional log-likelihood, with its fewer plateaus, trains much better "
        f"classifiers than the quadratic cost (here {net}).",
        why="The quadratic cost here is the squared distance of the softmax's output from the "
        "target; the paper doesn't say what its output was. Its gradients are smaller, so its best "
        "learning rate may lie above the grid: whether the chosen rate is the largest one tells. "
        + _LENGTH,
    )


CLAIMS = (
    _selection("selection-best-depth", SYMMETRIC, 5, "tanh and softsign"),
    _selection("selection-sigmoid-depth", ("Sigmoid",), 4, "sigmoid"),
    *(_cost(net) for net in ("Tanh", "Tanh N", "Softsign", "Sigmoid")),
    *(claim for key in _RATES for claim in _rates(key)),
    _widths("growing", "grow"),
    _widths("shrinking", "shrink"),
)
