"""The agent does what the device does, whatever an observation is made of."""

import copy
import json
import pickle
import subprocess
import sysconfig
import zlib
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import algodistill
from algodistill.environments import CoreEnvironment

REPOSITORY = Path(__file__).parents[2]
MODELS = REPOSITORY / "models"
DARK_ROOM = MODELS / "dark-room.adw"
#: Preset of the environment, and what differs from it, that each model was trained in.
TRAINED_IN = {path.stem: algodistill.inspect(path)["card"] for path in MODELS.glob("*.adw")}
#: Runs of the firmware on the host: environment, task, seed and checksums.
TRACES = sorted(REPOSITORY.glob("firmware-sim/expected/host.*.json"))


def model_environment(name: str) -> gym.Env:
    config = dict(TRAINED_IN[name]["generation"]["environment"])
    presets = [name, config.pop("name")]
    known = algodistill._native.presets()
    return CoreEnvironment(next(one for one in presets if one in known), task=3)


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: path.stem)
def test_actions_and_logits_are_those_of_the_firmware(trace: Path) -> None:
    expected = json.loads(trace.read_text())
    env = CoreEnvironment(expected["environment"], task=expected["task"])
    agent = algodistill.Agent(MODELS / f"{expected['environment']}.adw", seed=expected["seed"])
    actions, logits, total, steps = 0, 0, 0.0, 0
    env.reset(seed=expected["seed"])
    env.random_state = np.frombuffer(agent.snapshot()[:16], "<u4").tolist()
    for _ in range(expected["episodes"]):
        observation, _ = env.reset()
        done = False
        while not done:
            # In firmware one generator draws for both.
            kept = agent.snapshot()
            agent.restore(np.array(env.random_state, "<u4").tobytes() + kept[16:])
            action = agent.act(observation)
            env.random_state = np.frombuffer(agent.snapshot()[:16], "<u4").tolist()
            actions = zlib.crc32(bytes([action]), actions)
            logits = zlib.crc32(agent.logits.astype("<i4").tobytes(), logits)
            observation, reward, done, _, _ = env.step(action)
            agent.feedback(reward, done, observation)
            total += reward
            steps += 1
    assert (steps, total) == (expected["steps"], expected["total_return"])
    assert f"{actions:08x}" == expected["actions_crc32"]
    assert f"{logits:08x}" == expected["logits_crc32"]


@pytest.fixture
def serve() -> Iterator[type]:
    sessions = []

    class Session:
        """The agent in a process of its own, asked line by line."""

        def __init__(self, model: Path, seed: int) -> None:
            program = Path(sysconfig.get_path("scripts")) / "algodistill"
            command = [program, "serve", model, "--seed", str(seed)]
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            sessions.append(self)
            self.info = json.loads(self.process.stdout.readline())

        def ask(self, **request: object) -> dict:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())

    yield Session
    for session in sessions:
        session.process.stdin.close()
        session.process.wait()
        session.process.stdout.close()


@pytest.mark.parametrize("name", sorted(TRAINED_IN))
def test_actions_and_logits_are_those_of_the_program(name: str, serve: type) -> None:
    env = model_environment(name)
    agent = algodistill.Agent(MODELS / f"{name}.adw", seed=11)
    session = serve(MODELS / f"{name}.adw", 11)
    assert session.info["weights_crc32"] == agent.weights_crc32
    assert session.info["channels"] == agent.channels

    def numbers(observation: object) -> list[int]:
        return np.ravel(observation).tolist() if agent.channels else []

    observation, _ = env.reset(seed=5)
    for _ in range(60):
        answer = session.ask(do="act", observation=numbers(observation), logits=True)
        assert agent.act(observation) == answer["action"]
        assert (agent.logits / 65536).tolist() == answer["logits"]
        observation, reward, terminated, truncated, _ = env.step(answer["action"])
        done = terminated or truncated
        agent.feedback(reward, done, observation)
        last = {"observation": numbers(observation)} if done else {}
        assert session.ask(do="feedback", reward=reward, done=done, **last) == {}
        if done:
            observation, _ = env.reset()


def play(agent: algodistill.Agent, steps: range) -> list[tuple[int, list[int]]]:
    """Act in a room that pays now and then; every tenth step ends an episode."""
    found = []
    for step in steps:
        action = agent.act((step % 9, 4))
        found.append((action, agent.logits.tolist()))
        agent.feedback(step % 3 // 2, step % 10 == 9, (1, 2))
    return found


def test_a_context_goes_on_from_its_snapshot_and_from_copies() -> None:
    agent = algodistill.Agent(DARK_ROOM, seed=7, temperature=2)
    begun = play(agent, range(40))
    snapshot = agent.snapshot()
    copies = [copy.copy(agent), copy.deepcopy(agent), pickle.loads(pickle.dumps(agent))]  # noqa: S301
    expected = play(agent, range(40, 60))
    other = algodistill.Agent(DARK_ROOM, temperature=2)
    other.restore(snapshot)
    for one in (other, *copies):
        assert play(one, range(40, 60)) == expected
        assert repr(one) == repr(agent)
    agent.reset(seed=7)
    assert play(agent, range(40)) == begun
    greedy = pickle.loads(pickle.dumps(algodistill.Agent(DARK_ROOM, greedy=True)))  # noqa: S301
    assert "greedy=True" in repr(greedy)
    coldest = pickle.loads(pickle.dumps(algodistill.Agent(DARK_ROOM, temperature=0.01)))  # noqa: S301
    assert "temperature=0.01" in repr(coldest)


def test_the_likeliest_action_is_taken_where_it_is_asked_for() -> None:
    agent = algodistill.Agent(DARK_ROOM, greedy=True)
    assert all(action == int(np.argmax(logits)) for action, logits in play(agent, range(30)))


def test_an_observation_after_the_end_reaches_the_model_and_others_do_not() -> None:
    def after(done: bool, seen: object) -> list[int]:
        agent = algodistill.Agent(MODELS / "key-to-door.adw", greedy=True)
        observation = tuple(channel["discrete"]["size"] - 1 for channel in agent.channels)
        agent.act(observation)
        agent.feedback(1.0, done, seen)
        agent.act(observation)
        return agent.logits.tolist()

    zeros = (0,) * len(algodistill.Agent(MODELS / "key-to-door.adw").channels)
    ones = (1,) * len(zeros)
    assert after(True, zeros) != after(True, ones)
    assert after(True, zeros) != after(True, None)
    assert after(False, zeros) == after(False, ones) == after(False, None)


def test_a_demonstration_is_learned_from() -> None:
    taught, untaught = (algodistill.Agent(DARK_ROOM, greedy=True) for _ in range(2))
    taught.demonstrate((4, 4), 2)
    untaught.demonstrate((4, 4), np.int64(1))
    for agent in (taught, untaught):
        agent.feedback(1.0, False)
        agent.act((4, 4))
    assert taught.logits.tolist() != untaught.logits.tolist()


def test_observations_are_numbers_arrays_and_tuples_of_these() -> None:
    def logits(observation: object) -> list[int]:
        agent = algodistill.Agent(DARK_ROOM)
        agent.act(observation)
        return agent.logits.tolist()

    expected = logits((3, 5))
    kinds = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    same = [[3, 5], (np.int64(3), np.array(5)), (np.array([3]), [5]), np.array([[3], [5]])]
    same += [np.array([3, 5], kind) for kind in kinds]
    same += [np.array([3, 9, 5])[::2], np.array([3, 5], object)]
    assert all(logits(one) == expected for one in same)


def test_floats_of_a_vector_have_16_bits_after_the_point() -> None:
    name = MODELS / "servo.adw"
    (channel,) = algodistill.Agent(name).channels
    size = channel["vector"]["size"]

    def logits(observation: object, space: object = None) -> list[int]:
        agent = algodistill.Agent(name, observation_space=space)
        agent.act(observation)
        return agent.logits.tolist()

    floats = np.linspace(-2.5, 1e5, size).astype(np.float32)
    words = algodistill.spaces.fixed_point(floats)
    space = gym.spaces.Box(-np.inf, np.inf, (size,))
    expected = logits(words)
    assert logits(floats) == logits(floats.tolist()) == logits(floats, space) == expected
    # One float makes floats of all.
    mixed = [1] * (size - 1) + [0.5]
    assert logits(mixed) == logits([1.0] * (size - 1) + [0.5])


def test_pictures_are_bytes_row_by_row() -> None:
    name = MODELS / "watermaze.adw"
    env = model_environment("watermaze")
    observation, _ = env.reset(seed=1)

    def logits(seen: object, space: object = None) -> list[int]:
        agent = algodistill.Agent(name, observation_space=space)
        agent.act(seen)
        return agent.logits.tolist()

    expected = logits(observation)
    assert logits(np.ravel(observation)) == expected
    assert logits(observation, env.observation_space) == expected
    assert logits(np.zeros_like(observation)) != expected


def test_a_space_says_where_indices_begin_and_which_part_is_which() -> None:
    def logits(observation: object, space: object = None) -> list[int]:
        agent = algodistill.Agent(DARK_ROOM, observation_space=space)
        agent.act(observation)
        return agent.logits.tolist()

    row, column = gym.spaces.Discrete(9, start=1), gym.spaces.Discrete(9, start=-4)
    both = gym.spaces.Tuple((row, column))
    named = gym.spaces.Dict({"row": row, "column": column})
    assert logits((4, 1), both) == logits((3, 5))
    # A Dict is in the order of its names.
    assert logits({"row": 6, "column": -1}, named) == logits((3, 5))
    agent = pickle.loads(pickle.dumps(algodistill.Agent(DARK_ROOM, observation_space=both)))  # noqa: S301
    agent.act((4, 1))
    assert agent.logits.tolist() == logits((3, 5))


def test_what_the_model_is_can_be_asked() -> None:
    agent = algodistill.Agent(str(DARK_ROOM), seed=2**64 - 1)
    assert agent.model == str(DARK_ROOM)
    assert agent.channels == [{"discrete": {"size": 9}}] * 2
    assert (agent.actions, agent.window, agent.reward_levels) == (5, 128, [0.0, 1.0])
    assert agent.environments == ["dark-room"]
    described = algodistill.inspect(DARK_ROOM)
    assert f"{agent.weights_crc32:08x}" == described["crc32"]
    assert agent.parameters == described["parameters"]
    assert repr(algodistill.Agent(DARK_ROOM.read_bytes())).startswith('Agent("<bytes>"')


def test_many_contexts_do_what_as_many_agents_do() -> None:
    count = 5
    agents = [algodistill.Agent(DARK_ROOM, seed=40 + place) for place in range(count)]
    batches = [
        algodistill.AgentBatch(DARK_ROOM, count, seed=40, threads=threads) for threads in (1, 2)
    ]
    rng = np.random.default_rng(0)
    for step in range(60):
        seen = rng.integers(0, 9, (count, 2))
        rewards, dones = rng.random(count) < 0.3, rng.random(count) < 0.2
        expected = [agent.act(one) for agent, one in zip(agents, seen, strict=True)]
        for agent, reward, done, one in zip(agents, rewards, dones, seen, strict=True):
            agent.feedback(float(reward), done, one)
        for batch in batches:
            assert (
                batch.act(seen if step % 2 else [tuple(one) for one in seen]).tolist() == expected
            )
            batch.feedback(rewards.astype(float), dones, seen)
            assert batch.logits.tolist() == [agent.logits.tolist() for agent in agents]
        if step == 30:
            agents[2].reset()
            for batch in batches:
                batch.reset([2])
    assert batches[0].snapshots() == [agent.snapshot() for agent in agents]
    assert len(batches[1]) == count
