"""What an operator's name tells: its op type, its module, its number. Shared by all readers.

User operators are called `<module path>-<op type>-<number>`. The operators that OneFlow's passes add have names of their own: the
tables below, from the passes in oneflow/core/job_rewriter of 0.8.0 to master.
"""

from __future__ import annotations

import re
from sys import intern
from typing import NamedTuple

from irflops.ir.graph import Role
from irflops.readers.meaning.gradients import PREFIX as GRADIENT_PREFIX
from irflops.readers.meaning.gradients import gradient_of_any, gradient_parts, readings
from irflops.readers.meaning.updates import is_update_name, state_suffix

_TRAIN = "System-Train-"

RECOMPUTE_PREFIXES = ("Sys-Checkpointing-Fake-Fw-Op_", "OneFlow-System-Checkpointing-Fake-Fw-Op_", "OneFlow-System-Checkpointing-")

_TICKS = ("Sys-GradAcc-RepeatTick-DeviceTick-", "System-GradientAccumulation-RepeatTick-DeviceTick-")

_PREFIXES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("System-Train-LearningRate-Scheduler", ("learning_rate_schedule",)),
    ("System-ClipGradient-GlobalNorm-MultiReduceSumPowAbs-", ("multi_reduce_sum_pow_abs",)),
    ("System-ClipGradient-GlobalNorm-ReduceSumPowAbs-", ("multi_reduce_sum_pow_abs",)),
    (
        "System-ClipGradient-GlobalNorm-MultiReduceXimumAbs-",
        ("multi_reduce_max_abs", "multi_reduce_min_abs", "local_multi_reduce_max_abs", "local_multi_reduce_min_abs"),
    ),
    (
        "System-ClipGradient-GlobalNorm-GroupReduceXimum-",
        ("reduce_max_global_stage", "reduce_min_global_stage", "reduce_max", "reduce_min"),
    ),
    ("System-ClipGradient-GlobalNorm-GlobalReduceXimum-", ("reduce_max", "reduce_min")),
    ("System-ClipGradient-GlobalNorm-GlobalStack-", ("stack",)),
    ("System-ClipGradient-GlobalNorm-GlobalPow-", ("scalar_pow",)),
    ("System-ClipGradient-GlobalNorm-AddEps-", ("scalar_add",)),
    ("System-ClipGradient-GlobalNorm-Add-", ("add_n",)),
    ("System-ClipGradient-GlobalNorm-Inv-", ("reciprocal_no_nan",)),
    ("System-ClipGradient-GlobalNorm-Coeff-", ("scalar_mul",)),
    ("System-ClipGradient-GlobalNorm-Clamp-", ("clip_by_scalar_max",)),
    ("System-ClipGradient-GlobalNorm-ScalarMul-", ("scalar_mul_by_tensor",)),
    ("System-ClipGradient-ParallelCast-", ("hierarchical_parallel_cast",)),
    ("System-AutoGrad-ParallelCast-", ("hierarchical_parallel_cast",)),
    ("System-AutoGrad-StaticShapeCast-", ("cast_to_static_shape",)),
    ("System-ZeRO-ParallelCast-", ("hierarchical_parallel_cast",)),
    ("System-RegularizeGradient-L1L2-", ("l1_l2_regularize_gradient",)),
    ("System-DynamicLossScale-Cast-", ("cast",)),
    ("System-DynamicLossScale-Reciprocal-", ("reciprocal",)),
    ("System-DynamicLossScale-MultiCountNotFinite-", ("multi_count_not_finite",)),
    ("System-DynamicLossScale-CountNotFinite-After-Add-ParallelCast-", ("hierarchical_parallel_cast",)),
    ("System-DynamicLossScale-CountNotFinite-Add-", ("add_n",)),
    ("System-DynamicLossScale-CountNotFinite-", ("count_not_finite",)),
    ("System-DynamicLossScale-ParallelCast-", ("hierarchical_parallel_cast",)),
    ("System-CastToTick-", ("cast_to_tick",)),
    ("System-GradientAccumulation-InputUnpack-", ("unpack",)),
    ("System-GradientAccumulation-VariableRepeat-", ("repeat",)),
    ("System-GradientAccumulation-OutputPack-", ("pack",)),
    *((prefix, ("device_tick",)) for prefix in _TICKS),
    ("System-GradientAccumulation-RepeatTick-Repeat-", ("repeat",)),
    ("System-Pipeline-Buffer-Op_", ("identity_buffer",)),
    ("Sys-DiffScale-ScalarDiv-", ("scalar_div_by_tensor",)),
    ("System-ModelDiffScale-ScalarDiv_", ("scalar_div_by_tensor",)),
    ("Sys-Checkpointing-Identity", ("identity",)),
    ("System-NCCL-Logical-P2B-", ("_nccl_logical_all_reduce",)),
    ("System-NCCL-Logical-P2S-", ("_nccl_logical_reduce_scatter", "_nccl_logical_reduce_scatter_noncontinuous")),
    ("System-NCCL-Logical-S2B-", ("_nccl_logical_all_gather", "_nccl_logical_all_gather_noncontinuous")),
    ("System-NCCL-Logical-S2S-", ("_nccl_logical_s2s",)),
    ("System-NCCL-Logical-(Send)2(Recv)-", ("_nccl_logical_send_recv",)),
    ("System-NCCL-Logical-(*P)2(*B)-", ("_nccl_logical_2D_same_dim0_all_reduce",)),
    ("System-NCCL-Logical-(*S0)2(*B)-", ("_nccl_logical_2D_same_dim0_all_gather",)),
    ("System-NCCL-Logical-(*S1)2(*B)-", ("_nccl_logical_2D_same_dim0_all_gather_noncontinuous",)),
    ("System-NCCL-Logical-(*S)2(*S)-", ("_nccl_logical_2D_same_dim0_all2all",)),
    ("System-NCCL-Logical-(P*)2(B*)-", ("_nccl_logical_2D_same_dim1_all_reduce",)),
    ("Sys-NCCL-fusion-", ("_nccl_logical_fusion",)),
    ("Sys-LogicalChainSink-CastToTick-", ("cast_to_tick",)),
    ("Sys-LogicalChainSinkConsumer-CastToTick-", ("cast_to_tick",)),
    ("Sys-LastNcclChainSink-CastToTick-", ("cast_to_tick",)),
    ("Sys-Boxing-", ("identity",)),
    ("System-Boxing-", ("identity",)),
)


def repeated_name(name: str) -> str:
    """The name of the operator that one repeats under checkpointing; its own where it repeats none."""
    return next((name[len(prefix) :] for prefix in RECOMPUTE_PREFIXES if name.startswith(prefix)), name)


def ticked_name(name: str) -> str | None:
    """The name of the operator for which a tick was made under gradient accumulation; None where the name tells none."""
    return next((name[len(prefix) :] for prefix in _TICKS if name.startswith(prefix)), None)


_SPLIT_LOSS = {
    "split_softmax_reduce_max_device_stage": "reduce_max_device_stage",
    "split_softmax_reduce_max_global_stage": "reduce_max_global_stage",
    "split_softmax_sub_max": "broadcast_sub",
    "split_softmax_exp": "exp",
    "split_softmax_reduce_sum": "reduce_sum",
    "split_softmax_reduce_sum_cast_P2B": "hierarchical_parallel_cast",
    "split_softmax_div": "broadcast_div",
    "log": "log",
    "broadcast_add": "broadcast_sub",
    "nll": "nll",
}
"""What split_sparse_softmax_cross_entropy_op_pass.cpp makes of a loss whose classes are split, by what it appends to the name."""

_SUFFIXES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("_bias_correction_factor", re.compile(r"(?:adam|lamb)_bias_correction_factor[12]$"), "adam_bias_correction_factor"),
    ("_scale_initial_diff", re.compile(r"_scale_initial_diff$"), "scalar_mul_by_tensor"),
    ("_pinned_identity", re.compile(r"_pinned_identity$"), "pinned_identity"),
    ("_constant_like_loss_scale", re.compile(r"_constant_like_loss_scale$"), "constant_like"),
    ("_loss_scale-repeat", re.compile(r"_loss_scale-repeat$"), "repeat"),
    ("cast_", re.compile(r"[-_]cast_(?:f2h|h2f)(?:-\d+)?$"), "cast"),
    ("_ssp_variable_proxy", re.compile(r"_ssp_variable_proxy$"), "ssp_variable_proxy"),
    *(
        ("sparse_softmax_cross_entropy", re.compile(rf"(?:^|-)sparse_softmax_cross_entropy(?:_ms)?-\d+-{part}$"), op_type)
        for part, op_type in _SPLIT_LOSS.items()
    ),
    (_TRAIN, re.compile(r"^System-Train-TrainStep-ScalarAdd$"), "scalar_add"),
    (_TRAIN, re.compile(r"^System-Train-TrainStep-AssignIfNot$"), "assign_if_not"),
    (_TRAIN, re.compile(r"^System-Train-TrainStep-Assign$"), "assign"),
    (_TRAIN, re.compile(r"^System-Train-TrainStep-Identity$"), "identity"),
    (_TRAIN, re.compile(r"^System-Train-TrainStep$"), "variable"),
    (_TRAIN, re.compile(r"^System-Train-DynamicLossScale-.*-LossScale-Identity$"), "identity"),
    (_TRAIN, re.compile(r"^System-Train-DynamicLossScale-.*-(?:LossScale|GoodStepCounter)$"), "variable"),
    (_TRAIN, re.compile(r"^System-Train-DynamicLossScale-.*-Schedule$"), "dynamic_loss_scale_schedule"),
)
_MARKS = tuple(dict.fromkeys(mark for mark, _, _ in _SUFFIXES))
"""What a name must hold before an ending is looked for, which takes longer: few names hold any of them."""

_REPLACED: dict[str, tuple[str, ...]] = {
    "conv2d": ("conv2d",),
    "dropout": ("random_mask_like", "fused_bias_add_mask_scale"),
    "gelu": ("fused_bias_add_gelu",),
    "normalization": ("conv2d", "normalization_add_relu"),
    "broadcast_mul": ("scalar_mul_by_tensor", "fused_glu"),
    "batch_matmul": ("fused_multi_head_attention_inference",),
    "tril": ("fused_scale_tril",),
    "scalar_mul": ("fused_scale_tril",),
}
"""By the type of an operator that an MLIR pass replaced, what may stand there under its name (`CopyUserOpAttrs` in oneflow/ir/lib/OneFlow
of 0.9.0 and 1.0.0)."""

_FOLDED = re.compile(r"^variable_\d+$")
_REWRITTEN = re.compile(r"^(.*-\d+)-mlir-gen-\d+$", re.DOTALL)
_ACTIVATED = "_with_activation"
_GROUPED = "grouped_matmul_"
_GROUPED_TYPES = frozenset({"matmul", "broadcast_matmul", "fused_matmul_bias"})

_USER = re.compile(r"^(?:(?P<path>.*)-)?(?P<type>[A-Za-z][A-Za-z0-9_]*)-(?P<number>\d+)$", re.DOTALL)
_NUMBER = re.compile(r"-(\d+)$")
_SYSTEM = ("System-", "Sys-", "OneFlow-System-")
"""How names begin that passes of OneFlow's give."""
_UNUSUAL = (*_SYSTEM, _GROUPED)
_MOVES = re.compile(r"^Sys(?:tem)?-(Boxing|NCCL-Logical)-")
_INTERFACE = re.compile(r"^_.+_(input|output)\.\d[\w.]*$|^_.+-(input|output)_\d+$", re.DOTALL)


_DEEPEST_GRADIENT = 4
"""How often a name may be a gradient's of a gradient's: OneFlow 0.8.0 takes no gradient of a gradient in a graph, a file may say so."""


class Resolved(NamedTuple):
    """What a name tells."""

    types: tuple[str, ...]
    """The op types that it allows, most likely first; none where it tells nothing."""
    path: str | None
    """The module path in the name, None where it has none."""
    number: int | None
    """The graph's counter when the operator was made."""
    recompute: bool = False
    gradient: bool = False
    """Whether the name is that of a gradient operator of OneFlow 0.8.0."""
    args: tuple[str, ...] = ()
    """The operands in printed order where the name tells another than the type does, else none."""
    rewritten: bool = False
    """Whether an MLIR pass made it in another one's place: what the module tells of that one need not hold."""
    role: Role = Role.USER


def resolve(name: str, operands: int) -> Resolved:
    """Reads a name; `operands` is the number of operand arguments, which tells some of OneFlow's own operators apart."""
    # Most are plain names of a user's operators: beside the beginnings, only these two marks stand in a name that ends in a counter.
    user = None if name.startswith(_UNUSUAL) or "cast_" in name or "-mlir-gen-" in name else _USER.match(name)
    if user is not None:
        path, op_type, number = user.groups()
        return Resolved((intern(op_type),), path or "", _counter(number))
    return _told(name, operands)


def _told(name: str, operands: int) -> Resolved:
    if name.startswith(RECOMPUTE_PREFIXES):
        prefix = next(prefix for prefix in RECOMPUTE_PREFIXES if name.startswith(prefix))
        return _resolved(name[len(prefix) :], operands)._replace(recompute=True, role=Role.SYSTEM)
    found = _resolved(name, operands)
    return found._replace(role=_role(name)) if name.startswith(_SYSTEM) and not found.gradient else found


def _counter(digits: str) -> int | None:
    return int(digits) if len(digits) < 19 else None


def _role(name: str) -> Role:
    """The role of an operator whose name a pass of OneFlow's began."""
    kind = _MOVES.match(name)
    return Role.SYSTEM if kind is None else Role.BOXING if kind[1] == "Boxing" else Role.COLLECTIVE


def _resolved(name: str, operands: int, depth: int = 0) -> Resolved:
    number = _NUMBER.search(name)
    count = _counter(number[1]) if number else None
    if number is None or name.startswith(GRADIENT_PREFIX):
        gradient = _gradient(name, operands, depth) if depth < _DEEPEST_GRADIENT else None
        if gradient is not None:
            return gradient
    types = _own_types(name, operands)
    if types:
        return Resolved(types, None, count, role=Role.SYSTEM)
    if number is None and is_folded_variable(name):
        return Resolved(("variable",), "", None)
    rewritten = _rewritten(name)
    if rewritten is not None:
        return rewritten
    user = _USER.match(name) if number is not None and not name.startswith(_SYSTEM) else None
    if user is not None:
        path, op_type, _ = user.groups()
        return Resolved((intern(op_type),), path or "", count)
    interface = _INTERFACE.match(name)
    if interface is not None:
        return Resolved((interface[1] or interface[2],), "", None)
    return Resolved((), None, count, role=Role.SYSTEM if is_update_name(name) or state_suffix(name) is not None else Role.USER)


def _gradient(name: str, operands: int, depth: int) -> Resolved | None:
    """Reads the name of a gradient operator of OneFlow 0.8.0, None for other names."""
    alike = gradient_of_any(name)
    if alike is not None:
        return Resolved((alike,), None, None, gradient=True)
    for forward, suffix in gradient_parts(name):
        made = _resolved(forward, 0, depth + 1)
        found = readings(made.types, suffix, operands)
        if found:
            types = tuple(dict.fromkeys([reading.op_type for reading in found]))
            return Resolved(types, made.path, None, gradient=True, args=found[0].args if len(found) == 1 else ())
    return None


def _rewritten(name: str) -> Resolved | None:
    """What the name of an operator tells that an MLIR pass made, None for other names; types that it leaves open are told by operands."""
    replaced = _REWRITTEN.match(name) if "-mlir-gen-" in name else None
    if replaced is not None:
        found = _USER.match(replaced[1])
        types = _REPLACED.get(found["type"], ()) if found is not None else ()
        return Resolved(types, (found["path"] or "") if found is not None else None, None, rewritten=True)
    if name.endswith(_ACTIVATED):
        found = _USER.match(name[: -len(_ACTIVATED)])
        if found is not None and found["type"] == "group_norm":
            return Resolved(("group_norm",), found["path"] or "", None)
    if name.startswith(_GROUPED):
        found = _USER.match(name[len(_GROUPED) :])
        if found is not None and found["type"] in _GROUPED_TYPES:
            return Resolved(("grouped_matmul_bias",), found["path"] or "", None, rewritten=True)
    return None


def has_activation(name: str) -> bool:
    """Whether an operator is a group norm to which a pass gave the silu behind it."""
    return name.endswith(_ACTIVATED)


def _own_types(name: str, operands: int) -> tuple[str, ...]:
    """Op types of an operator that a pass of OneFlow's made."""
    if name.startswith(_SYSTEM):
        if name.startswith(("Sys-DiffScale-ScalarMul-", "System-ModelDiffScale-ScalarMul")):
            return ("scalar_mul_by_tensor" if operands == 2 else "scalar_mul",)
        if name.startswith("System-Train-DynamicLossScale-") and name.endswith("-CountNotFinite"):
            return ("identity" if operands else "constant",)
        for prefix, types in _PREFIXES:
            if name.startswith(prefix):
                return types
    for mark in _MARKS:
        if mark in name:
            return next(((op_type,) for wanted, suffix, op_type in _SUFFIXES if wanted in name and suffix.search(name)), ())
    return ()


def is_folded_variable(name: str) -> bool:
    """Whether a variable was folded out of others by a pass of OneFlow's: `variable_12` stands in no module and on no line of a print."""
    return _FOLDED.match(name) is not None


def free_tensor_module(variable: str) -> str | None:
    """The module path of a tensor outside the module tree, `<module>-FreeEagerTensor-N`; None for other variables."""
    path, mark, _ = variable.partition("-FreeEagerTensor-")
    if mark:
        return path
    return "" if variable.startswith("FreeEagerTensor-") else None


def variable_module(name: str) -> str | None:
    """The module path of a parameter or buffer, or of an optimizer's state or update, which are named after one; None for other names."""
    return None if name.startswith(_SYSTEM) else name.rpartition(".")[0] or None
