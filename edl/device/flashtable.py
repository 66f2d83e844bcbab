# SPDX-License-Identifier: BSD-3-Clause
"""The partition table of a NAND chip, looked for where boot loaders keep it.

Nothing tells where the MIBIB begins: behind the first boot loader, at the beginning of an erase
block. Blocks that cannot be read are stepped over; bad ones lie among them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from edl.errors import AuthorizationError, DeviceRefusedError, DocumentError
from edl.firehose.commands import Area
from edl.formats import mibib
from edl.formats.mibib import FlashTable

_log = logging.getLogger(__name__)

_BLOCKS = 64  # of which one holds the first copy, as boot loaders have it
_COPIES = 2
_BEHIND = 8  # how far behind the first copy the second one is, bad blocks between them included


def read_table(
    read: Callable[[Area], bytes], lun: int, pages: int, page_bytes: int, pages_per_block: int
) -> FlashTable | None:
    """Return the table of a chip with that many pages, or None.

    read: gives the bytes of an area.

    Raises:
        AuthorizationError: the programmer is locked.
        DeviceRefusedError: nothing can be read at all.
    """
    copies: list[FlashTable] = []
    refusals: list[DeviceRefusedError] = []
    last = min(_BLOCKS, pages // pages_per_block)
    block = 0
    while block < last and len(copies) < _COPIES:
        head = Area(lun, block * pages_per_block, 1, page_bytes)
        try:
            if read(head).startswith(mibib.HEADER_MAGIC):
                whole = replace(head, sectors=mibib.COPY_PAGES)
                copies.append(mibib.parse_copy(read(whole), page_bytes))
                last = min(last, block + _BEHIND)
        except DocumentError as error:
            _log.debug("block %d: %s", block, error)
        except AuthorizationError:
            raise
        except DeviceRefusedError as error:
            _log.info("block %d: %s", block, error)
            refusals.append(error)
        block += 1
    if refusals and len(refusals) == block:
        raise refusals[0]
    return mibib.newest(copies)
