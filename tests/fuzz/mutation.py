# SPDX-License-Identifier: BSD-3-Clause
"""Bad input out of good input: bits, lengths, numbers, pieces of other inputs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

_MOST_DAMAGES = 8
_EDGE_BYTES = 600  # headers and directories are hit more often than the bulk between them
_NUMBERS = (
    0, 1, 2, 7, 8, 15, 16, 63, 127, 128, 255, 256, 511, 512, 513, 4095, 4096, 4097, 0x7FFF, 0x8000,
    0xFFFF, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 32,
    (1 << 63) - 1, 1 << 63, (1 << 64) - 1,
)  # fmt: skip
_TEXTS = (
    b"0", b"-1", b"00", b"0x", b"0x10", b"4294967296", b"18446744073709551615",
    b"18446744073709551616", b"9" * 400, b"1e999", b"NaN", b"1.", b"\0", b"\n", b"\r\n", b" ", b'"',
    b"'", b"<", b">", b"&", b"]]>", b"<!--", b"&#0;", b"&lt;", b"{", b"}", b"[", b"]", b",", b"..",
    b"../", b"/", b"\\", b"C:\\", b"%s", b"\x1b[2J", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3(",
    b"\xed\xa0\x80", "\u202e".encode(), "\u0665".encode(), "\u00b2".encode(),
)  # fmt: skip
_DIGITS = re.compile(rb"[0-9]+")


def mutated(
    data: bytes, random: Random, others: Sequence[bytes], words: Sequence[bytes], most_bytes: int
) -> bytes:
    """Return data with one to eight damages. others: inputs to take pieces of."""
    changing = _Changing(bytearray(data), random, others, words)
    for _ in range(min(random.randint(1, _MOST_DAMAGES), random.randint(1, _MOST_DAMAGES))):
        random.choice(_DAMAGES)(changing)
        del changing.data[most_bytes:]
    return bytes(changing.data)


@dataclass
class _Changing:
    """An input that is being damaged."""

    data: bytearray
    random: Random
    others: Sequence[bytes]
    words: Sequence[bytes]

    def place(self) -> int:
        """Return a place in data, or its end."""
        size, random = len(self.data), self.random
        match random.randrange(4):
            case 0:
                return random.randint(0, min(size, _EDGE_BYTES))
            case 1:
                return random.randint(max(0, size - _EDGE_BYTES), size)
            case _:
                return random.randint(0, size)

    def run(self, data: bytearray | None = None) -> tuple[int, int]:
        """Return where a run of data begins and ends; mostly a short one."""
        size = len(self.data if data is None else data)
        at = self.place() if data is None else self.random.randint(0, size)
        longer = (self.random.randint(1, 64), self.random.randint(1, 4096))
        return at, min(size, at + self.random.choice((1, 2, 4, 8, 16, *longer)))

    def flip(self) -> None:
        if self.data:
            self.data[min(self.place(), len(self.data) - 1)] ^= 1 << self.random.randrange(8)

    def byte(self) -> None:
        if self.data:
            self.data[min(self.place(), len(self.data) - 1)] = self.random.randrange(256)

    def number(self) -> None:
        """Put a number in place of the bytes there: a remarkable one, or one near theirs."""
        data, random = self.data, self.random
        width = random.choice((1, 2, 4, 4, 8))
        big = random.random() < 0.3
        at = self.place()
        if random.random() < 0.4:
            value = int.from_bytes(data[at : at + width], "big" if big else "little")
            value += random.randint(-2, 2)
        else:
            value = random.choice((*_NUMBERS, len(data), len(data) - at)) + random.randint(-1, 1)
        value %= 1 << 8 * width
        data[at : at + width] = value.to_bytes(width, "big" if big else "little")

    def digits(self) -> None:
        """Put another number in place of one that is written in digits."""
        found = list(_DIGITS.finditer(self.data))
        if found:
            match = self.random.choice(found)
            near = int(match[0][:20]) + self.random.choice((-1, 1))
            value = max(0, self.random.choice((*_NUMBERS, near)))
            form = self.random.choice((b"%d", b"%d", b"-%d", b"0x%x", b"0%d"))
            self.data[match.start() : match.end()] = form % value

    def cut(self) -> None:
        at, end = self.run()
        del self.data[at:end]

    def truncate(self) -> None:
        del self.data[self.place() :]

    def repeat(self) -> None:
        at, end = self.run()
        times = self.random.choice((1, 1, 1, 2, 10, 300))
        self.data[at:at] = (self.data[at:end] * times)[: 1 << 17]

    def fill(self) -> None:
        at, end = self.run()
        self.data[at:end] = self.random.choice((b"\0", b"\xff", b"A")) * (end - at)

    def insert(self) -> None:
        at = self.place()
        size = self.random.choice((1, 2, 4, 8, self.random.randint(1, 64)))
        self.data[at:at] = self.random.randbytes(size)

    def word(self) -> None:
        at = self.place()
        word = self.random.choice((*self.words, self.random.choice(_TEXTS)))
        self.data[at : at + self.random.choice((0, len(word)))] = word

    def splice(self) -> None:
        """Put a piece of another input somewhere."""
        other = bytearray(self.random.choice(self.others) if self.others else b"")
        start, stop = self.run(other)
        if self.random.random() < 0.3:
            stop = len(other)
        at = self.place()
        end = at + self.random.choice((0, stop - start, len(self.data)))
        self.data[at:end] = other[start:stop]

    def swap(self) -> None:
        """Let two runs of the same length change places."""
        data = self.data
        one, end = self.run()
        other = self.place()
        length = min(end - one, len(data) - other, abs(other - one))
        first, second = data[one : one + length], data[other : other + length]
        data[one : one + length], data[other : other + length] = second, first


_DAMAGES: tuple[Callable[[_Changing], None], ...] = (
    _Changing.flip, _Changing.byte, _Changing.byte, *(_Changing.number,) * 4,
    *(_Changing.digits,) * 2, _Changing.cut, _Changing.truncate, _Changing.repeat, _Changing.fill,
    _Changing.insert, *(_Changing.word,) * 2, _Changing.splice, _Changing.swap,
)  # fmt: skip
