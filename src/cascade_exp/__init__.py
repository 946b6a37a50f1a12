"""cascade-exp: model cascades, from training to thresholds.

from cascade_exp import Cascade
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cascade_exp.runtime.cascade import Cascade as Cascade

__all__ = ["Cascade"]


def __getattr__(name: str) -> object:
    """``Cascade``, imported when it is first asked for, as torch comes with it."""
    if name == "Cascade":
        from cascade_exp.runtime.cascade import Cascade

        return Cascade
    raise AttributeError(f"module 'cascade_exp' has no attribute '{name}'")
