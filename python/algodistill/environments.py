"""The environments of this repository as gymnasium environments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces

from algodistill import _native
from algodistill.errors import ArgumentError, OrderError
from algodistill.recordings import number
from algodistill.training import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_HIGHEST_TASK = _HIGHEST_WORD = (1 << 32) - 1
_STATE_WORDS = 4
_HIGHEST_SEED = (1 << 64) - 1


class CoreEnvironment(gymnasium.Env[Any, Any]):
    """A task of an environment of this repository: the dynamics of the firmware, bit for bit.

    ```python
    env = gymnasium.make("algodistill/DarkRoom-v0", task=65, set={"reward": "once"})
    ```

    `task` is its number, the same one as in `algodistill play --task`; `set` its parameters, which
    `algodistill list` shows with their defaults. The horizon belongs to the environment: an
    episode that reaches it is terminated. `info` has `optimal_action` and `optimal_return` (of an
    episode of the task) where they are known.

    `reset(seed=S)` begins the random numbers of seed S, those of a firmware trace with that seed;
    `random_state` is where they are.
    """

    metadata = {"render_modes": ["ansi"], "render_fps": 4}  # noqa: RUF012 - as gymnasium has it

    def __init__(
        self,
        preset: str,
        task: int = 0,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - the word of the command line and TOML
        render_mode: str | None = None,
    ) -> None:
        """Make the task."""
        if render_mode not in (None, "ansi"):
            message = f"render_mode: is {render_mode!r}, expected 'ansi' or None"
            raise ArgumentError(message)
        self._task = _native.Task(preset, number("task", task, _HIGHEST_TASK), _json(set))
        self.render_mode = render_mode
        interface = json.loads(self._task.interface)
        self.observation_space, self._show = space_of(interface["channels"])
        self.action_space = spaces.Discrete(interface["actions"])
        self._actions: int = interface["actions"]
        optimal_return = self._task.optimal_return
        self._known = {} if optimal_return is None else {"optimal_return": optimal_return}
        self._running = False
        self._seeded = False

    @property
    def title(self) -> str:
        """What the environment is, for people."""
        return self._task.title

    @property
    def task_count(self) -> int | None:
        """Number of tasks; None where there is no end to them."""
        return self._task.task_count

    @property
    def random_return(self) -> float | None:
        """Expected return of an episode of random actions, where it is known."""
        return self._task.random_return

    @property
    def random_state(self) -> list[int]:
        """Four numbers, where the random numbers of the environment are."""
        return self._task.random_state

    @random_state.setter
    def random_state(self, state: Sequence[int]) -> None:
        words = [number("random_state", word, _HIGHEST_WORD) for word in state]
        if len(words) != _STATE_WORDS:
            message = f"random_state: has {len(words)} numbers, expected {_STATE_WORDS}"
            raise ArgumentError(message)
        self._task.random_state = words
        self._seeded = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode."""
        if options:
            message = f"options: has {sorted(options)}, expected none"
            raise ArgumentError(message)
        if seed is not None:
            self._task.seed(number("seed", seed, _HIGHEST_SEED))
        super().reset(seed=seed)
        if seed is None and not self._seeded:
            self._task.seed(int(self.np_random.integers(1 << 63)))
        self._seeded = self._running = True
        return self._show(self._task.reset()), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ANN401
        """Act."""
        if not self._running:
            message = "step: no episode is running; call reset first, and after each episode"
            raise OrderError(message)
        chosen = number("action", action, self._actions - 1)
        words, reward, done = self._task.step(chosen)
        self._running = not done
        return self._show(words), reward, done, False, self._info()

    def render(self) -> str | None:
        """Draw the task and the episode so far, as text."""
        return self._task.draw() if self.render_mode == "ansi" else None

    def _info(self) -> dict[str, Any]:
        optimal = self._task.optimal_action()
        return self._known if optimal is None else {**self._known, "optimal_action": optimal}


def _json(parameters: Mapping[str, Any] | None) -> str:
    try:
        return json.dumps(dict(parameters or {}), default=plain)
    except RecursionError as problem:
        message = "set: is nested too deep"
        raise ArgumentError(message) from problem
    except (TypeError, ValueError) as problem:
        message = f"set: is {parameters!r:.80}, expected names with numbers, texts or lists"
        raise ArgumentError(message) from problem


def space_of(
    channels: list[dict[str, Any]],
) -> tuple[gymnasium.Space[Any], Callable[[list[int]], Any]]:
    """Give the space of channels, and what makes an observation of words."""
    if all("discrete" in channel for channel in channels):
        sizes = [channel["discrete"]["size"] for channel in channels]
        if not sizes:
            # Nothing is observed.
            return spaces.Discrete(1), lambda _words: 0
        if len(sizes) == 1:
            return spaces.Discrete(sizes[0]), lambda words: words[0]
        return spaces.MultiDiscrete(sizes), lambda words: np.array(words, np.int64)
    if len(channels) == 1:
        return _part(channels[0])
    parts = []
    first = 0
    for channel in channels:
        space, show = _part(channel)
        end = first + _words(channel)
        parts.append((space, show, slice(first, end)))
        first = end
    return (
        spaces.Tuple([space for space, *_ in parts]),
        lambda words: tuple(show(words[own]) for _, show, own in parts),
    )


def _words(channel: dict[str, Any]) -> int:
    if "pixels" in channel:
        shape = channel["pixels"]
        return -(-int(shape["height"] * shape["width"] * shape["colours"]) // 4)
    return int(channel["vector"]["size"]) if "vector" in channel else 1


def _part(channel: dict[str, Any]) -> tuple[gymnasium.Space[Any], Callable[[list[int]], Any]]:
    if "discrete" in channel:
        return spaces.Discrete(channel["discrete"]["size"]), lambda words: words[0]
    if "vector" in channel:
        limits = np.iinfo(np.int32)
        shape = (channel["vector"]["size"],)
        space = spaces.Box(limits.min, limits.max, shape, np.int32)
        return space, lambda words: np.array(words, np.int32)
    sides = channel["pixels"]
    picture = (sides["height"], sides["width"], sides["colours"])
    size = picture[0] * picture[1] * picture[2]

    def show(words: list[int]) -> Any:  # noqa: ANN401
        return np.array(words, "<i4").view(np.uint8)[:size].reshape(picture)

    return spaces.Box(0, 255, picture, np.uint8), show


def register() -> None:
    """Make the environments known to `gymnasium.make`: one for each preset."""
    for preset in _native.presets():
        name = "".join(word.capitalize() for word in preset.split("-"))
        gymnasium.register(
            id=f"algodistill/{name}-v0",
            entry_point="algodistill.environments:CoreEnvironment",
            kwargs={"preset": preset},
        )
