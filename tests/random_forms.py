"""Prints a random graph in every text form, as OneFlow 0.9.0 writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobs import binary
from random_graph import GRAPH, MODULES, Attr, Node, Tensor

CPU = 'placement=(oneflow.placement(type="cpu", ranks=[0]))'
SCALARS = {"bool": "at_bool", "double": "at_double", "int": "at_int32", "long": "at_int64", "string": "at_string"}


# ---------------------------------------------------------------- the printed graph


def as_repr(nodes: Iterable[Node]) -> str:
    nodes = list(nodes)
    used = {node.module for node in nodes}
    tree: dict[str, list[Node]] = {
        module: [] for module in ("", *MODULES) if not module or any(f"{path}.".startswith(f"{module}.") for path in used)
    }
    for node in nodes:
        tree[node.module].append(node)
    lines = [f"(GRAPH:{GRAPH}:Random): (", "  (CONFIG:config:GraphConfig(training=False, ))", *_module_lines(tree, "", "  "), ")"]
    return "\n".join(lines) + "\n"


def _module_lines(tree: dict[str, list[Node]], path: str, indent: str) -> Iterable[str]:
    for module, nodes in tree.items():
        if module and module.rpartition(".")[0] == path:
            yield f"{indent}(MODULE:{module}:Block()): ("
            for node in nodes:
                if node.type == "variable":
                    yield f"{indent}  (PARAMETER:{node.name}:tensor(..., size={node.result.shape}, dtype=oneflow.float32, grad_fn=<x>)): ()"
            yield from _module_lines(tree, module, indent + "  ")
            yield f"{indent})"
    for node in tree[path]:
        yield f"{indent}(OPERATOR: {node.name}({', '.join(_args(node))}) -> ({_result(node)}), {CPU})"


def _type(tensor: Tensor) -> str:
    return f"sbp=(B), size=({', '.join(map(str, tensor.shape))}), dtype=(oneflow.float32)"


def _args(node: Node) -> Iterable[str]:
    for _, tensors in node.inputs:
        if node.type == "output":
            yield f"{tensors[0].lbn}:{_type(tensors[0])}"
            continue
        texts = [f"{tensor.lbn}:({_type(tensor)})" for tensor in tensors]
        yield f"[{', '.join(texts)}]" if node.type in ("add_n", "concat") else texts[0]


def _result(node: Node) -> str:
    if node.type == "variable":
        return f"out:{_type(node.result)}"
    return f"{node.result.lbn}:{_type(node.result)}" if node.type in ("input", "output") else f"{node.result.lbn}:({_type(node.result)})"


# ---------------------------------------------------------------- the job


def as_job(nodes: Iterable[Node], *, full: bool = True) -> str:
    """The full job, or the forward one, which has no shapes but of inputs and variables."""
    nodes = list(nodes)
    parts = ["net {", *map(_conf, nodes), "}", f'job_conf {{ job_name: "{GRAPH}" predict_conf {{ }} }}']
    names = " ".join(f'op_name: "{node.name}"' for node in nodes)
    group = f'op_set {{ {names} }} parallel_conf {{ device_name: "@0:0" device_tag: "cpu" hierarchy {{ dim: 1 }} }}'
    parts.insert(-1, f"placement {{ placement_group {{ {group} }} }}")
    if full:
        parts += [
            "helper {",
            *(f'lbn2logical_blob_desc {{ key: "{node.result.lbn}" value {{ {_described(node.result)} }} }}' for node in nodes),
            "}",
        ]
    for module in ("", *MODULES):
        ops = [node for node in nodes if node.module == module]
        if ops:
            owned = " ".join(f'ops: "{node.name}"' for node in ops)
            parts.append(f'module_name2module_conf {{ key: "{module or GRAPH}" value {{ name: "{module or GRAPH}" {owned} }} }}')
    return "\n".join(parts) + "\n"


def _described(tensor: Tensor) -> str:
    return f"shape {{ {' '.join(f'dim: {extent}' for extent in tensor.shape)} }} data_type: kFloat"


def _conf(node: Node) -> str:
    if node.type == "variable":
        body = f'variable_conf {{ out: "out" {_described(node.result)} nd_sbp: "B" }}'
    elif node.type in ("input", "output"):
        source = f'in: "{node.inputs[0][1][0].lbn}" ' if node.inputs else ""
        body = f'{node.type}_conf {{ {source}out: "out" blob_conf {{ {_described(node.result)} }} }}'
    else:
        body = f"user_conf {{ {_user(node)} }}"
    return f'  op {{ name: "{node.name}" device_tag: "cpu" {body} }}'


def _user(node: Node) -> str:
    parts = [f'op_type_name: "{node.type}"']
    for arg, tensors in node.inputs:
        parts.append(f'input {{ key: "{arg}" value {{ {" ".join(f"s: {chr(34)}{tensor.lbn}{chr(34)}" for tensor in tensors)} }} }}')
    parts.append(f'output {{ key: "{node.arg}" value {{ s: "{node.result.lbn}" }} }}')
    parts += [f'attr {{ key: "{name}" value {{ {_job_value(attr)} }} }}' for name, attr in sorted(node.attrs.items())]
    parts += [f'input_order: "{arg}"' for arg, _ in node.inputs]
    parts.append(f'output_order: "{node.arg}"')
    return " ".join(parts)


def _job_value(attr: Attr) -> str:
    kind, value = attr
    if isinstance(value, tuple):
        field, inner = ("at_shape", "dim") if kind == "shape" else ("at_list_int32", "val")
        return f"{field} {{ {' '.join(f'{inner}: {number}' for number in value)} }}"
    text = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return f"{SCALARS[kind]}: {text}"


# ---------------------------------------------------------------- MLIR

SEGMENTS = {"conv2d": "dense<[1, 1, 0, 0]> : vector<4xi32>", "matmul": "dense<[1, 1, 0]> : vector<3xi32>"}
WIDTHS = {"int": "si32", "long": "si64", "ints": "si32", "shape": "si64"}


def as_mlir(nodes: Iterable[Node]) -> str:
    nodes = list(nodes)
    values = {node.result.lbn: f"%{number}" for number, node in enumerate(nodes)}
    inputs = [node for node in nodes if node.type == "input"]
    outputs = [node for node in nodes if node.type == "output"]
    arguments = ", ".join(f"%arg{number}: {_mlir_type(node.result)}" for number, node in enumerate(inputs))
    results = ", ".join(_mlir_type(node.result) for node in outputs)
    lines = ["module {", f"  oneflow.job @{GRAPH}({arguments}) -> ({results}) {{"]
    for node in nodes:
        tensors = [tensor for _, group in node.inputs for tensor in group]
        operands = [values[tensor.lbn] for tensor in tensors]
        types = [_mlir_type(tensor) for tensor in tensors]
        if node.type == "input":
            operands, types = [f"%arg{inputs.index(node)}"], [_mlir_type(node.result)]
        name = "add_n2" if node.type == "add_n" and len(tensors) == 2 else node.type
        attrs = ", ".join(f"{key} = {value}" for key, value in sorted(_mlir_attrs(node, name).items()))
        lines.append(
            f'    {values[node.result.lbn]} = "oneflow.{name}"({", ".join(operands)}) {{{attrs}}}'
            f" : ({', '.join(types)}) -> {_mlir_type(node.result)}"
        )
    returned = ", ".join(values[node.result.lbn] for node in outputs)
    return "\n".join([*lines, f"    oneflow.return {returned} : {results}", "  }", "}", ""])


def _mlir_type(tensor: Tensor) -> str:
    return f"tensor<{''.join(f'{extent}x' for extent in tensor.shape)}f32>"


def _mlir_attrs(node: Node, name: str) -> dict[str, str]:
    attrs = {
        "device_name": '["@0:0"]',
        "device_tag": '"cpu"',
        "hierarchy": "[1]",
        "op_name": f'"{node.name}"',
        "scope_symbol_id": "12 : i64",
    }
    if node.type in ("input", "output", "variable"):
        attrs |= {"data_type": "2 : i32", "output_lbns": f'["{node.result.lbn}"]', "shape": _mlir_value(("shape", node.result.shape))}
        attrs |= {"parallel": "#sbp.parallel<[] -> [[#sbp.B]]>"} if node.type == "variable" else {"is_dynamic": "false", "nd_sbp": '["B"]'}
    if name in SEGMENTS:
        attrs["operand_segment_sizes"] = SEGMENTS[name]
    if name == "add_n2":
        attrs["op_type_name"] = '"add_n"'
    return attrs | {key: _mlir_value(attr) for key, attr in node.attrs.items()}


def _mlir_value(attr: Attr) -> str:
    kind, value = attr
    if isinstance(value, tuple):
        return f"[{', '.join(f'{number} : {WIDTHS[kind]}' for number in value)}]"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6e} : f64" if isinstance(value, float) else f"{value} : {WIDTHS[kind]}"


FORMS: dict[str, Callable[[list[Node]], str | bytes]] = {
    "repr": as_repr,
    "full job": as_job,
    "forward job": lambda nodes: as_job(nodes, full=False),
    "binary": lambda nodes: binary(as_job(nodes)),
    "mlir": as_mlir,
}
