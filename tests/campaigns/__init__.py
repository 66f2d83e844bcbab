# SPDX-License-Identifier: BSD-3-Clause
"""Many random cases, whose result stands in docs/reliability.md."""
