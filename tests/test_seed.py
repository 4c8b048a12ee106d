"""Where the backward pass begins: wherever `loss.backward()` stood, and whatever gradient it was given."""

from __future__ import annotations

from jobs import X, job, read, user

import irflops
from irflops import Graph
from irflops.ir.graph import Phase

TENSOR = "sbp=(B), size={}, dtype=(oneflow.float32)"
PLACED = 'placement=(oneflow.placement(type="cpu", ranks=[0]))'
X_LINE = "_G_0_input.0.0_2({0}:{1}) -> (_G_0_input.0.0_2/out:{1})"


def call(name: str, *operands: str, result: str = "out_0", size: str = "(2, 4)") -> str:
    """An operator line of OneFlow 0.9.0; operands are lbns, those of `y` have one element."""
    tensor = TENSOR.format(size)
    given = ", ".join(f"{lbn}:({tensor})" for lbn in operands)
    return f"{name}({given}) -> ({name}/{result}:({tensor}))"


def variable(name: str) -> str:
    return f"{name}() -> (out:{TENSOR.format('(2, 4)')})"


def update(gradient: str) -> str:
    tensor = TENSOR.format("(2, 4)")
    rate = f"System-Train-LearningRate-Scheduler_9/out:({TENSOR.format('(1)')})"
    return f"w_optimizer(w/out:({tensor}), {gradient}:({tensor}), {rate}) -> ()"


def output(lbn: str, number: int = 0, size: str = "(2, 4)") -> str:
    tensor = TENSOR.format(size)
    return f"_G_0_output.0.{number}_{number + 2}({lbn}:{tensor}) -> (_G_0_output.0.{number}_{number + 2}/out:{tensor})"


def printed(*lines: str) -> Graph:
    ops = "\n".join(f"  (OPERATOR: {line}, {PLACED})" for line in lines)
    return irflops.loads(f"(GRAPH:G_0:G): (\n  (CONFIG:config:GraphConfig(training=True, ))\n{ops}\n)\n")


def backward(graph: Graph) -> set[str]:
    return {op.name for op in graph.ops if op.phase is Phase.BACKWARD}


def notes(graph: Graph) -> set[str]:
    return {note.code for note in graph.notes}


def test_backward_was_called_in_a_module() -> None:
    graph = printed(
        variable("w"),
        call("m-exp-0", "w/out", result="y_0"),
        call("m-reduce_sum-1", "m-exp-0/y_0", size="()"),
        call("m-ones_like-2", "m-reduce_sum-1/out_0", size="()"),
        call("m-broadcast_like-3", "m-ones_like-2/out_0", "m-exp-0/y_0"),
        call("m-broadcast_mul-4", "m-broadcast_like-3/out_0", "m-exp-0/y_0"),
        update("m-broadcast_mul-4/out_0"),
        output("m-reduce_sum-1/out_0", size="()"),
    )
    assert backward(graph) == {"m-ones_like-2", "m-broadcast_like-3", "m-broadcast_mul-4"}
    assert not notes(graph)


def given(gradient: str, before: str, loss: str = "1", first: str = "3") -> Graph:
    return printed(
        variable("w"),
        before,
        call(f"m-exp-{loss}", "w/out", result="y_0"),
        call(f"m-broadcast_mul-{first}", gradient, f"m-exp-{loss}/y_0"),
        update(f"m-broadcast_mul-{first}/out_0"),
        output(f"m-exp-{loss}/y_0"),
    )


def test_a_gradient_that_the_user_made() -> None:
    after = given("constant-2/out_0", call("constant-2"))
    assert backward(after) == {"constant-2", "m-broadcast_mul-3"}
    assert notes(after) == {"given-gradient"}
    before = given("constant-0/out_0", call("constant-0"))
    assert backward(before) == {"m-broadcast_mul-3"}, "made before the loss, it is no part of the backward pass"


def test_a_gradient_from_outside() -> None:
    tensor = TENSOR.format("(2, 4)")
    graph = given("_G_0_input.0.0_2/out", f"_G_0_input.0.0_2(x/out:{tensor}) -> (_G_0_input.0.0_2/out:{tensor})")
    assert backward(graph) == {"m-broadcast_mul-3"}


def test_a_mask_is_no_seed() -> None:
    """A ones_like that leads to the graph's output is the user's own; the gradient was given."""
    graph = printed(
        variable("w"),
        call("ones_like-0", "x/out"),
        call("broadcast_mul-1", "w/out", "ones_like-0/out_0"),
        call("constant-2"),
        call("broadcast_mul-3", "constant-2/out_0", "ones_like-0/out_0"),
        update("broadcast_mul-3/out_0"),
        output("broadcast_mul-1/out_0"),
    )
    assert backward(graph) == {"constant-2", "broadcast_mul-3"}


def test_where_nothing_tells_the_phase_is_open() -> None:
    """Nothing is returned: what updates need may be forward or backward."""
    graph = printed(variable("w"), call("exp-0", "w/out"), call("broadcast_mul-1", "g/out", "exp-0/out_0"), update("broadcast_mul-1/out_0"))
    assert not backward(graph)
    assert notes(graph) == {"no-seed"}
    assert graph.by_name["exp-0"].phase is None


def stated(gradient: str, *ops: str) -> Graph:
    conf = f'job_conf {{ job_name: "G_0" train_conf {{ loss_lbn: "exp-1/out_0" loss_grad_lbn: "{gradient}" }} }}'
    loss = user("exp-1", "exp", "x=x/out out=exp-1/out_0")
    first = user("broadcast_mul-3", "broadcast_mul", f"x={gradient} y=exp-1/out_0 out=broadcast_mul-3/out_0")
    metric = user("exp-4", "exp", "x=exp-1/out_0 out=exp-4/out_0")
    return read(job(X, *ops, loss, first, metric, conf=conf))


def test_a_job_names_the_gradient_whatever_it_is() -> None:
    constant = [user(f"constant-{number}", "constant", f"out=constant-{number}/out_0") for number in (0, 2)]
    assert backward(stated("constant-2/out_0", constant[1])) == {"constant-2", "broadcast_mul-3"}
    assert backward(stated("constant-0/out_0", constant[0])) == {"broadcast_mul-3"}
    assert backward(stated("x/out")) == {"broadcast_mul-3"}
