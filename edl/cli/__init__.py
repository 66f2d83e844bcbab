# SPDX-License-Identifier: BSD-3-Clause
"""The command line: parses, asks and shows; everything else is below it."""
