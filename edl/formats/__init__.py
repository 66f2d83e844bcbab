# SPDX-License-Identifier: BSD-3-Clause
"""File formats of packages: bytes in, plain values out, no input or output of their own."""
