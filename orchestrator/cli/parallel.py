"""A few calls at a time; it knows nothing of what they do."""

import threading
from collections.abc import Callable, Generator, Iterable
from queue import Empty, SimpleQueue
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_parallel(
    work: Callable[[Item], Result], items: Iterable[Item], *, at_once: int
) -> Generator[tuple[Item, Result | BaseException], None, None]:
    """Each item with what its call returned or raised, as the calls end.

    Whoever stops before the end waits for nothing: no further call begins, and those under way end
    with the process at the latest.
    """
    waiting: SimpleQueue[Item] = SimpleQueue()
    for item in items:
        waiting.put(item)
    count = waiting.qsize()
    ended: SimpleQueue[tuple[Item, Result | BaseException]] = SimpleQueue()
    is_over = threading.Event()

    def run() -> None:
        while not is_over.is_set():
            try:
                item = waiting.get_nowait()
            except Empty:
                return
            try:
                ended.put((item, work(item)))
            except BaseException as error:  # noqa: BLE001 - whoever reads the results decides.
                ended.put((item, error))

    try:
        for _ in range(min(at_once, count)):
            threading.Thread(target=run, daemon=True).start()
        for _ in range(count):
            yield ended.get()
    finally:
        is_over.set()
