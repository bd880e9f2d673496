"""FrozenLake: a model that learns new maps in context, from a tabular learner's histories.

A Q-learner of twenty lines learns random 4x4 maps from nothing, and a `Recorder` writes down each
step. A small transformer is trained on these histories, quantized to int8, and meets maps that it
has never seen: it falls into the holes at first and, with fixed weights, learns to cross the lake.
No two maps are equal: neither two that it was trained on, nor one of them and one that it meets.

    python frozen_lake.py            # a minute or two on two cores
    python frozen_lake.py --quick    # as CI runs it: fewer updates
"""

from __future__ import annotations

import argparse
import itertools
import random
import time
from pathlib import Path

import gymnasium as gym
import numpy as np
from gymnasium.envs.toy_text.frozen_lake import generate_random_map

import algodistill

EPISODES = 30


def distinct_maps(count: int) -> list[tuple[str, ...]]:
    """Draw maps until so many are different: small random maps are often equal."""
    found: dict[tuple[str, ...], None] = {}
    for seed in itertools.count():
        if len(found) == count:
            break
        found[tuple(generate_random_map(size=4, seed=seed))] = None
    maps = list(found)
    # The frequent ones came first.
    random.Random(0).shuffle(maps)  # noqa: S311 - no secret
    return maps


MAPS = distinct_maps(320)
TRAINING_MAPS = range(220)
HELD_OUT_MAPS = range(220, 320)


def make_env(number: int) -> gym.Env[int, int]:
    """Make the lake with this number."""
    return gym.make("FrozenLake-v1", desc=list(MAPS[number]), is_slippery=False)


class QLearner:
    """Tabular Q-learning that hopes for the best wherever it has not been."""

    def __init__(self, seed: int) -> None:
        """Know nothing."""
        self.values = 1 + 0.001 * np.random.default_rng(seed).random((16, 4))
        self.step = (0, 0)

    def act(self, state: int, /) -> int:
        """Take the action that promises most."""
        self.step = (state, int(self.values[state].argmax()))
        return self.step[1]

    def feedback(self, reward: float, done: bool, state: int, /) -> None:  # noqa: FBT001
        """Learn what the action brought."""
        self.values[self.step] = reward if done else 0.9 * self.values[state].max()


def record(folder: Path, learners: int) -> Path:
    """Let `learners` learn each training map, one after the other, and write down how."""
    histories = folder / "lake.parquet"
    if histories.exists():
        return histories
    for number in TRAINING_MAPS:
        lake = make_env(number)
        for place in range(learners):
            env = algodistill.Recorder(lake, histories, task=number)
            learner = QLearner(seed=learners * number + place)
            for _ in range(EPISODES):
                state, _ = env.reset()
                done = False
                while not done:
                    state, reward, terminated, truncated, _ = env.step(learner.act(state))
                    done = terminated or truncated
                    learner.feedback(float(reward), done, state)
            env.end()
    algodistill.merge(histories, held_out=10)
    return histories


def main() -> None:
    """Record, train, export, evaluate, plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer histories and updates")
    parser.add_argument("--out", type=Path, default=Path("runs/frozen-lake"), help="folder")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()

    histories = record(options.out, learners=2 if options.quick else 5)
    run = algodistill.train(histories, updates=500 if options.quick else 1200)
    model = algodistill.export(run, options.out / "lake.adw").path

    report = algodistill.evaluate(
        model,
        make_env,
        tasks=HELD_OUT_MAPS,
        episodes=EPISODES,
        runs=2 if options.quick else 4,
        held_out=True,
        others={"q-learning": lambda _number, seed: QLearner(seed)},
    )
    print(report)
    print(*report.save(options.out), sep="\n")
    first, last = report.curves["int8"][[0, -1]]
    seconds = time.perf_counter() - began
    print(f"held-out maps solved: {first:.2f} in the first episode, {last:.2f} in the last one")
    print(f"from nothing in {seconds:.0f} s")


if __name__ == "__main__":
    main()
