# SPDX-License-Identifier: BSD-3-Clause
"""The command line, as the tests of commands have it."""

from tests.cli.conftest import edl as edl  # noqa: PLC0414  # a fixture
