"""Wrong calls: each an error of this package that says what to do, after which all is as before."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import algodistill
from algodistill import Agent, AgentBatch

MODELS = Path(__file__).parents[2] / "models"
DARK_ROOM, SERVO, WATERMAZE, BANDIT = (
    MODELS / f"{name}.adw" for name in ("dark-room", "servo", "watermaze", "bandit")
)
HUGE = 10**400

#: Observations of two indices from 0 to 8, and what is said of them.
OBSERVATIONS = {
    "none": (None, "has 0 numbers, expected what the model sees: 0 to 8, 0 to 8"),
    "one number": (4, "has 1 numbers, expected"),
    "empty": ((), "has 0 numbers"),
    "three numbers": ((1, 2, 3), "has more than 2 numbers, expected"),
    "too large": ((1, 9), "[1] is 9, expected a whole number from 0 to 8"),
    "negative": ((-1, 2), "[0] is -1, expected a whole number from 0 to 8"),
    "huge": ((HUGE, 2), "expected a whole number from 0 to 8"),
    "beyond 64 bits": ((2**63, 2), "expected a whole number from 0 to 8"),
    "fraction": ((1, 2.5), "[1] is 2.5, expected a whole number from 0 to 8"),
    "float": ((1, 2.0), "[1] is 2, expected a whole number from 0 to 8"),
    "not a number": ((1, math.nan), "[1] is NaN"),
    "infinite": ((math.inf, 1), "[0] is inf"),
    "text": ("12", "has '12' in it"),
    "text inside": ((1, "2"), "has '2' in it"),
    "bytes": (b"\x01\x02", "in it, expected"),
    "dict": ({"row": 1, "column": 2}, "in it, expected"),
    "set": ({1, 2}, "in it, expected"),
    "object": (object(), "in it, expected"),
    "complex": ((1j, 2), "in it, expected"),
    "nothing inside": ((1, None), "has None in it"),
    "array of floats": (np.array([1.0, 2.0]), "[0] is 1, expected a whole number"),
    "array of three": (np.array([1, 2, 3]), "has more than 2 numbers"),
    "array of one": (np.array([1]), "has 1 numbers"),
    "array out of range": (np.array([1, 200], np.uint8), "[1] is 200"),
    "array of 64 bits": (np.array([1, 2**63], np.uint64), "expected a whole number from 0 to 8"),
    "array of texts": (np.array(["1", "2"]), "in it, expected"),
    "array of times": (np.array([1, 2], "datetime64[D]"), "in it, expected"),
    "array of objects": (np.array([1, None], object), "has None in it"),
    "empty array": (np.array([], int), "has 0 numbers"),
    "matrix": (np.ones((2, 2), int), "has more than 2 numbers"),
    "array of 32 dimensions": (np.zeros((1,) * 32, int), "has 1 numbers"),
    "nested too deep": ([[[[[[[[[[1, 2]]]]]]]]]], "nested more than 8 deep"),
}

if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
    most = np.zeros((1,) * 64, int)
    OBSERVATIONS["array of 64 dimensions"] = (most, "has 64 dimensions, expected what the model")

LOOP: list[Any] = []
LOOP.append(LOOP)


def deep() -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(5000):
        nested = {"size": nested}
    return nested


def unplayed_with(**wrong: object) -> Callable[[Path], object]:
    usual = {"tasks": [1], "episodes": 1, "progress": False}
    return lambda _f: algodistill.evaluate(DARK_ROOM, unplayed, **(usual | wrong))


#: Calls of an agent that awaits an observation.
BEFORE_ACT: dict[str, tuple[Callable[[Agent], object], str]] = {
    f"act, {name}": ((lambda agent, seen=seen: agent.act(seen)), said)
    for name, (seen, said) in OBSERVATIONS.items()
} | {
    "act, a list in itself": (lambda agent: agent.act(LOOP), "nested more than 8 deep"),
    "feedback first": (lambda agent: agent.feedback(0.0, False), "call act(observation) first"),
    "demonstrate, action 5": (lambda a: a.demonstrate((1, 2), 5), "action: is 5, expected"),
    "demonstrate, action -1": (lambda a: a.demonstrate((1, 2), -1), "action: is -1, expected"),
    "demonstrate, huge action": (lambda a: a.demonstrate((1, 2), HUGE), "action: is 1000"),
    "demonstrate, text": (lambda a: a.demonstrate((1, 2), "1"), "action: is '1', expected"),
    "demonstrate, fraction": (lambda a: a.demonstrate((1, 2), 1.5), "action: is 1.5, expected"),
    "demonstrate, out of range": (lambda a: a.demonstrate((1, 9), 1), "[1] is 9, expected"),
    "reset, negative seed": (lambda agent: agent.reset(-1), "seed: is -1, expected"),
    "reset, text": (lambda agent: agent.reset("now"), "seed: is 'now', expected"),
    "restore, nothing": (lambda agent: agent.restore(None), "snapshot: is None, expected"),
    "restore, text": (lambda agent: agent.restore("x"), "snapshot: is 'x', expected"),
    "restore, empty": (lambda agent: agent.restore(b""), "snapshot: has 0 bytes"),
    "restore, 3 bytes": (lambda agent: agent.restore(b"abc"), "snapshot: has 3 bytes"),
    "restore, zeros": (lambda agent: agent.restore(bytes(50_000)), "give what snapshot()"),
    "restore, cut off": (
        lambda agent: agent.restore(agent.snapshot()[:-1]),
        "snapshot: truncated: fewer bytes",
    ),
    "restore, damaged": (
        lambda agent: agent.restore(agent.snapshot()[:-9] + bytes(9)),
        "give what snapshot()",
    ),
    "restore, of another model": (
        lambda agent: agent.restore(Agent(BANDIT).snapshot()),
        "taken with another model: with the one of CRC-32 ",
    ),
}

#: Calls of an agent that has acted.
AFTER_ACT: dict[str, tuple[Callable[[Agent], object], str]] = {
    f"feedback, {name}": ((lambda agent, seen=seen: agent.feedback(0.0, True, seen)), said)
    for name, (seen, said) in OBSERVATIONS.items()
    if name != "none"
} | {
    "act again": (lambda agent: agent.act((1, 2)), "call feedback(reward, done, next_observation)"),
    "demonstrate": (lambda agent: agent.demonstrate((1, 2), 0), "call feedback(reward, done"),
    "reward NaN": (lambda agent: agent.feedback(math.nan, False), "reward: is NaN"),
    "reward huge": (lambda agent: agent.feedback(HUGE, False), "reward: is too large"),
    "reward None": (lambda agent: agent.feedback(None, False), "reward: is None, expected"),
    "reward text": (lambda agent: agent.feedback("1", False), "reward: is '1', expected"),
    "rewards": (lambda agent: agent.feedback([1.0], False), "reward: is [1.0], expected"),
    "reward complex": (lambda agent: agent.feedback(1j, False), "reward: is 1j, expected"),
    "done 1": (lambda agent: agent.feedback(0.0, 1), "done: is 1, expected True or False"),
    "done None": (lambda agent: agent.feedback(0.0, None), "done: is None, expected"),
    "done text": (lambda agent: agent.feedback(0.0, "no"), "done: is 'no', expected"),
    "dones": (lambda agent: agent.feedback(0.0, [True]), "done: is [True], expected"),
}


def act_on(agent: Agent) -> list[tuple[int, list[int]]]:
    found = []
    for step in range(20):
        found.append((agent.act((step % 9, 4)), agent.logits.tolist()))
        agent.feedback(step % 2, step % 5 == 4, (1, 2))
    return found


@pytest.mark.parametrize("name", BEFORE_ACT)
def test_an_agent_that_refused_an_observation_is_as_before(name: str) -> None:
    wrong, said = BEFORE_ACT[name]
    agent, other = Agent(DARK_ROOM, seed=3), Agent(DARK_ROOM, seed=3)
    act_on(agent)
    with pytest.raises(algodistill.Error) as error:
        wrong(agent)
    assert said in str(error.value)
    act_on(other)
    assert act_on(agent) == act_on(other)


@pytest.mark.parametrize("name", AFTER_ACT)
def test_an_agent_that_refused_feedback_is_as_before(name: str) -> None:
    wrong, said = AFTER_ACT[name]
    agent, other = Agent(DARK_ROOM, seed=3), Agent(DARK_ROOM, seed=3)
    agent.act((4, 4))
    with pytest.raises(algodistill.Error) as error:
        wrong(agent)
    assert said in str(error.value)
    other.act((4, 4))
    for one in (agent, other):
        one.feedback(1.0, True, (5, 5))
    assert act_on(agent) == act_on(other)


#: Observations of numbers and pictures.
OTHERS: dict[str, tuple[Path, Any, str]] = {
    "beyond 32 bits": (SERVO, [2**31, 0, 0, 0, 0], "is 2147483648, expected"),
    "numbers, NaN": (SERVO, np.array([math.nan] * 5, np.float32), "[0] is NaN, expected"),
    "numbers, infinite": (SERVO, [math.inf], "[0] is inf, expected"),
    "numbers, too many": (SERVO, np.zeros(200), "has more than"),
    "picture, one byte": (WATERMAZE, [1], "has 1 numbers, expected"),
    "picture, not a byte": (WATERMAZE, [256], "[0] is 256, expected a byte of a picture"),
    "picture of floats": (WATERMAZE, np.zeros((8, 16, 3)), "[0] is 0, expected a byte"),
    "picture turned round": (
        WATERMAZE,
        np.zeros((3, 8, 16), np.uint8),
        "has a picture of shape [3, 8, 16], expected [8, 16, 3] (height, width, colours)",
    ),
    "nothing is seen": (BANDIT, [1], "has more than 0 numbers, expected None or ()"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_numbers_and_pictures_are_refused_by_what_the_model_sees(name: str) -> None:
    model, observation, said = OTHERS[name]
    agent = Agent(model)
    with pytest.raises(algodistill.ArgumentError) as error:
        agent.act(observation)
    assert said in str(error.value)


def decision_transformer(folder: Path) -> Path:
    """Make a weights file whose card says that it must be asked for a return."""
    histories = algodistill.generate(
        folder / "room.parquet",
        tasks=4,
        held_out=1,
        histories_per_task=1,
        episodes=2,
        progress=False,
    )
    run = algodistill.train(
        histories,
        updates=1,
        objective="decision-transformer",
        layers=1,
        d_model=16,
        heads=1,
        d_ff=16,
        window=20,
        batch=2,
        progress=False,
    )
    return algodistill.export(run, folder / "decision.adw").path


def cut(folder: Path) -> Path:
    path = folder / "cut.adw"
    path.write_bytes(DARK_ROOM.read_bytes()[:1000])
    return path


def damaged(_folder: Path) -> bytes:
    content = bytearray(DARK_ROOM.read_bytes())
    content[5000] ^= 1
    return bytes(content)


#: What cannot be opened: made in a folder, and what is said.
FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda folder: folder / "none.adw", "none.adw"),
    "a folder": (lambda folder: folder, ""),
    "empty": (lambda _folder: b"", "truncated"),
    "cut off": (cut, "cut.adw: "),
    "damaged": (damaged, "CRC-32"),
    "another kind": (lambda folder: make(folder / "x.adw", b"PK" * 500), "expected a weights file"),
    "None": (lambda _folder: None, "model: is None, expected the path"),
    "a number": (lambda _folder: 7, "model: is 7, expected the path"),
    "a list": (lambda _folder: [DARK_ROOM], "expected the path of a weights file"),
    "a zero byte": (lambda _folder: "a\0b", "a\0b"),
    "a decision transformer": (decision_transformer, "is a Decision Transformer"),
}


def make(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", FILES)
def test_files_that_are_no_models_are_named(name: str, tmp_path: Path) -> None:
    wrong, said = FILES[name]
    model = wrong(tmp_path)
    for opened in (Agent, lambda model: AgentBatch(model, 2)):
        with pytest.raises(algodistill.Error) as error:
            opened(model)
        assert (said or str(tmp_path)) in str(error.value)


#: Arguments of a constructor, and what is said.
ARGUMENTS: dict[str, tuple[dict[str, Any], str]] = {
    "negative seed": ({"seed": -1}, "seed: is -1, expected a whole number from 0"),
    "huge seed": ({"seed": 2**64}, "seed: is 18446744073709551616, expected"),
    "a fraction of a seed": ({"seed": 1.5}, "seed: is 1.5, expected a whole number"),
    "a text of a seed": ({"seed": "7"}, "seed: is '7', expected a whole number"),
    "cold": ({"temperature": 0}, "expected .01 to 100; greedy=True"),
    "hot": ({"temperature": 101}, "temperature: is 101, expected .01 to 100"),
    "negative temperature": ({"temperature": -1.0}, "temperature: is -1, expected"),
    "temperature NaN": ({"temperature": math.nan}, "temperature: is NaN, expected"),
    "temperature in words": ({"temperature": "warm"}, "temperature: is 'warm', expected"),
    "greedy and warm": ({"greedy": True, "temperature": 1}, "give one of them"),
    "greedy 1": ({"greedy": 1}, "greedy: is 1, expected True or False"),
    "another space": (
        {"observation_space": gym.spaces.Discrete(16)},
        "is (0 to 15), but the model sees (0 to 8, 0 to 8)",
    ),
    "no space": ({"observation_space": 3}, "observation_space: observation is 3, expected"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_agents_say_what_they_may_be(name: str) -> None:
    wrong, said = ARGUMENTS[name]
    for make_agent in (Agent, lambda model, **more: AgentBatch(model, 2, **more)):
        with pytest.raises(algodistill.ArgumentError) as error:
            make_agent(DARK_ROOM, **wrong)
        assert said in str(error.value)


#: Calls of a batch of two contexts that awaits observations.
BATCH_BEFORE: dict[str, tuple[Callable[[AgentBatch], object], str]] = {
    "one observation": (lambda batch: batch.act([(1, 2)]), "has 1 items, expected one for each"),
    "a number": (lambda batch: batch.act(4), "observations: is 4, expected an item"),
    "the second is wrong": (lambda batch: batch.act([(1, 2), (1, 9)]), "observations[1]: [1] is 9"),
    "no words": (lambda batch: batch.act([1, 2]), "observations[0]: has 1 numbers"),
    "feedback first": (lambda batch: batch.feedback([0, 0], [False] * 2), "context 0: feedback"),
    "reset of none": (lambda batch: batch.reset([2]), "contexts: is 2, expected"),
    "reset of a number": (lambda batch: batch.reset(1), "contexts: is 1, expected a list"),
    "reset of texts": (lambda batch: batch.reset(["a"]), "contexts: is 'a', expected"),
}

BATCH_AFTER: dict[str, tuple[Callable[[AgentBatch], object], str]] = {
    "act again": (lambda batch: batch.act([(1, 2)] * 2), "context 0: act was called again"),
    "one reward": (lambda batch: batch.feedback([0.0], [False] * 2), "rewards: has 1 items"),
    "one done": (lambda batch: batch.feedback([0.0] * 2, [False]), "dones: has 1 items"),
    "a number": (lambda batch: batch.feedback(0.0, [False] * 2), "rewards: is 0.0, expected"),
    "reward NaN": (lambda b: b.feedback([0, math.nan], [False] * 2), "rewards: [1] is NaN"),
    "reward text": (lambda b: b.feedback([0, "x"], [False] * 2), "reward: is 'x', expected"),
    "done 1": (lambda batch: batch.feedback([0, 0], [False, 1]), "dones: is 1, expected"),
    "next, too few": (
        lambda batch: batch.feedback([0, 0], [False] * 2, [(1, 2)]),
        "next_observations: has 1 items",
    ),
    "next, wrong": (
        lambda batch: batch.feedback([0, 0], [False, True], [None, (1, 9)]),
        "next_observations[1]: [1] is 9",
    ),
}


@pytest.mark.parametrize("name", [*BATCH_BEFORE, *(f"after, {name}" for name in BATCH_AFTER)])
def test_a_batch_that_refused_a_call_is_as_before(name: str) -> None:
    after = name.startswith("after, ")
    wrong, said = BATCH_AFTER[name[7:]] if after else BATCH_BEFORE[name]
    batch, other = AgentBatch(DARK_ROOM, 2), AgentBatch(DARK_ROOM, 2)
    seen = [(1, 2), (3, 4)]
    if after:
        for one in (batch, other):
            one.act(seen)
    with pytest.raises(algodistill.Error) as error:
        wrong(batch)
    assert said in str(error.value)
    for one in (batch, other):
        if after:
            one.feedback([1.0, 0.0], [False, True], seen)
        one.act(seen)
    assert batch.logits.tolist() == other.logits.tolist()
    assert batch.snapshots() == other.snapshots()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"contexts": 0}, "contexts: is 0, expected a whole number from 1"),
        ({"contexts": HUGE}, "contexts: is 1000"),
        ({"contexts": "2"}, "contexts: is '2', expected a whole number"),
        ({"contexts": 2, "threads": 0}, "threads: is 0, expected"),
    ],
)
def test_a_batch_has_contexts_and_threads(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(algodistill.ArgumentError) as error:
        AgentBatch(DARK_ROOM, **wrong)
    assert said in str(error.value)


def room(_task: int) -> gym.Env:
    return gym.make("algodistill/DarkRoom-v0", task=3)


#: Calls of functions, in a folder with `room.parquet` in it.
CALLS: dict[str, tuple[Callable[[Path], object], str]] = {
    "generate, unknown word": (
        lambda f: algodistill.generate(f / "x.parquet", histories=3),
        "histories: is not a parameter of learning histories; it has ",
    ),
    "generate, unknown environment": (
        lambda f: algodistill.generate(f / "x.parquet", "moon"),
        "known are dark-room",
    ),
    "generate, unknown parameter": (
        lambda f: algodistill.generate(f / "x.parquet", parameters={"arms": 3}),
        "environment.arms: is not a parameter of dark-room",
    ),
    "generate, wrong type": (
        lambda f: algodistill.generate(f / "x.parquet", tasks="all"),
        'tasks: is "all", expected a whole number',
    ),
    "generate, negative": (
        lambda f: algodistill.generate(f / "x.parquet", episodes=-1),
        "episodes: is -1, expected a whole number",
    ),
    "generate, NaN": (
        lambda f: algodistill.generate(f / "x.parquet", tasks=math.nan),
        "tasks: is nan, expected finite numbers",
    ),
    "generate, an object": (
        lambda f: algodistill.generate(f / "x.parquet", tasks=object()),
        "expected finite numbers, texts, or lists",
    ),
    "generate, no path": (lambda _f: algodistill.generate(3), "out: is 3, expected a path"),
    "generate, another name": (lambda f: algodistill.generate(f / "x.csv"), "x.csv"),
    "generate, threads": (
        lambda f: algodistill.generate(f / "x.parquet", threads=0),
        "threads: is 0, expected 1 to 1024",
    ),
    "generate, over a file of others": (
        lambda f: algodistill.generate(make(f / "mine.parquet", b"mine")),
        "it is not replaced",
    ),
    "train, unknown word": (
        lambda f: algodistill.train(f / "room.parquet", rate=1),
        "rate: is not a parameter of the training configuration; it has ",
    ),
    "train, out of range": (
        lambda f: algodistill.train(f / "room.parquet", learning_rate=3.0),
        "learning_rate: is 3, must be above 0 and at most 1",
    ),
    "train, wrong type": (
        lambda f: algodistill.train(f / "room.parquet", updates="many"),
        'updates: is "many", expected a whole number',
    ),
    "train, missing": (lambda f: algodistill.train(f / "none.parquet"), "none.parquet"),
    "train, no histories": (lambda _f: algodistill.train([]), "histories: is empty"),
    "train, a number": (lambda _f: algodistill.train(3), "histories: is 3, expected a path"),
    "train, without a card": (
        lambda f: algodistill.train(make(f / "mine.parquet", b"PAR1")),
        "has no card beside it",
    ),
    "train, no Parquet": (
        lambda f: algodistill.train(make_card(f)),
        "mine.card.json: is not a card",
    ),
    "train, in a file": (
        lambda f: algodistill.train(f / "room.parquet", make(f / "run", b""), updates=1),
        "run",
    ),
    "train, memory": (
        lambda f: algodistill.train(f / "room.parquet", observation_memory=-1),
        "observation_memory: is -1, expected",
    ),
    "train, no configuration": (
        lambda f: algodistill.train(f / "room.parquet", config=f / "none.toml"),
        "none.toml",
    ),
    "export, no run": (
        lambda f: algodistill.export(f / "none", f / "x.adw", histories=f / "room.parquet"),
        "none",
    ),
    "export, another name": (
        lambda f: algodistill.export(f / "none", f / "x.bin", histories=f / "room.parquet"),
        "expected a name that ends in .adw",
    ),
    "inspect, missing": (lambda f: algodistill.inspect(f / "none.adw"), "none.adw"),
    "inspect, damaged": (lambda f: algodistill.inspect(cut(f)), "cut.adw"),
    "reproduce, unknown": (lambda f: algodistill.reproduce("moon", f), "known are quickstart"),
    "reproduce, missing": (lambda f: algodistill.reproduce(f / "x.toml", f), "x.toml"),
    "reproduce, scale": (
        lambda f: algodistill.reproduce("quickstart", f, scale="tiny"),
        'scale: is "tiny", expected "full", "small" or "toy"',
    ),
    "evaluate, no model": (lambda _f: algodistill.evaluate([], room), "model: is empty"),
    "evaluate, missing": (
        lambda f: algodistill.evaluate(f / "none.adw", room, tasks=[1]),
        "none.adw",
    ),
    "evaluate, no tasks": (
        lambda _f: algodistill.evaluate(DARK_ROOM, room),
        "tasks: is None, expected",
    ),
    "evaluate, empty tasks": (
        lambda _f: algodistill.evaluate(DARK_ROOM, room, tasks=[]),
        "expected a list with at least one task",
    ),
    "evaluate, no runs": (
        lambda _f: algodistill.evaluate(DARK_ROOM, room, tasks=[1], runs=0),
        "runs: is 0, expected 1 to 1000000",
    ),
    "evaluate, seed": (
        lambda _f: algodistill.evaluate(DARK_ROOM, room, tasks=[1], seed=-1),
        "seed: is -1, expected 0 to",
    ),
    "evaluate, unknown word": (
        lambda _f: algodistill.evaluate(DARK_ROOM, room, tasks=[1], episode=3),
        "episode: is an argument of an evaluation with no make_env; leave it out",
    ),
    "evaluate, unknown word here": (
        lambda _f: algodistill.evaluate(DARK_ROOM, episode=3),
        "episode: is not a parameter of an evaluation; it has ",
    ),
    "evaluate, no environment": (
        lambda _f: algodistill.evaluate(DARK_ROOM, lambda _task: 3, tasks=[1]),
        "expected a gymnasium.Env",
    ),
    "evaluate, vector environment": (
        lambda _f: algodistill.evaluate(DARK_ROOM, vector, tasks=[1]),
        "gave a vector environment",
    ),
    "evaluate, name of a line": (
        lambda _f: algodistill.evaluate(
            DARK_ROOM, unplayed, tasks=[1], episodes=1, others={"a b": DARK_ROOM}
        ),
        "expected letters, digits",
    ),
    "evaluate, two lines of one name": (
        lambda _f: algodistill.evaluate(
            DARK_ROOM, unplayed, tasks=[1], episodes=1, others={"int8": DARK_ROOM}
        ),
        "there are two lines called int8",
    ),
    "evaluate, optima": (
        lambda _f: algodistill.evaluate(
            DARK_ROOM, unplayed, tasks=[1], episodes=1, optimal=[1.0, 2.0]
        ),
        "optimal: has 2 returns",
    ),
    "evaluate, optima that are texts": (
        unplayed_with(optimal=["a"]),
        "optimal: is ['a'], expected",
    ),
    "evaluate, held out": (unplayed_with(held_out="yes"), "held_out: is 'yes', expected True or"),
    "evaluate, nameless": (unplayed_with(others={1: DARK_ROOM}), "others: is {1: "),
    "evaluate, a list of others": (unplayed_with(others=[DARK_ROOM]), "others: is ["),
    "evaluate, others here": (
        lambda _f: algodistill.evaluate(DARK_ROOM, others=[DARK_ROOM]),
        "others: is [",
    ),
    "evaluate, an episode": (unplayed_with(mean_over=3), "mean_over: is 3, expected"),
    "evaluate, before the first": (unplayed_with(mean_over=(-1, 2)), "mean_over: is -1, expected"),
    "evaluate, three ends": (unplayed_with(mean_over=(1, 2, 3)), "mean_over: is (1, 2, 3)"),
    "evaluate, half a task": (unplayed_with(tasks=2.5), "tasks: is 2.5, expected a list"),
    "evaluate, a number of tasks": (unplayed_with(tasks=np.int64(2)), "expected a list"),
    "evaluate, tasks that ran out": (unplayed_with(tasks=iter(())), "expected a list"),
    "evaluate, steps here": (
        lambda _f: algodistill.evaluate(DARK_ROOM, max_episode_steps=7),
        "max_episode_steps: is an argument of an evaluation with make_env; leave it out",
    ),
    "train, resume": (
        lambda f: algodistill.train(f / "room.parquet", resume="x"),
        "resume: is 'x', expected True or False",
    ),
    "generate, too deep": (
        lambda f: algodistill.generate(f / "mine", parameters=deep()),
        "parameters: is nested too deep",
    ),
    "evaluate, optima here": (
        lambda _f: algodistill.evaluate(DARK_ROOM, optimal=[16.0]),
        "optimal: is an argument of an evaluation with make_env; leave it out",
    ),
    "evaluate, summary": (
        lambda _f: algodistill.evaluate(
            DARK_ROOM, unplayed, tasks=[1], episodes=1, mean_over=(2, 3)
        ),
        "mean_over: is 2-3",
    ),
}


def unplayed(_task: int) -> gym.Env:
    pytest.fail("it was refused after the environment was made")


def vector(task: int) -> gym.vector.VectorEnv:
    return gym.vector.SyncVectorEnv([lambda: room(task)] * 2)


def make_card(folder: Path) -> Path:
    make(folder / "mine.card.json", json.dumps({}).encode())
    return make(folder / "mine.parquet", b"PAR1")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("recorded") / "room.parquet"
    return algodistill.generate(
        out, tasks=4, held_out=1, histories_per_task=1, episodes=2, progress=False
    ).path


@pytest.mark.parametrize("name", CALLS)
def test_wrong_calls_say_what_to_do_and_write_nothing(
    name: str, tmp_path: Path, recorded: Path
) -> None:
    for path in (recorded, recorded.with_suffix(".card.json")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    wrong, said = CALLS[name]
    with pytest.raises(algodistill.Error) as error:
        wrong(tmp_path)
    assert said in str(error.value)
    made = {path.name for path in tmp_path.iterdir()} - {"room.parquet", "room.card.json"}
    assert made <= {"mine.parquet", "mine.card.json", "run", "cut.adw"}, made
