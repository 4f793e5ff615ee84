"""The flags of a command that runs in several processes."""

from absl import flags

from glorot_jax import processes

_DISTRIBUTED = flags.DEFINE_bool(
    "distributed", False, "Whether this is one of several processes, all started alike."
)
_ADDRESS = flags.DEFINE_string(
    "coordinator_address", None, "Host and port of process 0; the cluster's own unless given."
)
_COUNT = flags.DEFINE_integer(
    "num_processes", None, "How many processes there are; the cluster's own unless given."
)
_ID = flags.DEFINE_integer(
    "process_id", None, "Which of them this is, from 0; the cluster's own unless given."
)


def connect_if_asked() -> None:
    """Connects with the other processes, before JAX is first used.

    Raises:
      ValueError: they aren't there, a flag is missing, or theirs are different.
    """
    given = {flag.name: flag.value for flag in (_ADDRESS, _COUNT, _ID) if flag.value is not None}
    if _DISTRIBUTED.value:
        processes.connect(_ADDRESS.value, _COUNT.value, _ID.value)
        _check_same_everywhere()
    elif given:
        raise ValueError(f"--{next(iter(given))} is for --distributed, which isn't given")


def _check_same_everywhere() -> None:
    own = {_ADDRESS.name, _ID.name}
    simple = {
        name: value
        for name, value in flags.FLAGS.flag_values_dict().items()
        if name not in own and isinstance(value, str | int | float | list | None)
    }
    given, *others = processes.from_all(simple)
    for number, other in enumerate(others, start=1):
        for name, value in other.items():
            if value != given[name]:
                raise ValueError(
                    f"--{name} is {given[name]} in process 0 and {value} in process {number}; "
                    "give all processes the same flags"
                )
