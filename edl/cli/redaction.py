# SPDX-License-Identifier: BSD-3-Clause
"""Private words out of texts: who uses this computer, where, and which phone it was.

Each word gets one name wherever it stands, in whatever form (`SERIAL-1` for 1a2b3c4d, 0x1A2B3C4D
and 439041101), so that what belongs together can still be seen. Pure text; nothing is looked up.

Serial numbers, IMEI (14 to 16 digits, also in groups), ICCID (89 and 17 or 18 digits), MAC and IP
addresses, mail addresses, GUIDs of partitions, home folders, names of users and of the computer.
Left as they are: chips, HWID and hashes of makers' keys, which whole models share; digests; names
of partitions, and of files outside of home folders.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SMALLEST_WORD = 3
_SMALLEST_DECIMAL = 7
_SMALLEST_INSIDE = 1 << 24  # smaller numbers are in every dump
# names that tell nothing about anybody
_COMMON = {"root", "user", "users", "admin", "administrator", "home", "public", "localhost", "edl",
           "debian", "ubuntu", "runner", "tmp", "media", "none", "default"}  # fmt: skip
_HOMES = (
    re.compile(r"/(?:home|Users|run/media|media)/([^/\s\"'\\:;,]+)"),
    re.compile(r"[A-Za-z]:(?:\\\\?|/)Users(?:\\\\?|/)([^\\/\s\"':;,]+)", re.IGNORECASE),
)
_SERIALS = (
    re.compile(r"_SN:(?:0x)?([0-9a-f]{1,16})", re.IGNORECASE),
    re.compile(
        r"(?:\bserial|--serial|\bserial[ _-]?(?:number|no\.?)|\bsn|-S)"
        r"[\"']?\s*(?:[:=,]\s*|\s|is\s)[\"']?(?:0x)?([0-9a-f]{6,16})\b",
        re.IGNORECASE,
    ),
    re.compile(r"\bphones[/\\]+([0-9a-f]{8,16})\b", re.IGNORECASE),
)
_ANY = re.IGNORECASE
_PATTERNS = (
    ("ICCID", re.compile(r"(?<![0-9A-Za-z.])89\d{17,18}(?![0-9A-Za-z])")),
    ("IMEI", re.compile(r"(?<![0-9A-Za-z.])(?<!hwid.: )\d{14,16}(?![0-9A-Za-z])")),
    ("IMEI", re.compile(r"(?<![0-9A-Za-z-])\d{2}[ -]\d{6}[ -]\d{6}[ -]\d(?:\d)?(?![0-9A-Za-z-])")),
    ("MAC", re.compile(r"(?<![0-9A-F:-])(?:[0-9A-F]{2}[:-]){5}[0-9A-F]{2}(?![0-9A-F:-])", _ANY)),
    ("GUID", re.compile(r"\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")),
    ("MAIL", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    # what begins with one digit is a version
    ("ADDRESS", re.compile(r"(?<![\w.-])(?!127\.)\d{2,3}(?:\.\d{1,3}){3}(?![\w-]|\.\d)")),
)  # fmt: skip


class Redactor:
    """Replaces private words. What is learnt of one text counts for all: `learn` all of them first.

    homes: folders of the user's, by the word that takes their place; users: names of people and of
    the computer.
    """

    def __init__(self, homes: Iterable[tuple[str, str]] = (), users: Iterable[str] = ()) -> None:
        self._names: dict[str, str] = {}  # a word in lower case -> what takes its place
        self._inside: dict[str, str] = {}  # the same for what stands inside of dumps, as it is
        self._counts: dict[str, int] = {}
        self._homes = sorted(((path, name) for path, name in homes if len(path) > 1), reverse=True)
        for user in users:
            self._learn_user(user)

    @property
    def replaced(self) -> int:
        """How many different words have a name."""
        return len(set(self._names.values()))

    def learn_serial(self, text: str) -> None:
        """Note a serial number, hexadecimal; a phone without one has 0."""
        number = int(text, 16)
        if not number:
            return
        known = f"{number:08x}"
        if known in self._names:
            return
        name = self._new("SERIAL")
        forms = {known, text.lower(), f"{number:x}", f"{number:016x}"}
        if len(str(number)) >= _SMALLEST_DECIMAL:
            forms.add(str(number))
        self._names.update(dict.fromkeys((form for form in forms if len(form) >= 6), name))
        if _SMALLEST_INSIDE <= number < 1 << 32:
            raw = number.to_bytes(4, "little")  # as the boot ROM gives it
            for form in (known, known.upper(), raw.hex(), raw.hex().upper(), repr(raw)[2:-1]):
                self._inside[form] = name

    def learn(self, text: str) -> None:
        """Note the private words of a text."""
        for pattern in _HOMES:
            for match in pattern.finditer(text):
                self._learn_user(match[1])
        for pattern in _SERIALS:
            for match in pattern.finditer(text):
                self.learn_serial(match[1])
        for kind, pattern in _PATTERNS:
            for match in pattern.finditer(text):
                word = match[0].lower()
                bare = re.sub(r"[ -]", "", word) if kind == "IMEI" else word
                name = self._names.get(bare) or self._new(kind)
                self._names[bare] = self._names[word] = name

    def text(self, text: str) -> str:
        """Return text without what was learnt."""
        for path, name in self._homes:
            for form in {path, path.replace("\\", "\\\\"), path.replace("\\", "/")}:
                text = re.sub(re.escape(form) + r"(?![\w-])", name, text)
        if not self._names:
            return text
        words = sorted(self._names, key=len, reverse=True)
        whole = re.compile(
            r"(?<![0-9A-Za-z])(0x0*)?(" + "|".join(map(re.escape, words)) + r")(?![0-9A-Za-z])",
            re.IGNORECASE,
        )
        text = whole.sub(lambda match: self._names[match[2].lower()], text)
        for word, name in self._inside.items():
            text = text.replace(word, name)
        return text

    def _learn_user(self, name: str) -> None:
        word = name.lower()
        if len(word) >= _SMALLEST_WORD and word not in _COMMON and word not in self._names:
            self._names[word] = self._new("USER")

    def _new(self, kind: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        return f"{kind}-{self._counts[kind]}"
