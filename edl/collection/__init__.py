# SPDX-License-Identifier: BSD-3-Clause
"""Collections of loaders: folders of programmers, and an index of what is in them."""
