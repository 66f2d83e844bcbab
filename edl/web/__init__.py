# SPDX-License-Identifier: BSD-3-Clause
"""`edl web`: a page in the browser on what the command line does.

There is no logic of phones or packages here. Each job is a child process, `edl --dialog COMMAND`,
whose JSON lines (docs/json.md) are kept and passed on. So jobs share no fate with the server, with
the page, or with one another. Only this computer is listened to.
"""
