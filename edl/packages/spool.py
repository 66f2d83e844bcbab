# SPDX-License-Identifier: BSD-3-Clause
"""The spool for files of archives, under the name by which formats know it: see `edl.spool`."""

from __future__ import annotations

from edl.spool import at_hand, clean, folder_of, kept, unpacked

__all__ = ["at_hand", "clean", "folder_of", "kept", "unpacked"]
