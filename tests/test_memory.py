"""Memory plans: those that OneFlow's own compiler made, what follows from how they are defined, and packing held against a painter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st

from irflops.memory.packing import Life, most_alive, pack

FOLDER = Path(__file__).resolve().parents[1] / "fixtures/memory"
PLANS: dict[str, Any] = json.loads((FOLDER / "plans.json").read_text(encoding="utf-8"))
FORMS = {"cuda": ("cudajob.pb", "cuda.repr.txt"), "cpu": ("job.pb",)}
NEAR = {"cnn_acc_nobn": 0.005, "gpt_pp2acc": 0.01, "gpt_tp22": 0.01, "gpt_dp2": 0.05}
"""By graph how far its total may be from OneFlow's, where the order or the tasks are not known exactly."""


def dumps() -> list[tuple[str, str, str]]:
    """Graph, kind of device, form."""
    return [
        (name, kind, form)
        for name, plans in PLANS.items()
        for kind in plans
        for form in FORMS[kind]
        if (FOLDER / f"{name}.{form}.gz").exists()
    ]


def planned(path: Path, *options: str) -> dict[str, Any]:
    result = run("memory", path, "--format", "json", *options)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def of_rank(found: dict[str, Any], rank: int) -> dict[str, Any]:
    classes = [one for one in found["classes"] if any(first <= rank <= last for first, last in one["ranks"])]
    assert len(classes) == 1
    memory: dict[str, Any] = classes[0]["memory"]
    return memory


@pytest.mark.parametrize(("name", "kind", "form"), dumps(), ids=lambda value: value)
def test_plans_are_those_of_oneflow(name: str, kind: str, form: str) -> None:
    found = planned(FOLDER / f"{name}.{form}.gz")
    for rank, plan in PLANS[name][kind].items():
        memory = of_rank(found, int(rank))
        assert memory["variables"] == plan["variables"]
        if kind == "cuda" and name in NEAR:
            assert abs(memory["total"] / plan["total"] - 1) <= NEAR[name]
            assert memory["certainty"] == "estimate"
        else:
            assert {key: memory[key] for key in plan} == plan
        assert memory["total"] == memory["variables"] + memory["unreused"] + memory["arena"]
        assert memory["bound"] <= memory["arena"]


def test_what_is_called_exact_asks_nobody() -> None:
    exact = {
        name for name, kind, form in dumps() if kind == "cuda" and of_rank(planned(FOLDER / f"{name}.{form}.gz"), 0)["certainty"] == "exact"
    }
    assert exact == {"gpt_infer", "gpta_train", "gpta_ckpt"}  # cuDNN decides for convolutions, and several devices are modelled


def test_the_peak_is_made_of_what_is_alive() -> None:
    memory = of_rank(planned(FOLDER / "gpta_train.cuda.repr.txt.gz", "--timeline"), 0)
    assert sum(tensor["bytes"] for tensor in memory["peak"]["tensors"]) == max(step["bytes"] for step in memory["timeline"])
    steps = [step["op"] for step in memory["timeline"]]
    at = steps.index(memory["peak"]["op"])
    for tensor in memory["peak"]["tensors"]:
        assert steps.index(tensor["born"]) <= at <= steps.index(tensor["dies"])


def test_json_keeps_its_schema() -> None:
    schema = json.loads(run("schema", "memory").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, _, form in dumps():
        jsonschema.validate(planned(FOLDER / f"{name}.{form}.gz", "--timeline"), schema, cls=jsonschema.Draft202012Validator)


def test_a_limit_decides_the_exit_code() -> None:
    path = FOLDER / "gpt_infer.cudajob.pb.gz"
    total = PLANS["gpt_infer"]["cuda"]["0"]["total"]
    assert run("memory", path, "--memory", str(total)).exit_code == 0
    result = run("memory", path, "--memory", str(total - 1))
    assert result.exit_code == 1
    assert "1 byte too much" in result.stdout


def test_a_larger_batch_needs_no_less() -> None:
    path = FOLDER / "gpt_infer.cudajob.pb.gz"
    bounds = [of_rank(planned(path, "--batch", str(batch)), 0)["bound"] for batch in (1, 2, 4, 8)]
    assert of_rank(planned(path, "--batch", "8"), 0)["certainty"] == "estimate"  # nobody captured it
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1]


def test_a_gpu_is_asked_about_what_a_cpu_captured() -> None:
    job = FOLDER / "cnn2_adam.job.pb.gz"
    asked = of_rank(planned(job, "--on", "cuda"), 0)
    plan = PLANS["cnn2_adam"]["cuda"]["0"]
    assert {key: asked[key] for key in plan} == plan
    assert asked["certainty"] == "estimate"
    back = of_rank(planned(FOLDER / "cnn2_adam.cudajob.pb.gz", "--on", "cpu"), 0)
    assert back["total"] == PLANS["cnn2_adam"]["cpu"]["0"]["total"]


def test_a_workspace_is_counted_where_cudnn_asks() -> None:
    path = FOLDER / "cnn2_adam.cudajob.pb.gz"
    without, with_ = (of_rank(planned(path, *options), 0) for options in ((), ("--workspace", "64M")))
    assert with_["bound"] > without["bound"]
    assert with_["temporary"] >= 64 << 20


lives = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 12), st.integers(0, 6)), max_size=25).map(
    lambda found: [Life(size, born, born + more) for size, born, more in found]
)


@given(lives)
def test_blocks_that_are_alive_together_share_no_byte(blocks: list[Life]) -> None:
    size, offsets = pack(blocks)
    painted: dict[tuple[int, int], int] = {}
    for at, (block, offset) in enumerate(zip(blocks, offsets, strict=True)):
        for step in range(block.born, block.dies + 1):
            for byte in range(offset, offset + block.nbytes):
                assert painted.setdefault((step, byte), at) == at
    assert size == max((byte + 1 for _, byte in painted), default=0)
    alive = [sum(block.nbytes for block in blocks if block.born <= step <= block.dies) for step in range(20)]
    most, at = most_alive(blocks, 20)
    assert most == max(alive)
    assert not blocks or alive[at] == most
    assert most <= size <= sum(block.nbytes for block in blocks)


def first_fit(blocks: list[Life]) -> int:
    """The plainest first fit by decreasing size: byte by byte."""
    placed: list[tuple[int, Life]] = []
    for block in sorted(blocks, key=lambda block: (-block.nbytes, block.born)):
        taken = [(offset, other) for offset, other in placed if other.born <= block.dies and block.born <= other.dies]
        offset = 0
        while any(offset < start + other.nbytes and start < offset + block.nbytes for start, other in taken):
            offset += 1
        placed.append((offset, block))
    return max((offset + block.nbytes for offset, block in placed), default=0)


@given(lives)
def test_packing_is_first_fit_by_decreasing_size(blocks: list[Life]) -> None:
    assert pack(blocks)[0] == first_fit(blocks)
