# SPDX-License-Identifier: BSD-3-Clause
"""Images on the computer: files as what they stand for, dumps with LUNs and parts, work on them."""
