"""What importers share: histories that are added to a file all together, or not at all."""

from __future__ import annotations

import json
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from algodistill import _native
from algodistill.errors import Error
from algodistill.recordings import absolute

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from algodistill.spaces import Channel


def module(name: str, user: str) -> Any:  # noqa: ANN401 - a module, which need not be there
    """Import a package that only some need."""
    try:
        return import_module(name)
    except ImportError as problem:
        message = f"{user}: needs {name}, which cannot be imported ({problem}): pip install {name}"
        raise Error(message) from problem


@contextmanager
def adding(
    path: str | os.PathLike[str], channels: Sequence[Channel], actions: int
) -> Iterator[Callable[[int, int | None], _native.Journal]]:
    """Give a function that begins the history of a task; all of them are removed on an error."""
    journals: list[_native.Journal] = []
    file, observed = absolute(path), json.dumps(list(channels))

    def begin(task: int, history: int | None) -> _native.Journal:
        journals.append(_native.Journal(file, task, history, observed, actions))
        return journals[-1]

    try:
        yield begin
    except BaseException:
        for journal in journals:
            journal.discard()
        raise
    for journal in journals:
        journal.close()
