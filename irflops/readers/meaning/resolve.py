"""What an operator's name tells: its op type, its module, its number. Shared by all readers.

User operators are called `<module path>-<op type>-<number>`. The operators that OneFlow's passes add have names of their own: the
tables below, from the passes in oneflow/core/job_rewriter of 0.8.0 to master.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from irflops.readers.meaning.gradients import PREFIX as GRADIENT_PREFIX
from irflops.readers.meaning.gradients import gradient_of_any, gradient_parts, readings

RECOMPUTE_PREFIXES = ("Sys-Checkpointing-Fake-Fw-Op_", "OneFlow-System-Checkpointing-Fake-Fw-Op_", "OneFlow-System-Checkpointing-")

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
    ("Sys-GradAcc-RepeatTick-DeviceTick-", ("device_tick",)),
    ("System-GradientAccumulation-InputUnpack-", ("unpack",)),
    ("System-GradientAccumulation-VariableRepeat-", ("repeat",)),
    ("System-GradientAccumulation-OutputPack-", ("pack",)),
    ("System-GradientAccumulation-RepeatTick-DeviceTick-", ("device_tick",)),
    ("System-GradientAccumulation-RepeatTick-Repeat-", ("repeat",)),
    ("System-Pipeline-Buffer-Op_", ("identity_buffer",)),
    ("Sys-DiffScale-ScalarDiv-", ("scalar_div_by_tensor",)),
    ("System-ModelDiffScale-ScalarDiv_", ("scalar_div_by_tensor",)),
    ("Sys-Checkpointing-Identity", ("identity",)),
    ("Sys-Boxing-", ("identity",)),
    ("System-Boxing-", ("identity",)),
)

_SUFFIXES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:adam|lamb)_bias_correction_factor[12]$"), "adam_bias_correction_factor"),
    (re.compile(r"_scale_initial_diff$"), "scalar_mul_by_tensor"),
    (re.compile(r"_pinned_identity$"), "pinned_identity"),
    (re.compile(r"_constant_like_loss_scale$"), "constant_like"),
    (re.compile(r"_loss_scale-repeat$"), "repeat"),
    (re.compile(r"[-_]cast_(?:f2h|h2f)(?:-\d+)?$"), "cast"),
    (re.compile(r"_ssp_variable_proxy$"), "ssp_variable_proxy"),
    (re.compile(r"^System-Train-TrainStep-ScalarAdd$"), "scalar_add"),
    (re.compile(r"^System-Train-TrainStep-AssignIfNot$"), "assign_if_not"),
    (re.compile(r"^System-Train-TrainStep-Assign$"), "assign"),
    (re.compile(r"^System-Train-TrainStep-Identity$"), "identity"),
    (re.compile(r"^System-Train-TrainStep$"), "variable"),
    (re.compile(r"^System-Train-DynamicLossScale-.*-LossScale-Identity$"), "identity"),
    (re.compile(r"^System-Train-DynamicLossScale-.*-(?:LossScale|GoodStepCounter)$"), "variable"),
    (re.compile(r"^System-Train-DynamicLossScale-.*-Schedule$"), "dynamic_loss_scale_schedule"),
)

_USER = re.compile(r"^(?:(?P<path>.*)-)?(?P<type>[A-Za-z][A-Za-z0-9_]*)-(?P<number>\d+)$", re.DOTALL)
_NUMBER = re.compile(r"-(\d+)$")
_INTERFACE = re.compile(r"^_.+_(input|output)\.\d[\w.]*$|^_.+-(input|output)_\d+$", re.DOTALL)


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


def resolve(name: str, operands: int) -> Resolved:
    """Reads a name; `operands` is the number of operand arguments, which tells some of OneFlow's own operators apart."""
    for prefix in RECOMPUTE_PREFIXES:
        if name.startswith(prefix):
            return _resolved(name[len(prefix) :], operands)._replace(recompute=True)
    return _resolved(name, operands)


def _resolved(name: str, operands: int) -> Resolved:
    number = _NUMBER.search(name)
    count = int(number[1]) if number and len(number[1]) < 19 else None
    if number is None or name.startswith(GRADIENT_PREFIX):
        gradient = _gradient(name, operands)
        if gradient is not None:
            return gradient
    types = _own_types(name, operands)
    if types:
        return Resolved(types, None, count)
    user = _USER.match(name)
    if user is not None and not name.startswith(("System-", "Sys-", "OneFlow-System-")):
        return Resolved((user["type"],), user["path"] or "", count)
    interface = _INTERFACE.match(name)
    if interface is not None:
        return Resolved((interface[1] or interface[2],), "", None)
    return Resolved((), None, count)


def _gradient(name: str, operands: int) -> Resolved | None:
    """Reads the name of a gradient operator of OneFlow 0.8.0, None for other names."""
    alike = gradient_of_any(name)
    if alike is not None:
        return Resolved((alike,), None, None, gradient=True)
    for forward, suffix in gradient_parts(name):
        made = _resolved(forward, 0)
        found = readings(made.types, suffix, operands)
        if found:
            types = tuple(dict.fromkeys([reading.op_type for reading in found]))
            return Resolved(types, made.path, None, gradient=True, args=found[0].args if len(found) == 1 else ())
    return None


def _own_types(name: str, operands: int) -> tuple[str, ...]:
    """Op types of an operator that a pass of OneFlow's made."""
    if name.startswith(("Sys-DiffScale-ScalarMul-", "System-ModelDiffScale-ScalarMul")):
        return ("scalar_mul_by_tensor" if operands == 2 else "scalar_mul",)
    if name.startswith("System-Train-DynamicLossScale-") and name.endswith("-CountNotFinite"):
        return ("identity" if operands else "constant",)
    for prefix, types in _PREFIXES:
        if name.startswith(prefix):
            return types
    for suffix, op_type in _SUFFIXES:
        if suffix.search(name):
            return (op_type,)
    return ()


def free_tensor_module(variable: str) -> str | None:
    """The module path of a tensor outside the module tree, `<module>-FreeEagerTensor-N`; None for other variables."""
    path, mark, _ = variable.partition("-FreeEagerTensor-")
    if mark:
        return path
    return "" if variable.startswith("FreeEagerTensor-") else None
