# SPDX-License-Identifier: BSD-3-Clause
"""Streaming Download and DMSS Download, the protocols before Firehose, without I/O."""
