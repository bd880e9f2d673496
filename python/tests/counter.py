"""An environment of which every step is known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium import spaces

import algodistill

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Counter(gym.Env[Any, Any]):
    """Counts its steps and shows them as `show` says; an episode has `length` of them."""

    def __init__(
        self,
        observation_space: gym.Space[Any] | None = None,
        show: Callable[[int], Any] = int,
        *,
        length: int = 3,
        truncate: bool = False,
        step: Callable[[int], tuple[Any, ...]] | None = None,
    ) -> None:
        """Make it; `step` answers in its place, given the number of the step."""
        self.observation_space = observation_space or spaces.Discrete(100)
        self.action_space = spaces.Discrete(4)
        self.show, self.length, self.truncate, self.answer = show, length, truncate, step
        self.count = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin at 0."""
        super().reset(seed=seed, options=options)
        self.count = 0
        return self.show(0), {}

    def step(self, action: Any) -> tuple[Any, ...]:  # type: ignore[override]
        """Count; half of the action is the reward."""
        self.count += 1
        if self.answer is not None:
            return self.answer(self.count)
        ended = self.count == self.length
        return self.show(self.count), action / 2, ended and not self.truncate, ended, {}


def play(env: gym.Env[Any, Any], episodes: int = 2) -> None:
    """Play episodes; the action is the number of the step."""
    for _ in range(episodes):
        env.reset()
        ended, number = False, 0
        while not ended:
            _, _, terminated, truncated, _ = env.step(number % 4)
            ended, number = terminated or truncated, number + 1


def record(path: Path, task: int = 0, episodes: int = 2, **about: Any) -> None:
    """Record a history of the counter."""
    with algodistill.Recorder(Counter(), path, task=task, **about) as env:
        play(env, episodes)
