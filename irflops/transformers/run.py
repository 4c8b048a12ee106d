"""A training run: as many steps as its tokens take, and the time of devices that these are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Run:
    """A run over a number of tokens, by the count of one step."""

    tokens: int
    step_tokens: int
    """T."""
    step_flops: int
    params: int
    """P."""
    devices: int

    @property
    def steps(self) -> int:
        """Whole steps."""
        return -(-self.tokens // self.step_tokens)

    @property
    def flops(self) -> int:
        """FLOPs of all steps, as counted."""
        return self.steps * self.step_flops

    @property
    def by_parameters(self) -> int:
        """6 P for each token."""
        return 6 * self.params * self.tokens

    def device_hours(self, step_s: float | None) -> float | None:
        """Hours of all devices together where a step takes that many seconds; None where that is not known."""
        return None if step_s is None else self.steps * step_s * self.devices / _SECONDS

    def to_dict(self, floor_s: float | None = None, estimate_s: float | None = None) -> dict[str, Any]:
        """Plain data, for the JSON; with seconds of a step at its floor and as estimated."""
        return {
            "tokens": self.tokens,
            "steps": self.steps,
            "flops": self.flops,
            "six_p_tokens": self.by_parameters,
            "devices": self.devices,
            "device_hours": {"floor": self.device_hours(floor_s), "estimate": self.device_hours(estimate_s)},
        }
