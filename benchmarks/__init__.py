# SPDX-License-Identifier: BSD-3-Clause
"""How fast it is, against virtual phones: `python -m benchmarks`. See docs/performance.md."""
