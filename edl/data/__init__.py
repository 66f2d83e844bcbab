# SPDX-License-Identifier: BSD-3-Clause
"""Tables, the udev rule and the sample package: files, no code."""
