# SPDX-License-Identifier: BSD-3-Clause
"""Several virtual phones on one bus, as on a repair shop's bench.

msm8953*8                 eight phones of a profile, with serial numbers that follow one another
msm8953,link=40MB/s*4     with changes (see edl.virtual.profiles)
msm8953;sdm660*2;DIR      several kinds, and phones in folders
DIR                       a folder with a phone, or with folders that hold one each
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from edl.errors import UsageError
from edl.virtual.faults import Fault
from edl.virtual.phone import Phone
from edl.virtual.profiles import parse_spec
from edl.virtual.saved import FILE_NAME
from edl.virtual.usb import VirtualBackend

MOST_PHONES = 64
_COPIES = re.compile(r"(.*)\*(\d{1,3})")
_FIRST_SERIAL = 0x0BE7C001


class Bench:
    """The phones, plugged in until it is closed.

    Attributes:
        backend: the pyusb backend of their bus.
        phones: by location, as Linux writes it: `1-4`.
    """

    def __init__(self, text: str, faults: Iterable[Fault] = (), *, real_time: bool = False) -> None:
        """Plug in what text says. real_time: a modelled link takes as long as it says.

        faults: strike each phone by itself.

        Raises:
            UsageError: text names no phones, or too many.
            ImageError, AccessError, DiskError: a phone's folder is damaged, or cannot be used.
        """
        self.backend = VirtualBackend()
        self.phones: dict[str, Phone] = {}
        self._opened = ExitStack()
        try:
            for index, name in enumerate(names(text), 1):
                phone = Phone.named(name, backend=self.backend, real_time=real_time)
                self._opened.enter_context(phone)
                if real_time:
                    phone.clock.follow()
                phone.injector.add(faults)
                self.phones[f"1-{index}"] = phone
        except BaseException:
            self._opened.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take them off the bus; those in folders are kept there."""
        self._opened.close()


def names(text: str) -> list[str]:
    """Return the phones that text names, each as `Phone.named` takes it.

    Raises:
        UsageError: text names none, or too many.
    """
    found: list[str] = []
    for part in filter(None, text.split(";")):
        found += _of_part(part)
        if len(found) > MOST_PHONES:
            raise UsageError(f"'{text}' are more than {MOST_PHONES} phones.")
    if not found:
        raise UsageError(f"'{text}' names no virtual phone.")
    return found


def _of_part(part: str) -> list[str]:
    if not os.path.exists(part) and (copies := _COPIES.fullmatch(part)):  # noqa: PTH110  # any text
        profile, count = copies[1], int(copies[2])
        parse_spec(profile)
        numbers = range(min(count, MOST_PHONES + 1))
        return [f"{profile},serial={_FIRST_SERIAL + index:#010x}" for index in numbers]
    path = Path(part)
    if path.is_dir() and not (path / FILE_NAME).exists():
        return list(_inside(path))
    return [part]


def _inside(folder: Path) -> Iterator[str]:
    inner = sorted(path.parent for path in folder.glob(f"*/{FILE_NAME}"))
    if not inner:
        raise UsageError(f"There is no virtual phone in {folder}.")
    yield from map(str, inner)
