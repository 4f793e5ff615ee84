"""What a network of the paper is made of, and how a config and the paper name it."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import xarray as xr

from experiments.errors import ConfigError, choose
from glorot_jax import activations, initialization
from glorot_jax.losses import LOSSES
from glorot_jax.training.optimizers import OPTIMIZERS

PAPER_DEPTH = 5
MOST_LAYERS = 10_000  # that are counted out before anything else is asked of them
DENOISING = "denoising"
SCHEME_EXAMPLES = 300  # that a data-dependent scheme sees
# Width of each layer, from the first to the last, as a multiple of the config's.
SHAPES = {"equal": (1.0, 1.0), "growing": (0.5, 1.5), "shrinking": (1.5, 0.5)}
WHITENED = "whitened"
PIXELS = ("raw", WHITENED)  # as the data set has them, or see glorot_jax/data/whitening.py
OPTIONS: Mapping[str, Iterable[str]] = MappingProxyType(
    {"optimizer": OPTIMIZERS, "shape": SHAPES, "loss": LOSSES, "pixels": PIXELS}
)
# How networks are trained where nothing else is said, and where results have no such coordinate.
DEFAULTS = MappingProxyType(
    {"optimizer": "sgd", "shape": "equal", "loss": "cross_entropy", "pixels": "raw"}
)

_SCHEME_NAMES = {"standard": "", "normalized": "N", DENOISING: "pre-trained"}
_OPTION_NAMES = {
    "hessian_diagonal": "Hessian rates",
    "gradient_variance": "variance rates",
    "adam": "Adam",
    "first_frozen": "layer 1 frozen",
    "first_slow": "layer 1 slow",
    WHITENED: "whitened inputs",
}


@dataclass(frozen=True)
class NetworkSpec:
    """What sets one network of a comparison apart from the others.

    Attributes:
      activation: one of ``ACTIVATIONS`` or a dotted path.
      scheme: how the network is initialised; see ``check_scheme``.
      depth: number of hidden layers.
      optimizer: one of ``OPTIMIZERS``.
      shape: one of ``SHAPES``, how widths change from layer to layer.
      loss: one of ``LOSSES``.
      pixels: one of ``PIXELS``.
    """

    activation: str
    scheme: str
    depth: int = PAPER_DEPTH
    optimizer: str = DEFAULTS["optimizer"]
    shape: str = DEFAULTS["shape"]
    loss: str = DEFAULTS["loss"]
    pixels: str = DEFAULTS["pixels"]

    @property
    def name(self) -> str:
        """The paper's name: N for normalized, then whatever isn't as usual there.

        >>> NetworkSpec("tanh", "normalized", depth=4, loss="quadratic").name
        'Tanh N, depth 4, quadratic'
        """
        unit, scheme = self.activation.rsplit(":")[-1], self.scheme.rsplit(":")[-1]
        # A custom activation that is called as one of ours keeps its whole path.
        taken = unit != self.activation and unit in activations.ACTIVATIONS
        unit = self.activation if taken else f"{unit[:1].upper()}{unit[1:]}"
        words = f"{unit} {_SCHEME_NAMES.get(self.scheme, scheme)}".rstrip()
        depth = [] if self.depth == PAPER_DEPTH else [f"depth {self.depth}"]
        options = [_OPTION_NAMES.get(value, value) for value in self.unusual.values()]
        return ", ".join([words, *depth, *options])

    @property
    def text(self) -> str:
        """How a config writes it; ``parse`` reads it again.

        >>> NetworkSpec("tanh", "normalized", depth=4, loss="quadratic").text
        'tanh normalized 4 loss=quadratic'
        """
        depth = [] if self.depth == PAPER_DEPTH else [str(self.depth)]
        options = [f"{option}={value}" for option, value in self.unusual.items()]
        return " ".join([self.activation, self.scheme, *depth, *options])

    @property
    def kind(self) -> tuple[str, str]:
        """(activation, scheme), which gives a network its colour."""
        return self.activation, self.scheme

    @property
    def plain(self) -> bool:
        """Whether it is trained as the paper trains what its figures show."""
        return not self.unusual

    @property
    def unusual(self) -> dict[str, str]:
        """Those of optimizer, shape, loss and pixels that aren't ``DEFAULTS``."""
        options = {option: getattr(self, option) for option in DEFAULTS}
        return {option: value for option, value in options.items() if value != DEFAULTS[option]}

    def replace(self, **changes: str | int) -> "NetworkSpec":
        """The same network with those fields changed."""
        return dataclasses.replace(self, **changes)  # type: ignore[arg-type]

    def widths(self, width: int) -> tuple[int, ...]:
        """Units of each hidden layer where layers of equal size would have ``width``."""
        first, last = SHAPES[self.shape]
        steps = max(self.depth - 1, 1)
        factors = [first + (last - first) * layer / steps for layer in range(self.depth)]
        return tuple(max(1, round(width * factor)) for factor in factors)


# Where results have each field; a scheme is called by its older name there.
_COORDINATES = {field.name: field.name for field in dataclasses.fields(NetworkSpec)} | {
    "scheme": "initializer"
}


def parse(text: str, *, field: str, loss: str = DEFAULTS["loss"]) -> NetworkSpec:
    """The network that ``text`` names.

    ``text`` is ``"activation scheme"``, then, where they aren't 5, sgd, equal and ``loss``: a
    depth and ``optimizer=... shape=... loss=... pixels=...``. An activation or scheme is a name of
    ours or a dotted path to one's own, ``my_package.my_module:my_init``. ``field`` is where the
    config says it.

    Raises:
      ConfigError: it is written wrongly, or names something that there isn't.
    """
    words = text.split()
    given = [word.partition("=")[::2] for word in words if "=" in word]
    options = dict(given)
    if len(options) < len(given):
        raise ConfigError(f'{field}: "{text}" says one of {", ".join(options)} twice')
    plain = [word for word in words if "=" not in word]
    if len(plain) not in (2, 3):
        raise ConfigError(
            f'{field}: "{text}" is not "activation initializer", with a depth and '
            f"{', '.join(f'{name}=' for name in OPTIONS)} after it where wanted"
        )
    depth = plain[2] if len(plain) == 3 else str(PAPER_DEPTH)
    if not depth.isdecimal() or int(depth) < 1:
        raise ConfigError(f'{field}: depth {depth} in "{text}" is not a positive integer')
    check_depth(int(depth), field=f"{field}: depth")
    for name, value in options.items():
        choose(name, OPTIONS, field=f'{field}: "{text}"')
        choose(value, OPTIONS[name], field=f"{field}: {name}")
    return NetworkSpec(
        check_activation(plain[0], field=field),
        check_scheme(plain[1], field=field),
        int(depth),
        **{"loss": loss, **options},
    )


def check_depth(depth: int, *, field: str) -> None:
    """Refuses fewer hidden layers than one, or more than ``MOST_LAYERS``.

    Raises:
      ConfigError: it is one of these.
    """
    if not 1 <= depth <= MOST_LAYERS:
        raise ConfigError(f"{field}: {depth} is not in 1..{MOST_LAYERS}")


def check_activation(name: str, *, field: str) -> str:
    """``name`` if it names an activation, ours or a dotted path.

    Raises:
      ConfigError: it doesn't, or what the path leads to can't be used.
    """
    try:
        activations.resolve(name)
    except ValueError as error:
        raise ConfigError(f"{field}: activation {error}") from error
    return name


def check_scheme(name: str, *, field: str) -> str:
    """``name`` if it names how a network is initialised: ours, a dotted path, or pre-training.

    Raises:
      ConfigError: it doesn't, or what the path leads to can't be used.
    """
    if name != DENOISING:
        try:
            initialization.scheme(name)
        except ValueError as error:
            raise ConfigError(f"{field}: initializer {error}") from error
    return name


def coordinates(networks: Sequence[NetworkSpec]) -> dict[str, tuple[str, list]]:
    """The coordinates of ``networks`` along the dimension ``condition`` of results."""
    return {
        coordinate: ("condition", [getattr(network, field) for network in networks])
        for field, coordinate in _COORDINATES.items()
    }


def read(measured: xr.Dataset) -> list[NetworkSpec]:
    """The networks of results in their order.

    A coordinate that isn't there is the attribute of that name, or else as in the paper.
    """
    fields = {
        field: measured[coordinate].values.tolist()
        for field, coordinate in _COORDINATES.items()
        if coordinate in measured.variables
    }
    options = {option: measured.attrs.get(option, usual) for option, usual in DEFAULTS.items()}
    return [
        NetworkSpec(**options | {field: values[place] for field, values in fields.items()})
        for place in range(measured.sizes["condition"])
    ]
