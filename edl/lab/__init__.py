# SPDX-License-Identifier: BSD-3-Clause
"""Phones in a lab that another engine runs (docs/lab.md): drivers for labgrid, Jumpstarter.

`job` and `pack` need nothing but Python: a command line of edl, run wherever the phone is, and what
it says. `jumpstarter` is for the engine of that name. The rest is labgrid's: `resources` (phones,
and how an exporter offers them), `virtual`, `driver`, `strategy`; `labgrid` registers them all,
`exporter` is labgrid's exporter with them.
"""
