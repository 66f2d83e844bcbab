# SPDX-License-Identifier: BSD-3-Clause
"""The phone in software: boot ROM, programmers, storage, USB and its faults.

It shares no state machine with the host side, so that a wrong belief cannot cancel itself out.
"""
