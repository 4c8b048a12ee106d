"""Kinds of edits counted in words, and numbers with their signs."""

from __future__ import annotations

from collections.abc import Mapping

from irflops.differ.edit import EDIT_KINDS
from irflops.differ.words import MINUS
from irflops.ir.certainty import Certainty
from irflops.report.numbers import UNKNOWN, Scale, Units, format_in, format_scaled

_NOUNS = {
    "op_added": ("operator added", "operators added"),
    "op_removed": ("operator removed", "operators removed"),
    "op_moved": ("operator moved", "operators moved"),
    "op_renamed": ("operator renamed", "operators renamed"),
    "op_retyped": ("operator of another type", "operators of another type"),
    "attr_changed": ("operator with other attributes", "operators with other attributes"),
    "shape_changed": ("shape changed", "shapes changed"),
    "dtype_changed": ("dtype changed", "dtypes changed"),
    "sbp_changed": ("sbp changed", "sbps changed"),
    "placement_changed": ("placement changed", "placements changed"),
    "edge_changed": ("edge changed", "edges changed"),
    "param_added": ("param added", "params added"),
    "param_removed": ("param removed", "params removed"),
    "param_resized": ("param resized", "params resized"),
    "param_frozen": ("param frozen", "params frozen"),
    "param_unfrozen": ("param unfrozen", "params unfrozen"),
    "param_tied": ("param tied", "params tied"),
    "param_untied": ("param untied", "params untied"),
    "module_added": ("module added", "modules added"),
    "module_removed": ("module removed", "modules removed"),
    "module_renamed": ("module renamed", "modules renamed"),
    "input_changed": ("input changed", "inputs changed"),
    "output_changed": ("output changed", "outputs changed"),
}


def counted(kinds: Mapping[str, int]) -> list[str]:
    """Numbers of edits by kind, in words."""
    return [f"{kinds[kind]:,} {_NOUNS[kind][kinds[kind] != 1]}" for kind in EDIT_KINDS if kinds.get(kind)]


# Numbers with a sign


def signed(value: int, unit: str = "", certainty: Certainty = Certainty.EXACT, units: Units | None = None) -> str:
    """A change of a count: `+1.81 G`, `-12`, `0`; `unknown` where it may be up or down.

    >>> signed(1814073344, "MACs"), signed(-12), signed(0), signed(-12, "", Certainty.LOWER_BOUND)
    ('+1.81 GMACs', '-12', '0', 'unknown')
    """
    if not certainty.tells_direction(value):
        return UNKNOWN
    sign = "" if value == 0 else "+" if value > 0 else MINUS
    return f"{certainty.sign}{sign}{format_in(abs(value), unit, units or {}) if value else 0}"


def signed_scaled(value: int, scale: Scale, certainty: Certainty = Certainty.EXACT) -> str:
    """A change in the unit of its column; `unknown` where it may be up or down."""
    if not certainty.tells_direction(value):
        return UNKNOWN
    sign = "+" if value > 0 else MINUS
    text = format_scaled(abs(value), scale)
    return certainty.sign + ("0" if value == 0 else f"<{sign}{text[1:]}" if text.startswith("<") else f"{sign}{text}")


def relative(old: int, new: int, before: Certainty = Certainty.EXACT, change: Certainty = Certainty.EXACT) -> str:
    """A change in percent of what was; `new` where nothing was, `x 12` from ten times on, nothing where either is not known.

    `before` says how sure the old figure is, `change` how sure the change.

    >>> relative(200, 150), relative(1000, 1001), relative(0, 5), relative(1, 12), relative(10**9, 10**9 + 1), relative(3, 3)
    ('-25.0%', '+0.1%', 'new', 'x 12.0', '<+0.1%', '')
    """
    if old == new or not before.is_exact or not change.tells_direction(new - old):
        return ""
    return change.sign + _relative(old, new)


def _relative(old: int, new: int) -> str:
    if old == 0:
        return "new"
    if new >= 10 * old > 0:
        tenths = new * 10 // old
        return f"x {tenths // 10:,}.{tenths % 10}"
    permille = (abs(new - old) * 2000 + abs(old)) // (2 * abs(old))
    sign = "+" if new > old else MINUS
    return f"{sign}{permille // 10}.{permille % 10}%" if permille else f"<{sign}0.1%"


# The greatest changes

_SAID = {"macs": "MACs", "flops": "FLOPs", "params.optimizer_state": "optimizer states"}
_TOLD_BY_ANOTHER = ("activation_elements", "param_bytes", "bytes")
"""Costs that change with another one that is told."""


def greatest(sides: Mapping[str, tuple[int, int]], texts: Mapping[str, str], most: int = 3) -> list[str]:
    """The greatest relative changes among costs, in words, by what each was and is; `texts` says how much each changed, if that is known.

    >>> greatest({"macs": (8, 8), "saved_bytes": (200, 20), "bytes_read": (10, 14)}, {"saved_bytes": "-90.0%", "bytes_read": "+40.0%"})
    ['saved bytes -90.0%', 'bytes read +40.0%']
    """
    changed = [name for name in sides if texts.get(name) and name.partition(".")[0] not in _TOLD_BY_ANOTHER]
    changed.sort(key=lambda name: -_times(*sides[name]))
    words = {name: _SAID.get(name, name.replace("_", " ").replace(".", " ")) for name in changed}
    return [f"{words[name]} {texts[name]}" for name in changed[:most]]


def _times(old: int, new: int) -> float:
    """How many times the one is the other, the greater by the less."""
    less, more = sorted((abs(old), abs(new)))
    return float("inf") if not less else more * 1000 // less / 1000
