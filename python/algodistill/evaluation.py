"""Models in context, in any environment of gymnasium: `evaluate`.

A *context* is one learner with an empty memory on one task, over several episodes. Nothing is
trained here: what improves from episode to episode was learned in context.
"""

from __future__ import annotations

import random as random_numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from algodistill import _native
from algodistill._native import Agent
from algodistill.errors import ArgumentError, EnvironmentFailedError, Error
from algodistill.recordings import number
from algodistill.report import Report
from algodistill.spaces import ActionSpace, ObservationSpace
from algodistill.training import StrPath, count, in_json, one_path, threads_of

Models = StrPath | Sequence[StrPath]

_HIGHEST_SEED = (1 << 64) - 1
#: Most steps of an episode, unless told.
_MOST_STEPS = 10_000
#: What a sum of rewards can be: a float of 32 bits.
_LARGEST_RETURN = float(np.finfo(np.float32).max)


class Policy(Protocol):
    """Whoever acts in one context; an `Agent` is one."""

    def act(self, observation: Any, /) -> int:  # noqa: ANN401 - whatever the environment shows
        """Choose an action of the environment."""

    def feedback(self, reward: float, done: bool, next_observation: Any, /) -> None:  # noqa: ANN401, FBT001
        """Say what it brought; `done` is `terminated or truncated`."""


MakePolicy = Callable[[Any, int], Policy]
"""Makes the policy of a context, of its task and a seed."""


def evaluate(  # noqa: PLR0913 - one argument for each choice
    model: Models,
    make_env: Callable[[Any], Any] | None = None,
    *,
    tasks: Sequence[Any] | int | None = None,
    episodes: int | None = None,
    runs: int | None = None,
    seed: int = 0,
    greedy: bool = False,
    temperature: float | None = None,
    random: bool = True,
    others: Mapping[str, Models | MakePolicy] | None = None,
    optimal: Sequence[float] | None = None,
    mean_over: tuple[int, int] | None = None,
    held_out: bool = False,
    max_episode_steps: int = _MOST_STEPS,
    threads: int | None = None,
    progress: bool = True,
    **fields: Any,  # noqa: ANN401 - words of the TOML, checked in Rust
) -> Report:
    """Let models learn tasks in context, and report the return of every episode.

    `model` is a weights file (.adw), or several that are training seeds of one configuration.
    `make_env(task)` makes the environment of each of `tasks`; `others` are further lines of the
    chart: weights files, or functions that make a policy for a task and a seed. `random` adds
    uniform random actions. `optimal` is the best expected return of each task, where it is known;
    `held_out` says that the models were not trained on these tasks, which the report repeats.

    Without `make_env` the environment is the built-in one that the model was trained in (or
    `environment=`), and `tasks` the number of its held-out tasks; other keyword arguments are then
    those of an [[evaluations]] table: `steps`, `prompt`, `wanted_return`, `parameters`, ...
    """
    models = _paths("model", model)
    if make_env is None:
        _only(
            "make_env",
            optimal=optimal,
            held_out=held_out or None,
            random=None if random else 0,
            max_episode_steps=None if max_episode_steps == _MOST_STEPS else max_episode_steps,
        )
        here = {"tasks": tasks, "episodes": episodes, "runs": runs, "seed": seed, **fields}
        here |= {"mean_over": mean_over, "temperature": 0 if greedy else temperature}
        named = [(key, _paths(f"others[{key!r}]", other)) for key, other in _named(others)]
        workers = threads_of(threads)
        return Report(_native.evaluate_here(models, named, in_json(here), workers, progress))
    _only("no make_env", threads=threads, **fields)
    if not isinstance(held_out, (bool, np.bool_)):
        msg = f"held_out: is {held_out!r:.80}, expected True or False"
        raise ArgumentError(msg)
    plan = _Plan(
        make_env=make_env,
        tasks=_items("tasks", tasks, "a list with at least one task, what make_env takes"),
        runs=count("runs", 4 if runs is None else runs, 1_000_000),
        episodes=count("episodes", 40 if episodes is None else episodes, 100_000),
        seed=number("seed", seed, _HIGHEST_SEED),
        steps=count("max_episode_steps", max_episode_steps, 2**31),
    )
    sampling: dict[str, Any] = {"greedy": greedy, "temperature": temperature}
    lines = [_Line("int8", models, **sampling)]
    lines += [_line(key, other, sampling) for key, other in _named(others)]
    if random:
        lines.append(_Line("random"))
    optima = None if optimal is None else _returns(optimal)
    between = None if mean_over is None else _between(mean_over)
    described = "greedy" if greedy else f"temperature {1 if temperature is None else temperature:g}"

    def told(name: str, found: Callable[[_Line], list[_Found]]) -> Report:
        return Report(
            _native.measured(
                name,
                [str(task) for task in plan.tasks],
                held_out,
                optima,
                between,
                plan.seed,
                described,
                [(line.key, line.agents, found(line)) for line in lines],
            )
        )

    # What cannot be told should not be played first.
    told("", lambda line: [plan.nothing()] * len(line.found))
    name = _measure(plan, lines, bar=progress)
    return told(name, lambda line: line.found)


def _only(needed: str, **arguments: object) -> None:
    """Refuse arguments that another kind of evaluation has."""
    for name, value in arguments.items():
        if value is not None:
            msg = f"{name}: is an argument of an evaluation with {needed}; leave it out"
            raise ArgumentError(msg)


#: Returns and steps by task, run and episode.
_Found = tuple[list[list[list[float]]], list[list[list[int]]]]


@dataclass(frozen=True)
class _Plan:
    """What every line of the chart does."""

    make_env: Callable[[Any], Any]
    tasks: list[Any]
    runs: int
    episodes: int
    seed: int
    #: Most steps of an episode.
    steps: int

    def seeds(self, task: int, run: int) -> tuple[int, int]:
        """Seed the environment and the policy of a context, the same for every line."""
        drawn = np.random.SeedSequence((self.seed, task, run)).generate_state(2)
        return int(drawn[0]), int(drawn[1])

    def nothing(self) -> _Found:
        """Give what is measured before anything is, in one run."""
        returns, steps = [[0.0] * self.episodes], [[0] * self.episodes]
        return [returns] * len(self.tasks), [steps] * len(self.tasks)


class _Line:
    """A line of the chart: models, a policy of somebody else, or chance."""

    def __init__(
        self,
        key: str,
        models: Sequence[str] = (),
        make_policy: MakePolicy | None = None,
        **sampling: Any,  # noqa: ANN401 - as of an Agent
    ) -> None:
        self.key = key
        self.make_policy = make_policy
        self.sampling = sampling
        self.agents = [Agent(path, **sampling) for path in models]
        #: Of each model.
        self.found: list[_Found] = [([], []) for _ in range(max(len(self.agents), 1))]


class _Random:
    """Uniform random actions."""

    def __init__(self, actions: ActionSpace, seed: int) -> None:
        self.actions = range(actions.start, actions.start + actions.actions)
        self.choice = random_numbers.Random(seed).choice  # noqa: S311 - no secret

    def act(self, _observation: object, /) -> int:
        return self.choice(self.actions)

    def feedback(self, _reward: float, _done: bool, _observation: object, /) -> None:  # noqa: FBT001
        pass


def _measure(plan: _Plan, lines: list[_Line], *, bar: bool) -> str:
    """Play every context of every line; the name of the environment."""
    contexts = plan.runs * sum(len(line.found) for line in lines)
    shown = _native.ProgressBar("evaluate", contexts * len(plan.tasks)) if bar else None
    name = ""
    for place in range(len(plan.tasks)):
        world = _World(plan, place)
        name = name or world.name
        try:
            for line in lines:
                world.play(line)
                if shown is not None:
                    message = f"task {place + 1} of {len(plan.tasks)}"
                    shown.advance(plan.runs * len(line.found), message)
        finally:
            world.env.close()
    if shown is not None:
        shown.finish(f"{len(plan.tasks)} tasks, {plan.runs} runs of {plan.episodes} episodes")
    return name


class _World:
    """The environment of one task."""

    def __init__(self, plan: _Plan, place: int) -> None:
        self.plan = plan
        self.place = place
        self.task = task = plan.tasks[place]
        try:
            self.env = env = plan.make_env(task)
        except Exception as problem:
            msg = f"make_env({task!r}) failed: {type(problem).__name__}: {problem}"
            raise EnvironmentFailedError(msg) from problem
        for method in ("reset", "step", "close", "observation_space", "action_space"):
            if not hasattr(env, method):
                msg = f"make_env: gave {type(env)}, which has no {method}; expected a gymnasium.Env"
                raise ArgumentError(msg)
        # Wrappers pass on what they are asked for, some with a warning: the class is what it is.
        if any(kind.__name__ == "VectorEnv" for kind in type(env).__mro__):
            msg = "make_env: gave a vector environment, expected what gymnasium.make gives"
            raise ArgumentError(msg)
        self.space = ObservationSpace(env.observation_space)
        self.actions = ActionSpace(env.action_space)
        spec = getattr(env, "spec", None)
        self.name = str(getattr(spec, "id", None) or type(getattr(env, "unwrapped", env)).__name__)

    def play(self, line: _Line) -> None:
        """Play the contexts of a line."""
        for place, (returns, steps) in enumerate(line.found):
            agent = self.agent(line, line.agents[place]) if line.agents else None
            contexts = [self.context(line, agent, run) for run in range(self.plan.runs)]
            returns.append([context[0] for context in contexts])
            steps.append([context[1] for context in contexts])

    def agent(self, line: _Line, agent: Agent) -> Agent:
        """Make an agent that knows the space; refuse a model that cannot act here."""
        if agent.channels != self.space.channels or agent.actions != self.actions.actions:
            msg = (
                f"model: {agent.model} sees {agent.channels} and has {agent.actions} actions, but "
                f"make_env({self.task!r}) shows {self.space.channels} and has "
                f"{self.actions.actions}; give a model that was trained on histories of this "
                "environment"
            )
            raise ArgumentError(msg)
        return Agent(agent.model, observation_space=self.env.observation_space, **line.sampling)

    def policy(self, line: _Line, agent: Agent | None, seed: int) -> Policy:
        """Make the policy of a context, with an empty memory."""
        if agent is not None:
            agent.reset(seed=seed)
            return agent
        if line.make_policy is not None:
            return line.make_policy(self.task, seed)
        return _Random(self.actions, seed)

    def context(self, line: _Line, agent: Agent | None, run: int) -> tuple[list[float], list[int]]:
        """Play one context: the return and the steps of each episode."""
        env_seed, policy_seed = self.plan.seeds(self.place, run)
        # The action 0 of a model is the first of the environment.
        first = 0 if agent is None else self.actions.start
        returns: list[float] = []
        steps: list[int] = []
        try:
            policy = self.policy(line, agent, policy_seed)
            for episode in range(self.plan.episodes):
                steps.append(0)
                returns.append(self.episode(policy, first, None if episode else env_seed, steps))
        except Exception as problem:
            place = f"{line.key}, task {self.task!r}, run {run}, episode {len(returns)}"
            place += f", step {steps[-1] if steps else 0}"
            if isinstance(problem, Error):
                msg = f"{place}: {problem}"
                raise type(problem)(msg) from problem
            what = f"{type(problem).__name__}: {problem}"
            msg = f"{place}: the environment, or the policy, failed: {what}"
            raise EnvironmentFailedError(msg) from problem
        return returns, steps

    def episode(self, policy: Policy, first: int, seed: int | None, steps: list[int]) -> float:
        """Play one episode: its return; the last of `steps` is that of its steps, at any time."""
        # Looked up once: this is the loop that takes the time.
        act, feedback, take = policy.act, policy.feedback, self.env.step
        observation, _ = self.env.reset(seed=seed)
        total = 0.0
        for step in range(1, self.plan.steps + 1):
            steps[-1] = step
            observation, reward, terminated, truncated, _ = take(act(observation) + first)
            total += reward
            done = terminated or truncated
            feedback(reward, done, observation)
            if not -_LARGEST_RETURN <= total <= _LARGEST_RETURN:
                msg = f"reward: is {reward!r}, and the return {total!r}, beyond a float of 32 bits"
                raise ArgumentError(msg)
            if done:
                return float(total)
        msg = (
            f"the episode has not ended after {self.plan.steps} steps; wrap the environment in "
            "gymnasium.wrappers.TimeLimit, or give max_episode_steps"
        )
        raise EnvironmentFailedError(msg)


def _items(argument: str, given: object, expected: str) -> list[Any]:
    """Return the items of a list that is not empty."""
    is_text = isinstance(given, (str, bytes))
    found = list(given) if isinstance(given, Iterable) and not is_text else []
    if not found:
        msg = f"{argument}: is {given!r:.80}, expected {expected}"
        raise ArgumentError(msg)
    return found


def _returns(optimal: object) -> list[float]:
    """Return the best expected returns of the tasks."""
    expected = "a list of numbers, one for each task"
    try:
        return [float(value) for value in _items("optimal", optimal, expected)]
    except (TypeError, ValueError, OverflowError) as problem:
        msg = f"optimal: is {optimal!r:.80}, expected {expected}"
        raise ArgumentError(msg) from problem


def _between(mean_over: object) -> tuple[int, int]:
    """Return the first and the last of some episodes."""
    expected = "the first and the last episode of the mean, as (1, 10)"
    ends = [count("mean_over", end, 100_000) for end in _items("mean_over", mean_over, expected)]
    if len(ends) != 2:  # noqa: PLR2004 - the two ends
        msg = f"mean_over: is {mean_over!r:.80}, expected {expected}"
        raise ArgumentError(msg)
    return ends[0], ends[1]


def _named(others: object) -> list[tuple[str, Any]]:
    """Return the names and learners of `others`."""
    if others is None:
        return []
    if not isinstance(others, Mapping) or not all(isinstance(name, str) for name in others):
        msg = f"others: is {others!r:.80}, expected a dict from names to weights files or functions"
        raise ArgumentError(msg)
    return list(others.items())


def _line(key: str, other: Models | MakePolicy, sampling: Mapping[str, Any]) -> _Line:
    """Make the line of one of `others`."""
    if callable(other):
        return _Line(key, make_policy=other, **sampling)
    return _Line(key, _paths(f"others[{key!r}]", other), **sampling)


def _paths(argument: str, models: object) -> list[str]:
    """Return the paths of one weights file, or of several."""
    several = isinstance(models, Sequence) and not isinstance(models, (str, bytes))
    items: Sequence[object] = models if several else [models]  # type: ignore[assignment]
    if not items:
        msg = f"{argument}: is empty, expected at least one weights file (.adw)"
        raise ArgumentError(msg)
    return [one_path(argument, item) for item in items]
