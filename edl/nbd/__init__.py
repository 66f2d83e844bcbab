# SPDX-License-Identifier: BSD-3-Clause
"""The phone as a block device: nbdkit speaks NBD with clients, this room with the phone."""
