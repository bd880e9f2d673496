"""Files of recorded histories: the parts of one become the file."""

from __future__ import annotations

import atexit
import json
import os
import sys
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from algodistill import _native
from algodistill.errors import ArgumentError, Error

if TYPE_CHECKING:
    from collections.abc import Callable

_HIGHEST_ID = (1 << 31) - 1
_HIGHEST_SEED = (1 << 64) - 1


def merge(
    path: str | os.PathLike[str], *, held_out: int | None = None, split_seed: int = 0
) -> dict[str, Any] | None:
    """Make `path` and its card of what was recorded, and give the card; None if there was nothing.

    `held_out` is how many tasks training does not see, which `split_seed` chooses, anew where they
    were divided before. Without it, tasks that are in the file stay on their side, and of all one
    in ten is held out. All recorders of the file must be closed.
    """
    card = _native.merge(
        absolute(path),
        None if held_out is None else number("held_out", held_out),
        number("split_seed", split_seed, _HIGHEST_SEED),
    )
    return None if card is None else json.loads(card)


def absolute(path: str | os.PathLike[str]) -> Path:
    """Give the path as it is now: the program may change its folder."""
    try:
        return Path(path).absolute()
    except TypeError as problem:
        message = f"path: is {path!r:.80}, expected the name of a file, NAME.parquet"
        raise ArgumentError(message) from problem


def number(name: str, value: object, highest: int = _HIGHEST_ID, lowest: int = 0) -> int:
    """Give a whole number from `lowest` to `highest`."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        message = f"{name}: is {value!r:.80}, expected a whole number"
        raise ArgumentError(message)
    found = int(value.__index__())
    if not lowest <= found <= highest:
        message = f"{name}: is {found}, expected {lowest} to {highest}"
        raise ArgumentError(message)
    return found


class _Recording(Protocol):
    def end(self) -> None: ...


_files: set[Path] = set()
_open: weakref.WeakSet[_Recording] = weakref.WeakSet()


def merge_at_exit(path: Path, recording: _Recording) -> None:
    """Have the recording ended and its file merged when this process ends, if not before."""
    _files.add(path)
    _open.add(recording)


def _at_exit(process: int) -> None:
    # A child that was forked has the list of its parent.
    if os.getpid() != process:
        return
    for recording in list(_open):
        _report(recording.end)
    for path in sorted(_files):
        _report(partial(_merge_unless_recorded, path))


def _merge_unless_recorded(path: Path) -> None:
    # Another process that still records it merges it later.
    if not _native.is_recorded(path):
        _native.merge(path, None, 0)


def _report(work: Callable[[], object]) -> None:
    try:
        work()
    except Error as problem:
        sys.stderr.write(f"algodistill: {problem}\n")


atexit.register(_at_exit, os.getpid())
