"""How a gymnasium space becomes the channels and words of a model.

A model observes channels: an index (`discrete`, embedded by a table), up to 64 numbers of 32 bits
(`vector`), or a picture (`pixels`). An observation is the words of all channels, one after the
other:

==========================  ==================================================================
space                       channels and words
==========================  ==================================================================
`Discrete(n, start)`        an index: the value less `start`. With one value only, nothing
`MultiDiscrete`             an index each, less its `start`
`MultiBinary`               a vector of zeros and ones
`Box` of integers           a vector of its numbers as they are
`Box` of floats             a vector of its numbers times 2^16, rounded, limited to 32 bits
`Box` of uint8, [h, w(, c)] pixels: its bytes, row by row
`Tuple`, `Dict`             those of their parts, in their order
==========================  ==================================================================

A float has therefore 16 bits after the point, in recorded files and on a device: firmware that
measures volts in a float hands the agent `(int32_t) lroundf(volts * 65536)`. What is beyond 32767
is limited; what is smaller than about 1/1000 loses digits: choose units in between (millivolts).
Where the numbers of a task lie is measured in training and kept in the model.

Spaces are told by the attributes that gymnasium gives them, so that gymnasium need not be there.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from algodistill.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: A channel as cards have it, `{"discrete": {"size": 16}}`.
Channel = dict[str, dict[str, int]]

#: Words of an observation: an array where they are many.
Words = list[int] | npt.NDArray[np.int32]

#: What a float is multiplied by.
SCALE = 1 << 16

MIN_ACTIONS = 2
MAX_ACTIONS = 256
_MAX_CHANNELS = 8
_MAX_ENCODERS = 2
_MAX_SIZE = 4096
_MAX_NUMBERS = 64
_MAX_BYTES = 4096
#: As many numbers are faster one by one than together.
_FEW = 12
_LOWEST, _HIGHEST = -(1 << 31), (1 << 31) - 1
_MATRIX, _PICTURE = 2, 3
#: First bytes of a JPEG.
_JPEG = b"\xff\xd8\xff"


class ObservationSpace:
    """The channels of a space of observations, and the words of an observation."""

    def __init__(self, space: object) -> None:
        """Take a space apart; an `ArgumentError` where it does not fit a model."""
        leaves = list(_leaves(space, "observation"))
        #: The channels, as a card has them.
        self.channels: list[Channel] = [channel for leaf in leaves for channel in leaf.channels]
        self._leaves = leaves
        self._tuples = list(_tuples(space))
        encoders = sum("discrete" not in channel for channel in self.channels)
        if len(self.channels) > _MAX_CHANNELS or encoders > _MAX_ENCODERS:
            message = (
                f"observation_space: has {len(self.channels)} channels, {encoders} of them numbers "
                f"or pictures; a model has at most {_MAX_CHANNELS}, {_MAX_ENCODERS} of them such. "
                "Join numbers to one Box, or leave some out, in a gymnasium.ObservationWrapper"
            )
            raise ArgumentError(message)
        #: The words of an observation; an `ArgumentError` where it is not one of the space.
        self.words: Callable[[Any], Words] = (
            leaves[0].words if len(leaves) == 1 and not leaves[0].path else self._words_of_all
        )

    def _words_of_all(self, observation: object) -> list[int]:
        words: list[int] = []
        for path, size in self._tuples:
            part = _at(observation, path)
            if not hasattr(part, "__len__") or len(part) != size:
                message = f"observation: is {observation!r:.80}, expected {size} parts"
                raise ArgumentError(f"{message} at {path}" if path else message)
        for leaf in self._leaves:
            words.extend(leaf.words(_at(observation, leaf.path)))
        return words


class ActionSpace:
    """A `Discrete` space of actions: a model's actions are 0, 1, 2, ..."""

    def __init__(self, space: object) -> None:
        """Take a space apart; an `ArgumentError` where it does not fit a model."""
        count = getattr(space, "n", None)
        if _kind(space) != "Discrete" or count is None:
            message = (
                f"action_space: is {space}, expected Discrete; give the environment a list of "
                "actions with a gymnasium.ActionWrapper"
            )
            raise ArgumentError(message)
        #: Number of actions.
        self.actions = int(count)
        #: The environment's number of the model's action 0.
        self.start = int(getattr(space, "start", 0))
        if not MIN_ACTIONS <= self.actions <= MAX_ACTIONS:
            message = (
                f"action_space: has {self.actions} actions, expected {MIN_ACTIONS} to {MAX_ACTIONS}"
            )
            raise ArgumentError(message)

    def number(self, action: object) -> int:
        """Give the model's number of an action of the environment."""
        number = _integer(action, "action") - self.start
        if not 0 <= number < self.actions:
            last = self.start + self.actions - 1
            message = f"action: is {action}, expected {self.start} to {last}"
            raise ArgumentError(message)
        return number


class _Leaf:
    """A space without parts: its channels, its words, and where an observation has its value."""

    def __init__(
        self, path: tuple[Any, ...], channels: list[Channel], words: Callable[[Any], Words]
    ) -> None:
        self.path = path
        self.channels = channels
        self.words = words


def _at(observation: Any, path: tuple[Any, ...]) -> Any:  # noqa: ANN401 - of any environment
    """Give the part of an observation that is at `path`."""
    try:
        for key in path:
            observation = observation[key]
    except (TypeError, KeyError, IndexError) as problem:
        message = f"observation: is {observation!r:.80}, expected one with the part {path}"
        raise ArgumentError(message) from problem
    return observation


def _tuples(space: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], int]]:  # noqa: ANN401
    """Give where an observation has tuples, and how many parts each has."""
    kind = _kind(space)
    if kind == "Tuple":
        yield path, len(space.spaces)
    if kind in ("Tuple", "Dict"):
        parts = enumerate(space.spaces) if kind == "Tuple" else space.spaces.items()
        for key, part in parts:
            yield from _tuples(part, (*path, key))


def _kind(space: object) -> str:
    """Name the class of gymnasium (or of gym) that the space is of."""
    names = ("Discrete", "MultiDiscrete", "MultiBinary", "Box", "Tuple", "Dict")
    return next((one.__name__ for one in type(space).__mro__ if one.__name__ in names), "")


def _leaves(space: Any, name: str, path: tuple[Any, ...] = ()) -> Iterator[_Leaf]:  # noqa: ANN401
    kind = _kind(space)
    if kind == "Tuple":
        for number, part in enumerate(space.spaces):
            yield from _leaves(part, f"{name}[{number}]", (*path, number))
    elif kind == "Dict":
        for key, part in space.spaces.items():
            yield from _leaves(part, f"{name}[{key!r}]", (*path, key))
    elif kind == "Discrete":
        yield _indices(name, path, [int(space.n)], [int(getattr(space, "start", 0))], single=True)
    elif kind == "MultiDiscrete":
        sizes = np.asarray(space.nvec).ravel().tolist()
        start = np.asarray(getattr(space, "start", np.zeros(len(sizes), int))).ravel().tolist()
        yield _indices(name, path, sizes, start, single=False)
    elif kind == "MultiBinary":
        yield _vector(name, path, tuple(np.zeros(space.n, np.int8).shape), np.dtype(np.int8), 1)
    elif kind == "Box":
        yield _box(space, name, path)
    else:
        message = (
            f"observation_space: {name} is {space}, expected Discrete, MultiDiscrete, MultiBinary, "
            "Box, or a Tuple or Dict of these; leave it out, or turn it into one, in a "
            "gymnasium.ObservationWrapper"
        )
        raise ArgumentError(message)


def _indices(
    name: str, path: tuple[Any, ...], sizes: Sequence[int], starts: Sequence[int], *, single: bool
) -> _Leaf:
    for size in sizes:
        if not 1 <= size <= _MAX_SIZE:
            message = (
                f"observation_space: {name} has {size} values, expected 1 to {_MAX_SIZE}; split it "
                "into several, or make numbers of it, in a gymnasium.ObservationWrapper"
            )
            raise ArgumentError(message)

    def word(value: object, size: int, start: int) -> int:
        index = _integer(value, name) - start
        if not 0 <= index < size:
            message = f"{name}: is {value}, expected {start} to {start + size - 1}"
            raise ArgumentError(message)
        return index

    if single:
        (size,), (start,) = sizes, starts
        if size == 1:
            return _Leaf(path, [], lambda value: [word(value, size, start)][1:])
        return _Leaf(path, [{"discrete": {"size": size}}], lambda value: [word(value, size, start)])

    def words(values: object) -> list[int]:
        flat = np.asarray(values).ravel().tolist()
        if len(flat) != len(sizes):
            message = f"{name}: has {len(flat)} values, expected {len(sizes)}"
            raise ArgumentError(message)
        return [word(*one) for one in zip(flat, sizes, starts, strict=True)]

    return _Leaf(path, [{"discrete": {"size": size}} for size in sizes], words)


def _box(space: Any, name: str, path: tuple[Any, ...]) -> _Leaf:  # noqa: ANN401
    shape, dtype = tuple(space.shape), np.dtype(space.dtype)
    if dtype == np.uint8 and len(shape) in (_MATRIX, _PICTURE):
        return _picture(name, path, shape)
    if dtype.kind not in "iufb":
        message = f"observation_space: {name} is of {dtype}, expected integers or floats"
        raise ArgumentError(message)
    return _vector(name, path, shape, dtype, None)


def _picture(name: str, path: tuple[Any, ...], shape: tuple[int, ...]) -> _Leaf:
    height, width, *rest = shape
    colours = rest[0] if rest else 1
    size = height * width * colours
    if not 0 < size <= _MAX_BYTES or colours > np.iinfo(np.uint8).max:
        message = (
            f"observation_space: {name} is a picture of {height}x{width}x{colours} bytes, expected "
            f"1 to {_MAX_BYTES}; make it smaller with gymnasium.wrappers.ResizeObservation, or "
            "without colours with GrayscaleObservation"
        )
        raise ArgumentError(message)
    padding = bytes(-size % 4)

    def words(value: object) -> Words:
        array = np.asarray(value)
        if array.shape != shape or array.dtype != np.uint8:
            message = f"{name}: is {array.dtype} of shape {array.shape}, expected uint8 of {shape}"
            if array.dtype == np.uint8 and array.tobytes().startswith(_JPEG):
                message += (
                    "; it is a JPEG that nobody decoded, as minari before 0.5.4 leaves small "
                    "pictures: decode it with PIL.Image, or write the dataset again with a newer "
                    "minari"
                )
            raise ArgumentError(message)
        return np.frombuffer(array.tobytes() + padding, "<i4")

    return _Leaf(path, [{"pixels": {"height": height, "width": width, "colours": colours}}], words)


def _vector(
    name: str,
    path: tuple[Any, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    highest: int | None,
) -> _Leaf:
    size = math.prod(shape)
    if not 0 < size <= _MAX_NUMBERS:
        message = (
            f"observation_space: {name} has {size} numbers, expected 1 to {_MAX_NUMBERS}; choose "
            "some of them in a gymnasium.ObservationWrapper"
        )
        raise ArgumentError(message)

    def words(value: object) -> Words:
        array = np.asarray(value)
        if array.shape != shape:
            message = f"{name}: has the shape {array.shape}, expected {shape}"
            raise ArgumentError(message)
        if dtype.kind == "f":
            return fixed_point(array, name)
        numbers = integers(array, name)
        if highest is not None and not all(0 <= number <= highest for number in numbers):
            message = f"{name}: has {numbers}, expected 0 to {highest}"
            raise ArgumentError(message)
        return numbers

    return _Leaf(path, [{"vector": {"size": size}}], words)


def fixed_point(values: npt.ArrayLike, name: str = "observation") -> Words:
    """Give the words of floats: 16 bits after the point, limited to 32 bits."""
    array = np.asarray(values)
    if array.dtype.kind not in "iufb":
        message = f"{name}: is of {array.dtype}, expected numbers"
        raise ArgumentError(message)
    if array.size > _FEW:
        return words_of_rows(array.ravel().astype(np.float64), name)
    try:
        words = [round(number * SCALE) for number in array.ravel().tolist()]
    except (ValueError, OverflowError) as problem:
        message = f"{name}: has {array.ravel().tolist()}, expected finite numbers"
        raise ArgumentError(message) from problem
    if min(words, default=0) < _LOWEST or max(words, default=0) > _HIGHEST:
        words = [min(max(word, _LOWEST), _HIGHEST) for word in words]
    return words


def words_of_rows(rows: npt.NDArray[Any], name: str = "observation") -> npt.NDArray[np.int32]:
    """Give the words of many numbers at once, as `fixed_point` and `integers` do of a few."""
    numbers = np.rint(rows.astype(np.float64) * SCALE) if rows.dtype.kind == "f" else rows
    if not np.isfinite(numbers).all():
        message = f"{name}: has numbers that are not finite, expected finite ones"
        raise ArgumentError(message)
    if rows.dtype.kind == "f":
        numbers = np.clip(numbers, _LOWEST, _HIGHEST)
    elif numbers.size and (numbers.min() < _LOWEST or numbers.max() > _HIGHEST):
        message = f"{name}: has {numbers.min()} to {numbers.max()}, expected numbers of 32 bits"
        raise ArgumentError(message)
    return numbers.astype(np.int32)


def integers(values: npt.ArrayLike, name: str = "observation") -> list[int]:
    """Give the words of whole numbers, which fit 32 bits as they are."""
    array = np.asarray(values)
    if array.dtype.kind not in "iub":
        message = f"{name}: is of {array.dtype}, expected whole numbers"
        raise ArgumentError(message)
    words = [int(number) for number in array.ravel().tolist()]
    if min(words, default=0) < _LOWEST or max(words, default=0) > _HIGHEST:
        message = f"{name}: has {words}, expected numbers of 32 bits"
        raise ArgumentError(message)
    return words


def _integer(value: Any, name: str) -> int:  # noqa: ANN401
    if isinstance(value, (int, np.integer)):
        return int(value)
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iub":
        message = f"{name}: is {value!r:.80}, expected a whole number"
        raise ArgumentError(message)
    return int(array.reshape(()))
