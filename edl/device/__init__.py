# SPDX-License-Identifier: BSD-3-Clause
"""A protocol core over a transport: the only place where the two meet."""
