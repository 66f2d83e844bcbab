# SPDX-License-Identifier: BSD-3-Clause
"""Crash dumps of phones in 900E mode, saved into a folder. See docs/ramdump.md."""
