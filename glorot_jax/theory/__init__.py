"""What should be measured: predictions independent of the probes and of any trained network.

``linear`` has closed forms for small activations and ``spread`` how far one seed strays from them;
``meanfield`` takes any activation, ``nngp`` pairs of examples, ``histograms`` whole
distributions; ``spectrum`` has the singular values of layers, ``parametrizations`` the exponents of
width.
"""

from glorot_jax.theory import histograms, meanfield, nngp, parametrizations, spectrum
from glorot_jax.theory.linear import LinearRegime, predict, quarter_circle_mean
from glorot_jax.theory.spread import spread_over_seeds, weight_gradient_spread

__all__ = [
    "LinearRegime",
    "histograms",
    "meanfield",
    "nngp",
    "parametrizations",
    "predict",
    "quarter_circle_mean",
    "spectrum",
    "spread_over_seeds",
    "weight_gradient_spread",
]
