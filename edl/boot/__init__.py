# SPDX-License-Identifier: BSD-3-Clause
"""What a phone would do if it were restarted now, and what it came back as."""
