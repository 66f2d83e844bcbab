# SPDX-License-Identifier: BSD-3-Clause
"""Sahara, the protocol of the boot ROM: identifies the phone and takes the programmer."""
