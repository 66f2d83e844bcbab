# SPDX-License-Identifier: BSD-3-Clause
"""Validated image programming (VIP): jobs whose every transfer was hashed and signed beforehand."""
