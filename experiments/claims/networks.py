"""The networks that claims compare, by the name that the paper's tables give them."""

from collections.abc import Mapping
from types import MappingProxyType

import xarray as xr

from experiments.networks import DENOISING, NetworkSpec
from experiments.results.queries import condition

_PLAIN = {
    "Softsign": NetworkSpec("softsign", "standard"),
    "Softsign N": NetworkSpec("softsign", "normalized"),
    "Tanh": NetworkSpec("tanh", "standard"),
    "Tanh N": NetworkSpec("tanh", "normalized"),
    "Sigmoid": NetworkSpec("sigmoid", "standard"),
    "Sigmoid 4": NetworkSpec("sigmoid", "standard", 4),
    "Tanh pre-trained": NetworkSpec("tanh", DENOISING),
}
_CHANGES: Mapping[str, Mapping[str, str]] = {
    "Hessian rates": {"optimizer": "hessian_diagonal"},
    "variance rates": {"optimizer": "gradient_variance"},
    "growing": {"shape": "growing"},
    "shrinking": {"shape": "shrinking"},
    "quadratic": {"loss": "quadratic"},
}
# "Tanh N, quadratic" and the like are Tanh N with one thing changed.
NETWORKS: Mapping[str, NetworkSpec] = MappingProxyType(
    _PLAIN
    | {
        f"{name}, {words}": spec.replace(**change)
        for name, spec in _PLAIN.items()
        for words, change in _CHANGES.items()
    }
)
OF_ANY_DEPTH = ("softsign", "tanh")  # found at the deepest that was trained
SYMMETRIC = ("Softsign", "Softsign N", "Tanh", "Tanh N")
WITHOUT_PRETRAINING = (*SYMMETRIC, "Sigmoid", "Sigmoid 4")  # Fig. 11's others
MODERN = ("Softsign", "Softsign N", "Tanh N")


def find(group: xr.Dataset, name: str, /) -> xr.Dataset:
    """The network ``name`` in ``group``, its own layers only.

    Raises:
      NotMeasured: ``group`` doesn't hold it.
    """
    spec = NETWORKS[name]
    depth = None if spec.activation in OF_ANY_DEPTH else spec.depth
    return condition(group, *spec.kind, depth=depth, **spec.unusual)
