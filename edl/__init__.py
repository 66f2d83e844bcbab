# SPDX-License-Identifier: BSD-3-Clause
"""Recovery of Qualcomm phones in emergency download mode (EDL, 9008 mode)."""

__version__ = "0.1.0"
