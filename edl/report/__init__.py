# SPDX-License-Identifier: BSD-3-Clause
"""What a command did, as one page: `collect` keeps it, `page` shows it."""
