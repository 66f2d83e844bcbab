# SPDX-License-Identifier: BSD-3-Clause
"""What users download, recognised by content: each module knows one kind of package."""
