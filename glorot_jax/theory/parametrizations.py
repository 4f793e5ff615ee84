"""How signals and their updates grow with width under named parametrisations.

An abc-parametrisation (Yang & Hu 2021, Tensor Programs IV, section 3) has kernels W = n^-a w with
w drawn with standard deviation n^-b and a learning rate in proportion to n^-c; n is the width. Each
layer is of one of three kinds: *input* (only its fan-out grows with n), *hidden* (both fans) and
*output* (only its fan-in). Three rules give every exponent of a net of several hidden layers:

- a sum over n independent terms of mean 0 grows as n^1/2, and as n once its terms agree in sign, as
  they do in an update, which is made of the same signal that it meets again;
- dC/d(logits) stays of size 1, and hidden kernels with a + b = 1/2 pass it on as it is, so that
  dC/ds of all layers below the readout has that one's size, n^-(a + b);
- gradient descent moves w by n^-c dC/dw; Adam by n^-c, whatever the size of dC/dw (Yang et al.
  2022, Tensor Programs V, table 3 and appendix J; Yang & Littwin 2023, Tensor Programs IVb).
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias, get_args

Role: TypeAlias = Literal["input", "hidden", "output"]
"""Which fans of a kernel grow with width: out, both, in."""

ROLES: tuple[Role, ...] = get_args(Role)

Response: TypeAlias = Literal["proportional", "invariant"]
"""What an optimizer's first update does when the gradient is scaled: so, too; or nothing."""


@dataclass(frozen=True)
class Layer:
    """``multiplier`` a, ``scale`` b, and ``rate`` c of gradient descent, ``adam_rate`` of Adam."""

    multiplier: float
    scale: float
    rate: float = 0.0
    adam_rate: float = 0.0


@dataclass(frozen=True)
class Parametrization:
    """The exponents of the three kinds of layers."""

    input: Layer
    hidden: Layer
    output: Layer


class Growth(NamedTuple):
    """Exponents of width: of std(s) at the start, of what the layer's first update adds to s."""

    start: float
    update: float


SP = Parametrization(Layer(0, 0), Layer(0, 0.5), Layer(0, 0.5))
"""Standard: each kernel's variance is 1/fan-in, one learning rate for all."""

NTK = Parametrization(Layer(0, 0), Layer(0.5, 0), Layer(0.5, 0))
"""Neural tangent (Jacot et al. 2018): kernels of variance 1 over sqrt(fan-in), one rate for all."""

MUP = Parametrization(
    Layer(-0.5, 0.5, 0.0, 0.5), Layer(0, 0.5, 0.0, 1.0), Layer(0.5, 0.5, 0.0, 0.5)
)
"""Maximal update; that of the mean field where there is one hidden layer."""

PARAMETRIZATIONS: dict[str, Parametrization] = {"SP": SP, "muP": MUP, "NTK": NTK}


def growth(parametrization: Parametrization, role: Role, response: Response, /) -> Growth:
    """The exponents of one layer of a net with several hidden layers, in its first update.

    Later updates of a net that blows up grow faster still.

    Example:
      >>> growth(SP, "hidden", "proportional")
      Growth(start=0.0, update=0.5)
      >>> {role: growth(MUP, role, "invariant").update for role in ("input", "hidden", "output")}
      {'input': 0.0, 'hidden': 0.0, 'output': 0.0}
    """
    layer: Layer = getattr(parametrization, role)
    readout = parametrization.output
    summed = role != "input"  # whether s is a sum over n terms
    start = 0.5 * summed - layer.multiplier - layer.scale
    if response == "invariant":
        return Growth(start, summed - layer.multiplier - layer.adam_rate)
    ds = 0.0 if role == "output" else -readout.multiplier - readout.scale
    return Growth(start, summed + ds - 2 * layer.multiplier - layer.rate)
