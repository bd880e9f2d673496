"""A DQN of stable-baselines3 learns random frozen lakes, and is recorded.

Two lines are new in a program that trains a DQN: the import, and the one with Recorder.
"""

import argparse
from pathlib import Path

import gymnasium as gym
from gymnasium.envs.toy_text.frozen_lake import generate_random_map
from stable_baselines3 import DQN

import algodistill

EPISODES = 30


def learn(task: int, path: Path, steps: int) -> None:
    """Train a DQN on the map of a task."""
    desc = generate_random_map(size=4, p=0.85, seed=task)
    env = gym.make("FrozenLake-v1", desc=desc, is_slippery=False, max_episode_steps=30)
    env = algodistill.Recorder(env, path, task=task)
    model = DQN(
        "MlpPolicy",
        env,
        learning_rate=2e-3,
        learning_starts=200,
        train_freq=2,
        gamma=0.95,
        target_update_interval=100,
        exploration_fraction=0.6,
        exploration_final_eps=0.02,
        policy_kwargs={"net_arch": [32]},
        seed=task,
        device="cpu",
    )
    model.learn(steps)
    env.close()


def main() -> None:
    """Record some tasks, and show how the DQN improved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("dqn.parquet"))
    parser.add_argument("--tasks", type=int, default=4)
    parser.add_argument("--steps", type=int, default=4000)
    asked = parser.parse_args()
    for task in range(asked.tasks):
        learn(task, asked.out, asked.steps)
    steps = algodistill.to_pandas(asked.out)
    returns = steps.groupby(["task_id", "episode"])["reward"].sum()
    for task, episodes in returns.groupby("task_id"):
        first, last = episodes.head(EPISODES).mean(), episodes.tail(EPISODES).mean()
        print(f"task {task}: {first:.0%} of its first {EPISODES} episodes are solved, ", end="")
        print(f"{last:.0%} of its last")


if __name__ == "__main__":
    main()
