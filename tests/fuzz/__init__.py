# SPDX-License-Identifier: BSD-3-Clause
"""Hostile input for every protocol core and every parser: `python -m tests.fuzz --minutes 10`.

`table.py` holds the targets; `test_fuzz.py` gives each of them some inputs in every test run.
"""
