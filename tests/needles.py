"""The search for leaks is the one by which a node looks for people who were deleted."""

from clients.rights.needles import HEAD, found_in_bytes

__all__ = ["HEAD", "found_in_bytes"]
