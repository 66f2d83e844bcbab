# SPDX-License-Identifier: BSD-3-Clause
"""Looks at the computer and the cable, and changes nothing.

A check is data: a fact, a verdict, and the command that mends it. What a system does not tell is
"unknown", never guessed. Start with `examine.py`.
"""
