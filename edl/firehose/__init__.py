# SPDX-License-Identifier: BSD-3-Clause
"""Firehose, the XML protocol of programmers: reads and writes raw sectors."""
