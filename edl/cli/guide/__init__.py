# SPDX-License-Identifier: BSD-3-Clause
"""The guided rescue, `edl rescue`: a list of steps, each of which stands for a plain command."""
