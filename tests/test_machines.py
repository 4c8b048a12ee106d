"""The table of machines: that each figure follows from the chip, that none is with sparsity, and how a user's own are read."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from commands import run

from irflops.errors import IrflopsError
from irflops.machines.known import alpha, machine_called, machines_of_file, network_called, networks, own_machines
from irflops.machines.machine import UNITS, Machine

MACHINES = own_machines()
BY_ID = {machine.id: machine for machine in MACHINES}


def ids(machine: Machine) -> str:
    return machine.id


def test_there_are_68_and_names_are_one_each() -> None:
    assert len(MACHINES) == 68
    names = [name.lower() for machine in MACHINES for name in (machine.id, machine.name, *machine.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("machine", [machine for machine in MACHINES if machine.derive is not None], ids=ids)
def test_rates_follow_from_units_and_clock(machine: Machine) -> None:
    assert machine.derive is not None
    derived = {key: machine.derive.rate(*key.split("_", 1)) for key in machine.derive.per_clock}
    printed = {key: machine.rates(key.split("_", 1)[0]).get(key.split("_", 1)[1]) for key in derived}
    assert printed == {key: pytest.approx(rate, rel=0.025) for key, rate in derived.items()}


def test_few_rates_follow_from_nothing() -> None:
    """Those that the vendor cuts, or that no document tells the units of."""
    without = {machine.id for machine in MACHINES if machine.derive is None}
    assert without == {"h20-96gb", "b100", "gb200", "gb300", "ascend-910b-64gb", "mlu370-x8"}
    left = {
        (machine.id, unit, number)
        for machine in MACHINES
        if machine.derive is not None
        for unit in UNITS
        for number in machine.rates(unit)
        if f"{unit}_{number}" not in machine.derive.per_clock
    }
    assert left == {
        ("t4", "vector", "fp64"),
        ("h800-sxm5-80gb", "vector", "fp64"),
        ("b200-sxm", "matrix", "fp4"),
        ("b300-sxm", "matrix", "fp4"),
        ("b300-sxm", "vector", "fp32"),
        ("b300-sxm", "vector", "fp64"),
        ("tpu-v6e", "matrix", "fp8"),
    }


@pytest.mark.parametrize("machine", MACHINES, ids=ids)
def test_no_clock_of_a_figure_is_over_the_highest(machine: Machine) -> None:
    if machine.derive is not None and machine.max_clock_ghz is not None:
        assert machine.max_clock_ghz >= max(machine.derive.clock("matrix", "fp16"), machine.derive.clock("vector", "fp32"))


TWICE = {"tf32": "fp16", "fp16": "fp8", "fp8": "fp4"}
"""Each format of a matrix unit runs at half the rate of the next, at least: one that is with sparsity is beyond."""
FOUR_TIMES = {("rtx-3090", "int8"), ("rtx-4090", "int8"), ("rtx-5090", "int8"), ("rtx-2080-ti", "int8")}
"""GeForce cards sum fp16 in fp32 at half rate, integers at the full one."""


MOST_FP4 = {"b300-sxm": 3.01, "gb300": 3.01, "rtx-5090": 4.01}
"""Blackwell Ultra triples fp4 alone; a GeForce card runs it at the full rate, and fp8 summed in fp32 at half."""


@pytest.mark.parametrize("machine", MACHINES, ids=ids)
def test_no_format_is_more_than_twice_as_fast_as_the_next(machine: Machine) -> None:
    for slow, fast in TWICE.items():
        if slow in machine.matrix and fast in machine.matrix:
            most = MOST_FP4.get(machine.id, 2.04) if fast == "fp4" else 2.04
            assert machine.matrix[slow] <= machine.matrix[fast] <= most * machine.matrix[slow]
    if {"fp16", "int8"} <= machine.matrix.keys():
        most = 4.01 if (machine.id, "int8") in FOUR_TIMES else 2.7 if machine.id == "mlu370-x8" else 2.04
        assert machine.matrix["int8"] <= most * machine.matrix["fp16"]
    if {"fp16", "bf16"} <= machine.matrix.keys():
        assert machine.matrix["bf16"] in (machine.matrix["fp16"], machine.matrix["fp16"] / 2)


SPARSE_ON_THE_SHEET = {
    ("a100-sxm4-80gb", "fp16"): 624e12,
    ("a30-24gb", "fp16"): 330e12,
    ("a10-24gb", "fp16"): 250e12,
    ("a40-48gb", "fp16"): 299.4e12,
    ("rtx-a6000-48gb", "fp16"): 309.7e12,
    ("l4-24gb", "fp16"): 242e12,
    ("l4-24gb", "fp8"): 485e12,
    ("l40s-48gb", "fp8"): 1466e12,
    ("h100-sxm5-80gb", "bf16"): 1979e12,
    ("h100-sxm5-80gb", "fp8"): 3958e12,
    ("h100-pcie-80gb", "bf16"): 1513e12,
    ("h200-sxm-141gb", "tf32"): 989e12,
    ("b200-sxm", "bf16"): 4500e12,
    ("gb200", "fp8"): 10_000e12,
    ("rtx-4090", "int8"): 1321e12,
    ("jetson-agx-orin-64gb", "int8"): 170e12,
    ("mi300x", "fp16"): 2614.9e12,
}


@pytest.mark.parametrize(("which", "sparse"), SPARSE_ON_THE_SHEET.items(), ids=str)
def test_rate_is_half_of_the_sheet_with_sparsity(which: tuple[str, str], sparse: float) -> None:
    assert BY_ID[which[0]].matrix[which[1]] == pytest.approx(sparse / 2, rel=0.02)


@pytest.mark.parametrize("machine", MACHINES, ids=ids)
def test_figures_go_together(machine: Machine) -> None:
    assert machine.source
    assert machine.memory_bandwidth is not None
    assert machine.memory_bandwidth > 1e10
    if machine.memory_bytes is not None:
        assert 0.93 * machine.memory_bytes <= (machine.usable_bytes or machine.memory_bytes) <= machine.memory_bytes
    assert all(link.peer_rate <= link.bytes_per_s for link in machine.links)
    assert all((link.devices is None) == (link.reach == "host") for link in machine.links)
    if "fp32" in machine.vector and machine.matrix:
        assert machine.vector["fp32"] <= max(machine.matrix.values())


def test_high_sureness_has_a_derivation_or_a_second_table() -> None:
    assert [machine.id for machine in MACHINES if machine.sure == "high" and machine.derive is None and not machine.seen] == []


def test_rate_is_scaled_from_the_clock_it_is_printed_at() -> None:
    """An H100's matrix figures are at 1,830 MHz and its vector figures at 1,980: these do not grow."""
    h100 = BY_ID["h100-sxm5-80gb"]
    assert h100.boost("matrix", "bf16") == pytest.approx(1.98 / 1.83)
    assert (h100.boost("vector", "fp32"), h100.boost("matrix", "fp64")) == (1.0, 1.0)


def test_devices_without_a_switch_share_less_with_one_peer() -> None:
    fabric = BY_ID["mi300x"].fabric(8)
    assert fabric is not None
    assert (fabric.bytes_per_s, fabric.peer_rate) == (448e9, 64e9)
    bridge, host = BY_ID["a40-48gb"].fabric(2), BY_ID["a40-48gb"].fabric(8)
    assert bridge is not None
    assert host is not None
    assert (bridge.reach, host.reach) == ("pair", "host")
    assert BY_ID["jetson-agx-orin-64gb"].fabric(2) is None


def test_networks_have_sources() -> None:
    assert networks()
    assert all(network.source and network.bytes_per_s > 1e9 for network in networks().values())
    assert 0 < alpha().fabric_s < alpha().host_s < alpha().network_s
    with pytest.raises(IrflopsError, match="no network 'ib_nrd'") as error:
        network_called("ib_nrd")
    assert error.value.hint == "did you mean ib_ndr?"


# ------------------------------------------------------------------ a user's own


def own(tmp_path: Path, text: str) -> str:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


WHOLE = """\
[my-gpu]
name = "My GPU"
source = "measured"
matrix = { fp16 = 100e12 }
vector = { fp32 = 10e12 }
memory_bandwidth = 5e11
links = [{ kind = "bus", bytes_per_s = 1e10, reach = "host" }]
"""


def test_own_machine_is_read(tmp_path: Path) -> None:
    (machine,) = machines_of_file(own(tmp_path, WHOLE))
    assert (machine.id, machine.matrix, machine.vector["fp32"], machine.sure) == ("my-gpu", {"fp16": 100e12}, 10e12, "low")
    assert machine_called("My GPU", [machine]) is machine


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("matrxi = { fp16 = 1e12 }", "'matrxi' is no key of a machine", "did you mean matrix?"),
        ("derive = { unit = 3, clock_ghz = 1, per_clock = {} }", "'unit' is no key of derive", "did you mean units?"),
        ("vector = { f32 = 1e12 }", "'f32' is no number format", "did you mean fp32?"),
        ("vector = { fp32 = -1 }", "fp32 is a number greater than 0", None),
        ("vector = { fp32 = inf }", "fp32 is a number greater than 0", None),
        ("vector = 3", "vector is a table", None),
        ("memory_bytes = 1.5", "memory_bytes is a whole number", None),
        ("memory_bytes = 5\nusable_bytes = 6", "usable_bytes is more than memory_bytes", None),
        ("kind = 'gpus'", "kind is one of gpu, cpu, npu, tpu", None),
        ("links = [{ kind = 'a', reach = 'node' }]", "bytes_per_s is missing in links", None),
        ("links = 3", "links is a list of tables", None),
        ("launch_s = 5", "launch_s is a number of seconds from 0 to 1", None),
        ("ceiling = 1", "ceiling is true or false", None),
    ],
)
def test_wrong_key_is_an_error_at_its_place(tmp_path: Path, line: str, message: str, hint: str | None) -> None:
    head = "[my-gpu]\nname = 'x'\nsource = 'y'\n" + ("" if line.startswith("vector") else "vector = { fp32 = 1e12 }\n")
    path = own(tmp_path, head + line + "\n")
    with pytest.raises(IrflopsError) as error:
        machines_of_file(path)
    assert error.value.message.startswith(f"machine 'my-gpu': {message}")
    assert error.value.path == path
    assert error.value.line is not None
    assert error.value.hint == hint or hint is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 3", "'x' is no machine's table"),
        ("[x]\nname = 'x'", "source is missing"),
        ("[x]\nname = 'x'\nsource = 'y'", "it has no rate"),
        ("[X]\nname = 'x'", "the id of a machine"),
        ("[x", "this is no TOML"),
    ],
)
def test_what_is_no_machine_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(IrflopsError, match=message):
        machines_of_file(own(tmp_path, text))


def test_command_lists_and_explains(tmp_path: Path) -> None:
    listed = json.loads(run("machines", "--format", "json").stdout)
    schema = json.loads(run("schema", "machines").stdout)
    jsonschema.validate(listed, schema, cls=jsonschema.Draft202012Validator)
    assert [row["id"] for row in listed["machines"]] == [machine.id for machine in MACHINES]
    mine = json.loads(run("machines", "my-gpu", "--machine-file", own(tmp_path, WHOLE), "--format", "json").stdout)
    assert [row["name"] for row in mine["machines"]] == ["My GPU"]
    text = run("machines", "NVIDIA H100 80GB HBM3").stdout
    assert text.startswith("h100-sxm5-80gb: NVIDIA H100 SXM5 80 GB\n")
    assert "535.25 TFLOP/s at the highest clock" in text
    wrong = run("machines", "h10")
    assert wrong.exit_code == 2
    assert "no machine 'h10'" in wrong.stderr
    assert "h100-sxm5-80gb" in wrong.stderr


def test_configuration_has_machines_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = WHOLE.replace("[my-gpu]", "[tool.irflops.machines.my-gpu]")
    (tmp_path / "pyproject.toml").write_text(table, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run("machines", "my-gpu").stdout.startswith("my-gpu: My GPU")
