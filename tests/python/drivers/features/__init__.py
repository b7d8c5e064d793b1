"""What each driver is asked for: one function a feature, a module for each group or two, in the order of the matrix.

A feature gets the driver and the `Shop` (shop.py) that is served. It returns if all came out right, raises `Lacks`
where the driver has no way to ask, and fails otherwise.
"""

from . import connections, metadata, values, parameters, results  # noqa: F401, I001 (the order of the matrix)
from .registry import GROUPS

__all__ = ["GROUPS"]
