# SPDX-License-Identifier: BSD-3-Clause
"""Programmers of the virtual phones, signed with public test keys, and what makes them."""
