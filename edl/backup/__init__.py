# SPDX-License-Identifier: BSD-3-Clause
"""Backups of whole phones: what they consist of, how they are made, read and found."""
