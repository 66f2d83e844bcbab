# SPDX-License-Identifier: BSD-3-Clause
"""A job as data: built, shown, checked, rehearsed, executed with a journal, verified."""
