"""The optimizer: its arguments, its step count, and one array for each weight and kind."""

from .restore import Restored, restore

__all__ = ["Restored", "restore"]
