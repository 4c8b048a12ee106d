"""Numbers as people read them: short, with a named unit, and with how sure they are. Machines get the integers themselves.

Integer arithmetic throughout: counts have any number of digits, floats do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irflops.counting.ratio import Ratio
from irflops.ir.certainty import Certainty

UNKNOWN = "unknown"

_PREFIXES = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_BITS_A_DIGIT = 3.321928094887362

_TELL_NOTHING_OF_ZERO = (Certainty.LOWER_BOUND, Certainty.UNBOUNDED)
"""With these a figure of 0 says no more than that it is unknown."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A count as tables hold it: its value, None where nothing is known, and how sure it is."""

    value: int | None
    certainty: Certainty = Certainty.EXACT


def format_count(value: int | None, unit: str = "", certainty: Certainty = Certainty.EXACT) -> str:
    """A count with its unit, scaled: `1.81 GMACs`, `>= 118.01 MFLOPs`, `11.69 M params`, `44.6 MiB`, `unknown`.

    A unit that is an abbreviation takes the prefix (`GMACs`), a word is told apart from it (`M params`), `bytes` go by 1024; one of them is
    singular. Nothing is known where a lower bound is 0.

    >>> format_count(1814073344, "MACs"), format_count(999_999, "FLOPs", Certainty.LOWER_BOUND), format_count(46758048, "bytes")
    ('1.81 GMACs', '>= 1.00 MFLOPs', '44.6 MiB')
    """
    if value is None or (value == 0 and certainty in _TELL_NOTHING_OF_ZERO):
        return UNKNOWN
    number = _binary(value) if unit == "bytes" else _decimal(value, unit)
    return certainty.sign + number


def format_exact(value: int | None, certainty: Certainty = Certainty.EXACT) -> str:
    """A count digit by digit in groups of three, up to a million millions; scaled beyond.

    >>> format_exact(11689512), format_exact(10**18)
    ('11,689,512', '1.00 E')
    """
    if value is None or value >= 10**12:
        return format_count(value, "", certainty)
    if value == 0 and certainty in _TELL_NOTHING_OF_ZERO:
        return UNKNOWN
    return f"{certainty.sign}{value:,}"


def format_things(number: int, thing: str) -> str:
    """A number of things, by the name of one of them.

    >>> format_things(1, "module"), format_things(1234, "module")
    ('1 module', '1,234 modules')
    """
    return f"{number:,} {thing}{'s' if number != 1 else ''}"


def format_share(ratio: Ratio) -> str:
    """A part in percent, `` where the whole is nothing.

    >>> format_share(Ratio(118, 1000)), format_share(Ratio(1, 10**9)), format_share(Ratio(0, 7))
    ('11.8%', '<0.1%', '0.0%')
    """
    if ratio.whole <= 0:
        return ""
    permille = (ratio.part * 2000 + ratio.whole) // (2 * ratio.whole)
    if permille == 0 and ratio.part > 0:
        return "<0.1%"
    return f"{permille // 10}.{permille % 10}%"


def format_ratio(ratio: Ratio, unit: str) -> str:
    """A quotient with its unit: `30.7 FLOP/byte`, `unknown` where there is none.

    >>> format_ratio(Ratio(3637806568, 118564224), "FLOP/byte")
    '30.7 FLOP/byte'
    """
    if ratio.whole <= 0:
        return UNKNOWN
    tenths = (ratio.part * 20 + ratio.whole) // (2 * ratio.whole)
    if tenths >= 10_000:
        return format_count((tenths + 5) // 10, unit, ratio.certainty)
    return f"{ratio.certainty.sign}{tenths // 10}.{tenths % 10} {unit}"


def decimal_ratio(ratio: Ratio) -> str:
    """A ratio as a decimal for machines, six places, `` where there is none."""
    if ratio.whole <= 0:
        return ""
    millionths = (ratio.part * 2_000_000 + ratio.whole) // (2 * ratio.whole)
    return f"{millionths // 1_000_000}.{millionths % 1_000_000:06}"


@dataclass(frozen=True, slots=True)
class Scale:
    """One unit for a column of counts, so that they compare at a glance: `MFLOPs`, `MiB`."""

    unit: str
    divisor: int


def common_scale(largest: int, unit: str) -> Scale:
    """The unit in which the largest count of a column has three to five digits before the point, or two to four of bytes.

    >>> common_scale(3637806568, "FLOPs"), common_scale(118_000_000, "bytes")
    (Scale(unit='MFLOPs', divisor=1000000), Scale(unit='MiB', divisor=1048576))
    """
    base, least = (1024, 10) if unit == "bytes" else (1000, 100)
    power = max((p for p in range(1, len(_PREFIXES)) if largest >= least * base**p), default=0)
    if unit == "bytes":
        return Scale(_BINARY[power], base**power)
    joined = "" if unit[:1].isupper() or not power else " "
    return Scale(f"{_PREFIXES[power]}{joined}{unit}", base**power)


Units = Mapping[str, Scale]
"""By `MACs`, `FLOPs` and `bytes` the units of a report, so that figures of all of its tables compare."""


def common_units(work: int, moved: int) -> Units:
    """The units of a report whose greatest figures are so many MACs or FLOPs, and so many bytes; MACs and FLOPs have one prefix.

    >>> common_units(3637806568, 118564224)["MACs"], common_units(3637806568, 118564224)["bytes"]
    (Scale(unit='MMACs', divisor=1000000), Scale(unit='MiB', divisor=1048576))
    """
    found = {"bytes": common_scale(moved, "bytes")} if moved else {}
    return found | ({unit: common_scale(work, unit) for unit in ("MACs", "FLOPs")} if work else {})


def format_in(value: int | None, unit: str, units: Units, certainty: Certainty = Certainty.EXACT) -> str:
    """A count with its unit, in the report's where it has one for it, else scaled by itself; exactly nothing has no prefix.

    >>> format_in(802816, "FLOPs", common_units(3637806568, 0)), format_in(1, "MACs", common_units(999, 0))
    ('0.80 MFLOPs', '1 MAC')
    """
    scale = units.get(unit)
    if scale is None or scale.divisor == 1 or not value or value >= 10**15 * scale.divisor:
        return format_count(value, unit, certainty)
    return f"{format_scaled(value, scale, certainty)} {scale.unit}"


def format_scaled(value: int | None, scale: Scale, certainty: Certainty = Certainty.EXACT) -> str:
    """A count in the unit of its column, which is left to the heading. Exactly nothing is `0`, next to nothing `<0.01`.

    >>> format_scaled(802816, Scale("MFLOPs", 10**6)), format_scaled(1, Scale("MFLOPs", 10**6)), format_scaled(0, Scale("MFLOPs", 10**6))
    ('0.80', '<0.01', '0')
    """
    if value is None or (value == 0 and certainty in _TELL_NOTHING_OF_ZERO):
        return UNKNOWN
    if value == 0 or scale.divisor == 1:
        return format_exact(value, certainty)
    hundredths = (value * 200 + scale.divisor) // (2 * scale.divisor)
    if hundredths == 0:
        return f"{certainty.sign}<0.01"
    if hundredths >= 10**17:
        return f"{certainty.sign}{_scientific(value // scale.divisor)}"
    return f"{certainty.sign}{hundredths // 100:,}.{hundredths % 100:02}"


def _decimal(value: int, unit: str) -> str:
    joined = unit[:1].isupper()
    if value < 1000:
        return f"{value} {unit.removesuffix('s') if value == 1 else unit}".rstrip()
    for power, prefix in enumerate(_PREFIXES[1:], 1):
        hundredths = (value * 200 + 1000**power) // (2 * 1000**power)
        if hundredths < 100_000:
            number = f"{hundredths // 100}.{hundredths % 100:02}"
            return f"{number} {prefix}{unit}" if joined else f"{number} {prefix} {unit}".rstrip()
    return f"{_scientific(value)} {unit}".rstrip()


def _binary(value: int) -> str:
    if value < 1024:
        return "1 byte" if value == 1 else f"{value} bytes"
    for power, unit in enumerate(_BINARY[1:], 1):
        tenths = (value * 20 + 1024**power) // (2 * 1024**power)
        if tenths < 10_240:
            return f"{tenths // 10}.{tenths % 10} {unit}"
    return f"{_scientific(value)} bytes"


def _scientific(value: int) -> str:
    """`1.23e45` of an integer that has too many digits to be written out."""
    exponent = max(0, int(value.bit_length() / _BITS_A_DIGIT) - 4)
    leading = value // 10**exponent
    digits = str(leading)
    return f"{digits[0]}.{digits[1:3]}e{exponent + len(digits) - 1}"
