# SPDX-License-Identifier: BSD-3-Clause
"""The one way to declare a binary layout: a class whose fields are its bytes.

    class Done(Packet):
        command: u32
        length: u32

All integers are little-endian; `Done.unpack(data)` and `done.pack()` follow from the declaration.
"""

from __future__ import annotations

import dataclasses
import enum
import struct
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, dataclass_transform, get_args, get_type_hints

from edl.errors import ProtocolError


@dataclass(frozen=True)
class Wire:
    """How a field lies on the wire: one `struct` format code, such as "I" or "24s"."""

    code: str


u8 = Annotated[int, Wire("B")]
u16 = Annotated[int, Wire("H")]
u32 = Annotated[int, Wire("I")]
u64 = Annotated[int, Wire("Q")]


class OpenEnum(enum.IntEnum):
    """An enumeration of the wire that keeps values it does not know.

    A new phone must not crash an old tool: `Status(0x4d)` is a member named `UNKNOWN_0x4d`.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._name_ = f"UNKNOWN_{value:#x}"
        member._value_ = value
        return member

    @property
    def known(self) -> bool:
        """Whether this value has a name of its own."""
        return self.name in type(self).__members__


@dataclass_transform(frozen_default=True)
class Packet:
    """A fixed binary layout. Subclasses become frozen dataclasses with `pack` and `unpack`."""

    _struct: ClassVar[struct.Struct] = struct.Struct("<")
    _names: ClassVar[tuple[str, ...]] = ()
    _enums: ClassVar[tuple[type[enum.Enum] | None, ...]] = ()

    def __init_subclass__(cls, **keywords: Any) -> None:  # noqa: ANN401
        super().__init_subclass__(**keywords)
        dataclass(frozen=True)(cls)
        hints = get_type_hints(cls, include_extras=True)
        cls._names = tuple(field.name for field in dataclasses.fields(cls))  # type: ignore[arg-type]
        declared = [get_args(hints[name]) for name in cls._names]
        cls._enums = tuple(
            kind if isinstance(kind, type) and issubclass(kind, enum.Enum) else None
            for kind, *_ in declared
        )
        codes = [mark.code for _, *marks in declared for mark in marks if isinstance(mark, Wire)]
        cls._struct = struct.Struct("<" + "".join(codes))

    @classmethod
    def size(cls) -> int:
        """Return the length of this layout in bytes."""
        return cls._struct.size

    def pack(self) -> bytes:
        """Return the bytes of this packet."""
        return self._struct.pack(*(getattr(self, name) for name in self._names))

    @classmethod
    def unpack(cls, data: bytes | bytearray | memoryview) -> Self:
        """Return the packet in data, which is exactly `size()` bytes long.

        Raises:
            ProtocolError: data has another length.
        """
        if len(data) != cls._struct.size:
            raise ProtocolError(
                f"{cls.__name__} takes {cls._struct.size} bytes, {len(data)} arrived."
            )
        raw = cls._struct.unpack(data)
        return cls(
            *(kind(value) if kind else value for kind, value in zip(cls._enums, raw, strict=True))
        )
