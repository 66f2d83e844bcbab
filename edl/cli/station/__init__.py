# SPDX-License-Identifier: BSD-3-Clause
"""A bench of phones: each that appears is flashed as `edl rawprogram` does it, at the same time.

`crew` watches the bus and gives each phone a `worker`; `rows` are what is known of them, `table`
shows it, `shared` makes one package serve them all.
"""
