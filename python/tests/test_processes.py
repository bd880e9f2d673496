"""Processes that are forked, as `multiprocessing` does on Linux, and threads that share a batch."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import algodistill

DARK_ROOM = Path(__file__).parents[2] / "models" / "dark-room.adw"
SEEN = np.full((64, 2), 4)


def in_a_fork(work: Callable[[], object]) -> None:
    """Do the work in this process, then in a child."""
    work()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    began = time.monotonic()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() - began > 120:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.05)


@pytest.mark.parametrize("threads", [None, 2])
def test_work_can_be_done_in_a_child_too(tmp_path: Path, threads: int | None) -> None:
    def work() -> None:
        folder = tmp_path / str(os.getpid())
        usual = {"progress": False, "threads": threads}
        histories = algodistill.generate(
            folder / "room.parquet", tasks=4, histories_per_task=1, episodes=2, **usual
        )
        small = {"layers": 1, "d_model": 16, "heads": 1, "window": 16, "batch": 2, "updates": 2}
        algodistill.train(histories, **small, **usual)
        algodistill.evaluate(DARK_ROOM, tasks=2, episodes=2, runs=1, **usual)

    in_a_fork(work)


def test_a_child_goes_on_with_a_batch_of_its_parent() -> None:
    batch = algodistill.AgentBatch(DARK_ROOM, len(SEEN), threads=2)

    def work() -> None:
        batch.act(SEEN)
        batch.feedback(np.zeros(len(SEEN)), np.zeros(len(SEEN), bool))

    in_a_fork(work)


def test_threads_that_share_a_batch_are_told_so() -> None:
    batch = algodistill.AgentBatch(DARK_ROOM, 4096, threads=2)
    seen = np.full((4096, 2), 4)
    acting = threading.Thread(target=batch.act, args=(seen,))
    acting.start()
    with pytest.raises(algodistill.OrderError, match="another thread"):  # noqa: PT012 - until it is in
        while acting.is_alive():
            len(batch)
    acting.join()
