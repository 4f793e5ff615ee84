"""What the monitor or a watch measured, written down: arrays, JSON lines, TensorBoard, any logger.

A record is a number of updates done and the ``Statistics`` of then, with axes [site] or
[seed, site]. Writers skip a record in which nothing was measured. ``Writer.write`` may be called
from inside a program, by ``jax.debug.callback(writer.write, update, statistics)``.
"""

import json
import math
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from glorot_jax.diagnosis.measuring.site_statistics import QUANTILES, Statistics
from glorot_jax.files import naming

Record = tuple[int, Statistics]


class Writer(NamedTuple):
    """``write(update, statistics)`` leaves a record on disk; ``close()`` when there are no more."""

    write: Callable[[Any, Statistics], None]
    close: Callable[[], None]


def records(updates: Iterable[Any], stacked: Statistics, /, *, axis: int = 0) -> list[Record]:
    """The records of a whole scan: ``stacked`` has an entry along ``axis`` for each update.

    Those in which nothing was measured are left out.

    Raises:
      ValueError: there are more or fewer updates than entries.
    """
    moved = _on_host(jax.tree.map(lambda values: np.moveaxis(values, axis, 0), stacked))
    counts = [int(update) for update in updates]
    (entries,) = {len(values) for values in jax.tree.leaves(moved)}
    if entries != len(counts):
        raise ValueError(f"updates: {len(counts)} for {entries} entries along axis {axis}")
    each = (
        (update, jax.tree.map(lambda values, i=i: values[i], moved))
        for i, update in enumerate(counts)
    )
    return [record for record in each if _is_measured(record[1])]


def to_dataset(history: Iterable[Record], /) -> xr.Dataset:
    """Records as arrays [update, (seed,) site] and [update, (seed,) site, quantile].

    Numbers of the whole net are [update, (seed)].

    Raises:
      ValueError: nothing was measured, or the records are of different sites.
    """
    measured = [
        (int(update), _on_host(values)) for update, values in history if _is_measured(values)
    ]
    if not measured:
        raise ValueError("history: holds no measurements")
    updates, statistics = zip(*measured, strict=True)
    sites = statistics[0].sites
    for update, one in measured:
        if one.sites != sites:
            raise ValueError(f"history: update {update} has other sites than update {updates[0]}")
    coords = {
        "update": ("update", list(updates), {"long_name": "updates done", "units": "updates"}),
        "site": ("site", list(sites), {"long_name": "site"}),
        "quantile": ("quantile", list(QUANTILES), {"long_name": "quantile", "units": "1"}),
    }
    stacked = jax.tree.map(
        lambda *values: np.stack(values), *((one.values, one.overall) for one in statistics)
    )
    return xr.Dataset(
        {name: _labelled(name, a, _axes) for name, a in stacked[0].items()}
        | {_OF_NET + name: _labelled(name, a, _axes_overall) for name, a in stacked[1].items()},
        coords,
    )


_SUBJECTS = {
    "z": "input z of a site",
    "s": "pre-activation s",
    "ds": "gradient dC/ds of each example's own cost",
    "dw": "gradient dC/dw of the mean cost",
    "kernel": "kernel",
}
_MEANINGS = {
    "mean": "mean of {}",
    "std": "standard deviation of {}",
    "mean_square": "mean square of {}",
    "quantile": "quantile of {}",
    "cosine": "mean cosine between two examples' {}",
    "norm": "norm of {}",
    "ratio": "norm of {} over that of the kernel",
}
_OTHERS = {
    "saturated": "fraction of s where the slope f'(s) is below 5% of the slope at 0",
    "dead": "fraction of units whose slope f'(s) is 0 for every example",
    "gain": "n Var[W], n the fan-in",
    "two_sided": "whether the function that follows levels off on both sides",
    "attention_entropy": "entropy of the attention that the site feeds, over ln n",
    "step": "norm of an update over that of what it changes",
    "parameter_norm": "norm of the parameters that the kernel is made of",
    "unmoved": "share of the entries with an update that are the same after it",
    "loss": "mean cost of the batch that was measured",
    "loss_mean": "mean cost of the updates since the measurement before",
    "loss_max": "largest cost of the updates since the measurement before",
    "loss_max_ago": "updates since the largest cost",
    "loss_jump_ago": "updates since the first cost far above the mean before",
}
_OF_NET = "net_"  # before the name of what has no site, so that it isn't taken for another's


def long_name(statistic: str, /) -> str:
    """What a statistic is, in words."""
    if statistic in _OTHERS:
        return _OTHERS[statistic]
    subject, _, meaning = statistic.partition("_")
    return _MEANINGS[meaning].format(_SUBJECTS[subject])


def _labelled(
    name: str, values: np.ndarray, axes_of: Callable[[str, np.ndarray], tuple[str, ...]]
) -> xr.Variable:
    axes = ("update", *axes_of(name, values[0]))
    return xr.Variable(axes, values, {"long_name": long_name(name), "units": "1"})


def _axes(name: str, values: np.ndarray) -> tuple[str, ...]:
    """The names of the axes of one record's statistic."""
    axes = ("seed", "site", "quantile") if name.endswith("_quantile") else ("seed", "site")
    if values.ndim not in (len(axes) - 1, len(axes)):
        given = "x".join(map(str, values.shape))
        raise ValueError(f"statistics: {name} of one update is {given}, not [{', '.join(axes)}]")
    return axes[-values.ndim :]


def _axes_overall(name: str, values: np.ndarray) -> tuple[str, ...]:
    if values.ndim > 1:
        given = "x".join(map(str, values.shape))
        raise ValueError(f"statistics: {name} of one update is {given}, not one number, or [seed]")
    return ("seed",)[: values.ndim]


def json_lines(path: Path | str, /) -> Writer:
    """Appends a line of JSON to ``path`` for each record, complete before ``write`` returns.

    A line is ``{"update": 3, "sites": [..], "values": {"s_std": [..], ..}}``, with ``"overall"``
    where there are numbers of the whole net; what isn't finite is null, since JSON has no NaN. An
    existing file is continued, less a last line that a killed program left unfinished.

    Raises:
      OSError: ``path`` can't be written or the disk is full; also from ``write``.
    """
    path = Path(path)

    def append(line: bytes) -> None:
        with naming(path), path.open("ab") as file:
            file.truncate(_whole_lines(path))
            file.write(line)

    def write(update: Any, statistics: Statistics) -> None:
        if _is_measured(statistics):
            record = {
                "update": int(update),
                "sites": statistics.sites,
                "values": {k: _with_null(np.asarray(v)) for k, v in statistics.values.items()},
            }
            if statistics.overall:
                net = {k: _with_null(np.asarray(v)) for k, v in statistics.overall.items()}
                record["overall"] = net
            append(json.dumps(record, allow_nan=False).encode() + b"\n")

    append(b"")  # fails now rather than after an hour of training
    return Writer(write, lambda: None)


def _whole_lines(path: Path) -> int:
    """How many bytes of the file belong to lines that end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - 1, 0))
        if file.read() in (b"", b"\n"):
            return size
        file.seek(0)
        return file.read().rfind(b"\n") + 1


def _with_null(values: np.ndarray) -> Any:
    if values.ndim:
        return [_with_null(row) for row in values]
    return values.item() if np.isfinite(values) else None


def read_json_lines(path: Path | str, /) -> list[Record]:
    """The records that ``json_lines`` wrote, by their update; null is NaN again.

    Of an update written twice, by a run that went on from an older checkpoint, the last counts. A
    last line without an end is left out.

    Raises:
      ValueError: a line isn't such a record.
      OSError: the file can't be read.
    """
    found: dict[int, Statistics] = {}
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                record = json.loads(line)
                values, net = (
                    {k: np.array(v, np.float32) for k, v in one.items()}
                    for one in (record["values"], record.get("overall", {}))
                )
                found[int(record["update"])] = Statistics(values, tuple(record["sites"]), net)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ValueError(f"{path}: line {number} is not a record of statistics") from error
    return sorted(found.items(), key=lambda record: record[0])


def tensorboard(folder: Path | str, /) -> Writer:
    """Writes each record as scalars to an event file of its own in ``folder``, for TensorBoard.

    Tags are those of ``scalars``. NaN is left out. Needs tensorboardX, and no TensorFlow.

    Raises:
      ImportError: tensorboardX is missing.
      OSError: ``folder`` can't be written or the disk is full; also from ``write`` and ``close``.
    """
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary
    except ImportError as error:
        raise ImportError(
            "writers.tensorboard: needs tensorboardX: pip install glorot_jax[tensorboard]"
        ) from error
    folder = Path(folder)
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
        # Its file name has a resolution of one second; SummaryWriter would write from a thread,
        # where a full disk is nobody's error.
        events = EventsWriter(str(folder / "events"), f".{secrets.token_hex(4)}")

    def write(update: Any, statistics: Statistics) -> None:
        if _is_measured(statistics):
            found = scalars(statistics).items()
            values = [Summary.Value(tag=tag, simple_value=value) for tag, value in found]
            with naming(folder):
                events.write_event(Event(step=int(update), summary=Summary(value=values)))
                events.flush()

    def close() -> None:
        with naming(folder):
            events.close()

    return Writer(write, close)


def scalars(statistics: Statistics, /) -> dict[str, float]:
    """A plain dict for any logger: each number that isn't NaN, by its tag.

    Tags are ``site/statistic``: ``layers/w[3]/s_std``, ``layers/w[3]/s_quantile_0.5``; those of
    the whole net ``net/loss``; with seeds, ``layers/w[3]/s_std/seed_0``. Empty where nothing was
    measured.

    >>> scalars(Statistics({"s_std": np.ones(1)}, ("first/w",), {"loss": np.float32(0.5)}))
    {'first/w/s_std': 1.0, 'net/loss': 0.5}
    """
    return dict(_scalars(_on_host(statistics)))


def _scalars(statistics: Statistics) -> Iterator[tuple[str, float]]:
    for name, values, axes in [
        *((name, values, _axes(name, values)) for name, values in statistics.values.items()),
        *((name, value, _axes_overall(name, value)) for name, value in statistics.overall.items()),
    ]:
        for index, value in np.ndenumerate(values):
            at = dict(zip(axes, index, strict=True))
            site = statistics.sites[at["site"]] if "site" in at else "net"
            quantile = f"_{QUANTILES[at['quantile']]}" if "quantile" in at else ""
            seed = f"/seed_{at['seed']}" if "seed" in at else ""
            if not math.isnan(value):
                yield f"{site}/{name}{quantile}{seed}", float(value)


def _on_host(statistics: Statistics) -> Any:
    return jax.tree.map(np.asarray, statistics)


def _is_measured(statistics: Statistics) -> bool:
    return not all(np.isnan(values).all() for values in jax.tree.leaves(statistics))
