"""One program in several processes (``jax.distributed``): all run it, the first reads and writes.

Every function here is called by all the processes, in the same order. In a program that never
called ``connect``, or ``jax.distributed.initialize``, each does what one process alone does.
"""

import ctypes
import os
import pickle
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, NoReturn, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from glorot_jax.files import first_line
from glorot_jax.typing import PyTree

T = TypeVar("T")

LOST = 75  # the status where another process is gone; EX_TEMPFAIL of sysexits.h: worth another try
HEARTBEAT = 30  # seconds without a sign after which a process counts as gone
_GOODBYE = 10  # seconds that a process which fails waits for the others
_AT_ONCE = 1 << 26  # bytes sent from one process to the others in one piece

# What JAX's C++ code says of processes; what else it says is passed on.
_GONE = re.compile(rb"detected fatal errors|tasks are unhealthy|Polled an error")
_LOG_LINE = re.compile(rb"[IWEF]\d{4} |\[Gloo\]")
_CHATTER = re.compile(rb"coordination_service|\[Gloo\]")

_ending = threading.Lock()
_name = "this process"
_status: int | None = None  # what this process ends with, once it is ending


def connect(
    coordinator_address: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> None:
    """Makes this one of the processes of a run; before JAX is first used.

    What isn't given is taken from the cluster's own environment, as ``jax.distributed.initialize``
    finds it. Waits for the others. From here on a process that is gone ends all of them, with one
    line and status ``LOST``.

    Raises:
      ValueError: a number is missing or out of range, or the others aren't there.
    """
    global _name
    given = (coordinator_address, num_processes, process_id)
    if num_processes is not None and num_processes < 1:
        raise ValueError(f"num_processes: {num_processes} is not a positive number")
    if process_id is not None and not 0 <= process_id < (num_processes or process_id + 1):
        raise ValueError(f"process_id: {process_id} is not in 0..num_processes - 1")
    _say_in_one_line_that_another_is_gone()
    # It would take SIGTERM for itself.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            *given,
            cluster_detection_method=None if None in given else "deactivate",
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=_GOODBYE,
        )
        _name = f"process {jax.process_index()} of {jax.process_count()}"
    except Exception as error:  # of many kinds, by cluster
        raise ValueError(
            f"distributed: {first_line(error)}; what of coordinator_address, num_processes and "
            "process_id isn't given is looked for in the cluster's environment"
        ) from error


def several() -> bool:
    """Whether this is one of several processes."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
    """Whether this is the process that reads, writes and speaks."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def share(count: int, /) -> range:
    """What of 0, 1, .., ``count`` - 1 this process takes; all take as many, or one more."""
    number, size = (jax.process_index(), jax.process_count()) if several() else (0, 1)
    return range(count * number // size, count * (number + 1) // size)


def first(make: Callable[[], T], /) -> T:
    """What ``make()`` returns, or raises, in the first process; the others don't call it.

    The value or error is sent to the others, so it has to be one that pickles.
    """
    if not several():
        return make()
    outcome: tuple[bool, Any] | None = None
    if is_first():
        try:
            outcome = True, make()
        except Exception as error:
            outcome = False, _sendable(error)
    fine, value = _sent_by_first(outcome)
    if fine:
        return value
    raise value


def _sendable(error: Exception) -> Exception:
    with suppress(Exception):
        pickle.loads(pickle.dumps(error))
        return error
    return (ValueError if isinstance(error, ValueError) else RuntimeError)(str(error))


def agree(values: Sequence[int], /) -> np.ndarray:
    """Every process's ``values``, [processes, n] int64; a process waits for all others."""
    if not several():
        return np.asarray([values], np.int64)
    halves = np.asarray(values, np.int64).view(np.uint32)  # JAX would make int32 of int64
    return np.ascontiguousarray(_gathered(halves[None], tiled=True)).view(np.int64)


def from_all(value: T, /) -> list[T]:
    """The ``value`` of every process, in their order; each has to be one that pickles."""
    if not several():
        return [value]
    content = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = agree([len(content)])[:, 0]
    padded = np.pad(content, (0, int(sizes.max()) - len(content)))
    parts = [
        _gathered(padded[None, start : start + _AT_ONCE], tiled=True)
        for start in range(0, len(padded), _AT_ONCE)
    ]
    rows = np.concatenate(parts, axis=1)
    return [pickle.loads(row[:size].tobytes()) for row, size in zip(rows, sizes, strict=True)]


def on_host(tree: PyTree, /) -> PyTree:
    """Every array of ``tree`` whole and as NumPy's, a typed key as it is; whatever holds it."""

    def whole(leaf: Any) -> Any:
        if not isinstance(leaf, jax.Array):
            return np.asarray(leaf)
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        if leaf.is_fully_addressable:
            return leaf if is_key else np.asarray(leaf)
        if not is_key:
            return _gathered(leaf, tiled=True)
        data = _gathered(jax.jit(jax.random.key_data)(leaf), tiled=True)
        return jax.random.wrap_key_data(jnp.asarray(data), impl=jax.random.key_impl(leaf))

    return jax.tree.map(whole, tree)


def place(tree: PyTree, sharding: jax.sharding.Sharding, /) -> PyTree:
    """``tree``, which every process has whole, on the devices of ``sharding``."""
    if sharding.is_fully_addressable:
        return jax.device_put(tree, sharding)

    def placed(leaf: Any) -> jax.Array:
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        # Copied to the host once, not once for each device.
        whole = leaf if is_key else np.asarray(leaf)
        return jax.make_array_from_callback(whole.shape, sharding, lambda index: whole[index])

    return jax.tree.map(placed, tree)


@contextmanager
def ending() -> Iterator[None]:
    """Around a whole program: it ends with its status where other processes wait for it too."""
    try:
        yield
        if jax.distributed.is_initialized():
            agree([0])  # the slowest is as far
    except BaseException as error:
        if not jax.distributed.is_initialized():
            raise
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        _leave(error.code if isinstance(error, SystemExit) else 1)
    if jax.distributed.is_initialized():
        global _status
        _status = 0
        with suppress(Exception):
            jax.distributed.shutdown()


def _leave(status: Any) -> NoReturn:
    global _status
    _ending.acquire()  # from here on nobody is missed
    _status = status if isinstance(status, int) else int(bool(status))
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(Exception):
        jax.distributed.shutdown()  # waits for the others, who may end for the same reason
    os._exit(_status)


def _sent_by_first(value: Any) -> Any:
    content = np.frombuffer(pickle.dumps(value) if is_first() else b"", np.uint8)
    size = int(agree([len(content)])[0, 0])
    content = content if is_first() else np.zeros(size, np.uint8)
    parts = [
        _collective("broadcast_one_to_all", content[start : start + _AT_ONCE])
        for start in range(0, size, _AT_ONCE)
    ]
    return value if is_first() else pickle.loads(np.concatenate(parts).tobytes())


def _gathered(values: Any, *, tiled: bool) -> np.ndarray:
    return np.asarray(_collective("process_allgather", values, tiled=tiled))


def _collective(name: str, *args: Any, **options: Any) -> Any:
    from jax.experimental import multihost_utils

    try:
        return getattr(multihost_utils, name)(*args, **options)
    except jax.errors.JaxRuntimeError as error:
        lost(re.sub(r"\[[^]]*\]\S* ?", "", first_line(error)))  # files and addresses


def lost(reason: str) -> NoReturn:
    """Ends this process in one line: another is gone, and what it had is nowhere else."""
    _ending.acquire()
    sys.stdout.flush()
    clear = "\r\033[K" if sys.stderr.isatty() else ""
    line = (
        f"{clear}error: {_name}: another process of this run is gone ({reason}); "
        "the same command in all of them goes on\n"
    )
    os.write(sys.stderr.fileno(), line.encode())
    os._exit(LOST)


def _say_in_one_line_that_another_is_gone() -> None:
    """Lets JAX's C++ code write to a thread that has the last word.

    Where another process is gone, JAX's client of the coordination service writes a stack trace to
    stderr and aborts; its one hook, ``missed_heartbeat_callback``, ends in std::bad_cast.
    """
    _own(1, "stdout")
    err = _own(2, "stderr")
    reading, writing = os.pipe()
    os.dup2(writing, 1)
    os.dup2(writing, 2)
    os.close(writing)
    threading.Thread(target=_listen, args=(os.fdopen(reading, "rb"), err), daemon=True).start()
    # abort() raises SIGABRT and, when its handler is back, ends the process. sleep(SIGABRT), that
    # is for six seconds, leaves the thread the time to end it in its own way.
    libc = ctypes.CDLL(None)
    libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    libc.signal(signal.SIGABRT, ctypes.cast(libc.sleep, ctypes.c_void_p))


def _own(descriptor: int, name: str) -> int:
    """Gives Python's stream a descriptor that C++ doesn't write to."""
    kept = os.dup(descriptor)
    stream = os.fdopen(kept, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    getattr(sys, name).flush()
    setattr(sys, name, stream)
    return kept


def _listen(lines: IO[bytes], err: int) -> None:
    passed_on = True
    for line in lines:
        if _GONE.search(line):
            if _status is not None:
                os._exit(_status)
            lost("says the coordination service")
        if _LOG_LINE.match(line):  # else it belongs to the one before
            passed_on = not _CHATTER.search(line)
        if passed_on:
            os.write(err, line)
