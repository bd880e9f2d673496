"""Histories laid out as those of XLand-100B: HDF5 files of XLand-MiniGrid."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from algodistill.errors import FileError
from algodistill.importing import adding, module
from algodistill.recordings import merge, number
from algodistill.spaces import words_of_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from algodistill import _native
    from algodistill.spaces import Channel

_WANTED = ("states", "actions", "rewards", "dones")
#: Axes of states: history and step, then none, numbers, or the cells of a grid.
_INDEX, _NUMBERS, _GRID = 2, 3, 4


def import_xland(  # noqa: PLR0913 - each has its name
    hdf5: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    tasks: int | None = None,
    histories: int | None = None,
    actions: int = 6,
    colours: int | None = 14,
) -> dict[str, Any] | None:
    """Add histories laid out as those of XLand-100B to a file of histories, and give the card.

    The HDF5 file has a group a task with `states` [histories, steps, ...], `actions`, `rewards` and
    `dones` [histories, steps], and maybe `expert_actions`, which become optimal actions; the
    attribute `ruleset-id` is the number of the task, or else the name of the group. `tasks` and
    `histories` (of each task) take the first ones only.

    A grid of uint8 becomes a picture: its cells hold `tile * colours + colour`, which are two bytes
    there; with `colours=None` a cell is one byte, as it is. Other states are an index, where they
    have no further axis, or numbers. What is observed after an episode is not in such files, nor
    whether one that is done was truncated.
    """
    h5py = module("h5py", "import_xland")
    try:
        file = h5py.File(os.fspath(hdf5), "r")
    except (OSError, TypeError) as problem:
        message = f"{hdf5}: cannot be read as HDF5: {problem}"
        raise FileError(message) from problem
    if colours is not None:
        colours = number("colours", colours, 255)
    limit = None if tasks is None else number("tasks", tasks)
    per_task = None if histories is None else number("histories", histories)
    with file:
        names = sorted(file, key=lambda name: (len(name), name))[:limit]
        groups = [_Group(f"{hdf5}: {name}", name, file[name], per_task) for name in names]
        if not groups:
            message = f"{hdf5}: has no group, expected one a task"
            raise FileError(message)
        channels, words = _channels(groups, colours)
        with adding(path, channels, number("actions", actions)) as begin:
            for group in groups:
                group.add(begin, words)
    return merge(path)


class _Group:
    """The group of a task."""

    def __init__(self, place: str, name: str, group: Any, histories: int | None) -> None:  # noqa: ANN401
        self.place = place
        missing = [one for one in _WANTED if not hasattr(group, "keys") or one not in group]
        if missing:
            message = f"{place}: has no {missing[0]}, expected {', '.join(_WANTED)}"
            raise FileError(message)
        self._group = group
        shape = group["rewards"].shape
        for one in _WANTED:
            if len(shape) != _INDEX or group[one].shape[:_INDEX] != shape:
                message = (
                    f"{place}: {one} has the shape {group[one].shape} beside rewards of {shape}, "
                    "expected [histories, steps] in front"
                )
                raise FileError(message)
        self.states = group["states"]
        self._histories = range(shape[0])[:histories]
        task = group.attrs.get("ruleset-id", int(name) if name.isdigit() else -1)
        self._task = number(f"{place}: ruleset-id", task)

    def highest(self) -> int:
        """Give the highest state of its histories."""
        return max((int(self.states[history].max()) for history in self._histories), default=0)

    def add(
        self,
        begin: Callable[[int, int | None], _native.Journal],
        words: Callable[[npt.NDArray[Any]], npt.NDArray[np.int32]],
    ) -> None:
        """Add its histories, episode by episode."""
        experts = self._group.get("expert_actions")
        for history in self._histories:
            states = words(self.states[history])
            actions = self._column("actions", history)
            rewards = np.asarray(self._group["rewards"][history], float).tolist()
            optimal = (
                [-1] * len(actions)
                if experts is None
                else self._column("expert_actions", history).tolist()
            )
            ends = np.flatnonzero(self._group["dones"][history]) + 1
            rest = [] if len(ends) and ends[-1] == len(actions) else [len(actions)]
            journal = begin(self._task, None)
            first = 0
            for end in [*ends.tolist(), *rest]:
                own = slice(first, end)
                # What is left is of an episode that was not done; of the others nobody knows.
                truncated = True if end in rest else None
                journal.episode(
                    states[own], actions[own].tolist(), rewards[own], optimal[own], truncated
                )
                first = end

    def _column(self, name: str, history: int) -> npt.NDArray[np.int64]:
        column = np.asarray(self._group[name][history])
        if column.dtype.kind not in "iu":
            message = f"{self.place}: {name} is of {column.dtype}, expected whole numbers"
            raise FileError(message)
        return column.astype(np.int64)


def _channels(
    groups: list[_Group], colours: int | None
) -> tuple[list[Channel], Callable[[npt.NDArray[Any]], npt.NDArray[np.int32]]]:
    """Give the channels of states, and what makes words [steps, words] of those of a history."""
    shape, dtype = groups[0].states.shape[_INDEX:], groups[0].states.dtype
    kind = len(shape) + _INDEX
    if kind == _INDEX and dtype.kind in "iu":
        size = 1 + max(group.highest() for group in groups)
        return [{"discrete": {"size": size}}], lambda states: states[:, None].astype(np.int32)
    if kind == _NUMBERS and dtype.kind in "iuf":
        return [{"vector": {"size": shape[0]}}], words_of_rows
    if kind == _GRID and dtype == np.uint8:
        height, width = shape
        layers = 2 if colours else 1
        picture = {"height": height, "width": width, "colours": layers}

        def words(states: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
            cells = np.stack(np.divmod(states, colours), -1) if colours else states
            rows = cells.astype(np.uint8).reshape(len(states), -1)
            padded = np.pad(rows, [(0, 0), (0, -rows.shape[1] % 4)])
            return padded.view("<i4")

        return [{"pixels": picture}], words
    message = (
        f"{groups[0].place}: states are {dtype} of {shape} a step, expected whole numbers, a row "
        "of numbers or a grid of uint8"
    )
    raise FileError(message)
