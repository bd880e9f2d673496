"""Record what any agent does in a gymnasium environment, as `docs/histories-format.md` says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeVar

import numpy as np

from algodistill import _native
from algodistill.errors import ArgumentError, Error, OrderError
from algodistill.recordings import absolute, merge_at_exit, number
from algodistill.spaces import ActionSpace, ObservationSpace

try:
    import gymnasium
except ImportError as _problem:
    _message = "Recorder: needs gymnasium, which is not installed: pip install gymnasium"
    raise Error(_message) from _problem

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

_Observation = TypeVar("_Observation")
_Action = TypeVar("_Action")


class Recorder(gymnasium.Wrapper[_Observation, _Action, _Observation, _Action]):
    """An environment that writes down every step, whoever acts in it.

    ```python
    for task, desc in enumerate(maps):
        lake = gym.make("FrozenLake-v1", desc=desc)
        with algodistill.Recorder(lake, "lake.parquet", task=task) as env:
            learn(env)
    ```

    Each recorder writes one history: what one agent does in one task from its first step on. Any
    number of them, one after the other or at once, in this process or in others, may record to
    one file. Histories lie in the folder `lake.parquet.parts` until `merge`, or the end of this
    process, makes `lake.parquet` and its card of them. (Workers of multiprocessing end without
    notice: call `merge` after them.) What a killed process recorded is there up to its last whole
    episode: `merge` finds it. A file that is there is added to.

    `task` is the number of the task, an integer from 0; `history` that of the history, unique in
    the file (default: the next free one). `optimal_action` gives the action that is optimal where
    an observation is seen; without it, `info["optimal_action"]` of the environment is taken where
    there is one.

    It wraps one environment, and sees what the agent's own wrappers (normalisation, stacked
    frames) have not yet changed. An episode that the agent leaves before its end is recorded as
    truncated there.
    """

    def __init__(
        self,
        env: gymnasium.Env[_Observation, _Action],
        path: str | os.PathLike[str],
        *,
        task: int,
        history: int | None = None,
        optimal_action: Callable[[_Observation], int] | None = None,
    ) -> None:
        """Begin a history."""
        _check_environment(env)
        if optimal_action is not None and not callable(optimal_action):
            message = (
                f"optimal_action: is {optimal_action!r:.60}, expected a function of observations"
            )
            raise ArgumentError(message)
        super().__init__(env)
        observations = ObservationSpace(env.observation_space)
        self._words = observations.words
        self._actions = ActionSpace(env.action_space)
        self._optimal_action = optimal_action
        file = absolute(path)
        self._journal = _native.Journal(
            file,
            number("task", task),
            None if history is None else number("history", history),
            json.dumps(observations.channels),
            self._actions.actions,
        )
        self._running = False
        self._seen: Any = None
        self._info: dict[str, Any] = {}
        merge_at_exit(file, self)

    @property
    def history(self) -> int:
        """Number of the history."""
        return self._journal.history

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[_Observation, dict[str, Any]]:
        """Reset the environment: an episode begins."""
        self._running = False
        observation, info = _values(self.env.reset(seed=seed, options=options), _RESET)
        self._journal.begin(self._words(observation))
        self._seen, self._info, self._running = observation, info, True
        return observation, info

    def step(
        self, action: _Action
    ) -> tuple[_Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Act in the environment, and write down what came of it."""
        if not self._running:
            message = "step: no episode is running; call reset, after each episode and each error"
            raise OrderError(message)
        chosen, optimal = self._actions.number(action), self._optimal()
        # What cannot be recorded ends the episode: the environment has gone on.
        self._running = False
        observation, reward, terminated, truncated, info = _values(self.env.step(action), _STEP)
        words = self._words(observation)
        ends = (_flag("terminated", terminated), _flag("truncated", truncated))
        self._journal.step(chosen, optimal, _reward(reward), words, *ends)
        self._seen, self._info, self._running = observation, info, not any(ends)
        return observation, reward, terminated, truncated, info

    def close(self) -> None:
        """End the history, and close the environment."""
        self.end()
        super().close()

    def end(self) -> None:
        """End the history; the environment stays as it is."""
        self._running = False
        self._journal.close()

    def _optimal(self) -> int:
        """Give the number of the optimal action, -1 where it is unknown."""
        optimal: Any
        if self._optimal_action is not None:
            optimal = self._optimal_action(self._seen)
        else:
            optimal = self._info.get("optimal_action")
        if optimal is None:
            return -1
        try:
            return self._actions.number(optimal)
        except ArgumentError as problem:
            message = f"optimal_action: {problem}"
            raise ArgumentError(message) from problem


_RESET = ("observation", "info")
_STEP = ("observation", "reward", "terminated", "truncated", "info")


def _values(answer: Any, names: tuple[str, ...]) -> Any:  # noqa: ANN401 - of any environment
    """Give the answer of an environment, if it has so many values."""
    if (
        not isinstance(answer, tuple)
        or len(answer) != len(names)
        or not isinstance(answer[-1], dict)
    ):
        message = (
            f"env: answered {answer!r:.80}, expected {', '.join(names)}; the package shimmy makes "
            "such an environment of one of the old gym"
        )
        raise ArgumentError(message)
    return answer


#: How names of wrappers begin that agents put around an environment. Other wrappers of observations
#: may make them fit a model, and belong inside.
_OF_AGENTS = ("FrameStack", "Normalize")


def _check_environment(env: object) -> None:
    if isinstance(env, gymnasium.vector.VectorEnv):
        message = (
            "env: is a vector environment, whose steps are of several histories; record each of "
            "its environments: gymnasium.vector.SyncVectorEnv([lambda: "
            "algodistill.Recorder(make(), path, task=0), ...])"
        )
        raise ArgumentError(message)
    if any(one.__name__ == "VecEnv" for one in type(env).__mro__):
        message = (
            "env: is a VecEnv of stable_baselines3, whose steps are of several histories; record "
            "each of its environments, before it becomes one of them: "
            "DummyVecEnv([lambda: algodistill.Recorder(make(), path, task=0), ...])"
        )
        raise ArgumentError(message)
    if not isinstance(env, gymnasium.Env):
        message = (
            f"env: is {env!r:.80}, expected a gymnasium.Env, the environment itself and no "
            "callback; the package shimmy makes one of an environment of the old gym"
        )
        raise ArgumentError(message)
    inner: Any = env
    while inner is not None:
        if isinstance(inner, Recorder):
            message = "env: is recorded already; wrap it in one Recorder"
            raise ArgumentError(message)
        if type(inner).__name__ in ("Autoreset", "AutoResetWrapper"):
            message = (
                f"env: {type(inner).__name__} hides how episodes end; put the Recorder inside of it"
            )
            raise ArgumentError(message)
        name = type(inner).__name__
        if isinstance(inner, gymnasium.RewardWrapper) or name.startswith(_OF_AGENTS):
            message = (
                f"env: {name} changes rewards or observations, and would change what is recorded; "
                "put the Recorder inside of it"
            )
            raise ArgumentError(message)
        inner = inner.env if isinstance(inner, gymnasium.Wrapper) else None


def _flag(name: str, value: object) -> bool:
    """Give whether an episode is over; texts and None, which Python takes for either, are not."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biu" or array.item() not in (0, 1):
        message = f"{name}: is {value!r:.80}, expected True or False"
        raise ArgumentError(message)
    return bool(array)


def _reward(reward: SupportsFloat) -> float:
    # Python takes the text "1.0" for a number.
    if isinstance(reward, (str, bytes)):
        raise ArgumentError(_NO_NUMBER.format(reward))
    try:
        return float(reward)
    except (TypeError, ValueError) as problem:
        raise ArgumentError(_NO_NUMBER.format(reward)) from problem
    except OverflowError as problem:
        message = "reward: is too large, expected a finite number of 32 bits"
        raise ArgumentError(message) from problem


_NO_NUMBER = "reward: is {!r:.80}, expected a number"
