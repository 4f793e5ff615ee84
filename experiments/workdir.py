"""The folder of one run: which config it belongs to, and what is already done in it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr
from ml_collections import ConfigDict

from experiments.errors import ConfigError
from experiments.results import schema
from glorot_jax.files import write_netcdf, write_text

CONFIG = "config.json"
RESULTS = "results.nc"


class Workdir:
    """A folder for one run of one config.

    Raises:
      ConfigError: the folder can't be made or written, or holds a run of another config.
    """

    def __init__(self, path: str, config: ConfigDict):
        self.path = Path(path)
        self.checkpoints = self.path / "checkpoints"
        wanted = json.loads(config.to_json())
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            known = self.path / CONFIG
            if known.exists():
                _refuse_another(json.loads(known.read_text()), wanted, self.path)
            else:
                write_text(known, json.dumps(wanted, indent=2))
        except OSError as error:
            raise ConfigError(
                f"workdir: {path} can't be written ({error.strerror}); name another folder"
            ) from error
        except json.JSONDecodeError as error:
            raise ConfigError(f"workdir: {known} is damaged ({error}); remove it") from error

    def stage(self, stage: str, measure: Callable[[], tuple[str, xr.Dataset]]) -> xr.DataTree:
        """Results with one group: read if an earlier start finished it, else measured and saved.

        ``measure()`` returns the group's name and the group.
        """
        path = self.checkpoints / f"{stage}.nc"
        if not path.exists():
            name, made = measure()
            write_netcdf(schema.build({name: made}, {}), path)
        return schema.load(path)


def _refuse_another(known: dict, wanted: dict, path: Path) -> None:
    known, wanted = _flat(known), _flat(wanted)
    changed = [
        f"{field} was {known.get(field, 'absent')} there and is {wanted.get(field, 'absent')} now"
        for field in [*known, *(field for field in wanted if field not in known)]
        if known.get(field) != wanted.get(field)
    ]
    if changed:
        raise ConfigError(
            f"workdir: {path} holds a run of another config: {'; '.join(changed)}; "
            "name another folder"
        )


def _flat(config: dict, prefix: str = "config") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        field = f"{prefix}.{name}"
        flat |= _flat(value, field) if isinstance(value, dict) else {field: value}
    return flat
