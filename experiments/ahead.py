"""Compiling what trains next while something trains."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor


class Ahead:
    """Several things to compile, each when it is asked for or while the one before is used.

    A context, at whose end what hasn't begun is left alone.
    """

    def __init__(self, compile_each: Sequence[Callable[[], object]]) -> None:
        self._each = compile_each
        self._begun: dict[int, Future[object]] = {}
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *exception: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def wait(self, index: int) -> None:
        """Until the one at ``index`` is compiled; begins with the next. Raises what it raised."""
        self._begin(index).result()
        if index + 1 < len(self._each):
            self._begin(index + 1)

    def _begin(self, index: int) -> Future[object]:
        if index not in self._begun:
            self._begun[index] = self._thread.submit(self._each[index])
        return self._begun[index]
