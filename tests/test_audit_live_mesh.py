"""Against live OneFlow on two ranks: the rules on meshes find a planted fault in every form that shows it, and nothing without it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from audited import undecided

import irflops
from irflops.auditing.engine import run_rules
from irflops.auditing.finding import Audit
from irflops.auditing.rules import RULES
from irflops.auditing.settings import Settings

pytestmark = pytest.mark.oneflow

FORMS = ("repr", "job_text", "job_binary", "forward", "saved", "capture")
"""As tests/mesh_nets.py writes them."""

ON_MESHES = ("replicated-large-param", "unsharded-optimizer-state", "boxing-in-loop")
EARLY = {"forward", "saved"}
CANNOT_SHOW = {"unsharded-optimizer-state": EARLY, "boxing-in-loop": EARLY}
"""Forms without optimizer states, or without how operands are wanted."""

ONE_MIB = Settings(rules={"replicated-large-param": {"mib": 1}})


def _rank(number: int, port: int, root: Path, directory: Path) -> subprocess.Popen[bytes]:
    """One of two processes, told of the other as OneFlow's launcher does it."""
    path = os.pathsep.join([str(Path(irflops.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    own = {"RANK": str(number), "LOCAL_RANK": str(number), "PYTHONPATH": path}
    mesh = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, str(root / "tests" / "mesh_nets.py"), str(directory)], env=os.environ | own | mesh)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def audits(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Mapping[str, Audit]]:
    """By net and form, what OneFlow writes of the nets on a mesh of two processes is audited to."""
    directory = tmp_path_factory.mktemp("mesh")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ranks = [_rank(0, port, root, directory)]
    try:
        # A rank that finds nobody at the port tries again after ten seconds.
        while ranks[0].poll() is None and not _answers(port):
            time.sleep(0.05)
        ranks.append(_rank(1, port, root, directory))
        assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    finally:
        for rank in ranks:
            rank.kill()
    return {
        net.name: {form: run_rules(irflops.analyze(net / form), RULES, ONE_MIB) for form in FORMS} for net in (directory / "0").iterdir()
    }


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ON_MESHES)
def test_planted_fault_is_found(audits: Mapping[str, Mapping[str, Audit]], rule: str, form: str) -> None:
    audit = audits[f"{rule}-planted"][form]
    found = [finding.certainty.value for finding in audit.findings if finding.rule == rule]
    if form in CANNOT_SHOW.get(rule, ()):
        assert (found, rule in undecided(audit)) == ([], True)
    else:
        assert (found, rule in undecided(audit)) == (["proven"], False)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rule", ON_MESHES)
def test_net_without_the_fault_has_no_finding(audits: Mapping[str, Mapping[str, Audit]], rule: str, form: str) -> None:
    assert [finding.message for finding in audits[f"{rule}-sound"][form].findings if finding.rule == rule] == []


def test_every_pair_is_there(audits: Mapping[str, Mapping[str, Audit]]) -> None:
    assert set(audits) == {f"{rule}-{what}" for rule in ON_MESHES for what in ("planted", "sound")}
