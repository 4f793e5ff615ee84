"""The nets that claims compare, by name, and how to find one in a part of the results."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import xarray as xr

from experiments.claims.measured import condition
from experiments.networks import PAPER_DEPTH
from experiments.results.schema import USUAL


class Net(NamedTuple):
    """A kind of net, as the paper's tables name it; depth None is the deepest there is."""

    activation: str
    initializer: str
    depth: int | None = None
    optimizer: str = USUAL["optimizer"]
    shape: str = USUAL["shape"]
    loss: str = USUAL["loss"]


_NETS = {
    "Softsign": Net("softsign", "standard"),
    "Softsign N": Net("softsign", "normalized"),
    "Tanh": Net("tanh", "standard"),
    "Tanh N": Net("tanh", "normalized"),
    "Sigmoid": Net("sigmoid", "standard", PAPER_DEPTH),
    "Sigmoid 4": Net("sigmoid", "standard", 4),
    "Tanh pre-trained": Net("tanh", "denoising"),
}
_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "Hessian rates": {"optimizer": "hessian_diagonal"},
    "variance rates": {"optimizer": "gradient_variance"},
    "growing": {"shape": "growing"},
    "shrinking": {"shape": "shrinking"},
    "quadratic": {"loss": "quadratic"},
}
# "Tanh N, quadratic" and the like are Tanh N with one thing changed.
NETS: Mapping[str, Net] = MappingProxyType(
    _NETS
    | {
        f"{name}, {words}": net._replace(**change)
        for name, net in _NETS.items()
        for words, change in _CHANGES.items()
    }
)
SYMMETRIC = ("Softsign", "Softsign N", "Tanh", "Tanh N")
WITHOUT_PRETRAINING = (*SYMMETRIC, "Sigmoid", "Sigmoid 4")  # Fig. 11's others
MODERN = ("Softsign", "Softsign N", "Tanh N")


def find(part: xr.Dataset, name: str, /) -> xr.Dataset:
    """The net ``name`` in ``part``, its own layers only.

    Raises:
      NotTested: ``part`` doesn't hold it.
    """
    net = NETS[name]
    return condition(
        part,
        net.activation,
        net.initializer,
        depth=net.depth,
        optimizer=net.optimizer,
        shape=net.shape,
        loss=net.loss,
    )
