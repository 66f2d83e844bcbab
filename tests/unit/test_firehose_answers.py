# SPDX-License-Identifier: BSD-3-Clause
"""What real programmers told about themselves and their storage, from dialogues and public logs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from edl.firehose.answers import (
    Configuration,
    Greeting,
    Inquiry,
    StorageInfo,
    parse_configuration,
    parse_digest,
    parse_greeting,
    parse_peek,
    parse_storage_info,
)
from edl.firehose.host import FirehoseHost, Log, Response
from tests.conftest import shared

DIGEST = "71B590D93DCE7A66F749B3D94445741A00D24C8FCB1B34B313BFEAB42B5C888A"


def lines(name: str) -> list[str]:
    """Return the lines of a public log."""
    return shared(f"logs/{name}").read_text("utf-8", "replace").splitlines()


def documents(text: str) -> list[Log | Response]:
    """Return what the documents in text say."""
    core = FirehoseHost()
    core.receive(text.encode(), whole_transfer=False)
    events = iter(core.next_event, None)
    return [event for event in events if isinstance(event, Log | Response)]


def logged(text: str) -> list[str]:
    return [event.text for event in documents(text) if isinstance(event, Log)]


def recorded(name: str, command: str) -> list[str]:
    """Return each answer to command in a recorded dialogue, one text each."""
    text = shared(f"dialogues/{name}.txt").read_bytes().decode("latin-1")
    text = text.replace("<?xml?>", '<?xml version="1.0" encoding="UTF-8" ?>').replace("\\n", "\n")
    exchanges = re.split(r"^>> ", text, flags=re.MULTILINE)
    return [exchange for exchange in exchanges if exchange.startswith(command)]


# --- greetings

OLD = "program configure nop firmwarewrite patch setbootablestoragedrive ufs emmc power benchmark"
NEW = "program read nop patch configure setbootablestoragedrive erase power firmwarewrite"
NEW += " getstorageinfo benchmark emmc ufs fixgpt"
GREETINGS = {
    # file: prefix of its lines, functions, build date, serial, generation
    "96boards-documentation-244.txt": (
        "LOG: ",
        f"{OLD} read getstorageinfo getsha256digest erase peek poke",
        "Jul 15 2016 @ 04:52:20",
        0x283D458E,
        2,
    ),
    "bkerler-edl-714.txt": (
        "firehose - ",
        "program configure power benchmark read getstorageinfo erase nop",
        None,
        None,
        2,
    ),
    "public-doc-openq820-edl.txt": (
        "firehose - ",
        "program configure nop firmwarewrite patch setbootablestoragedrive ufs emmc readimei"
        " writeimei simlock power benchmark read emmcinfo getstorageinfo getsha256digest erase"
        " peek poke",
        None,
        0x2B5F6219,
        2,
    ),
    "bkerler-edl-423.txt": ("firehose - ", f"{NEW} getsha256digest", None, 0x46009AE2, 3),
    "bkerler-edl-442.txt": ("firehose - ", f"{NEW} sha256init sha256final", None, 0x35D93294, 3),
    "bkerler-edl-464.txt": (
        "firehose - ",
        f"{NEW} getsha256digest",
        "Jun 16 2023 @ 17:59:36",
        0xC51F7828,
        3,
    ),
    "bkerler-edl-267.txt": (
        "firehose - ",
        f"{NEW} getsha256digest getvar dump",
        "Jan 28 2022 @ 13:31:37",
        0xCF341A89,
        3,
    ),
    "bkerler-edl-669.txt": (
        "firehose - ",
        f"{NEW} getsha256digest gethwversion getrfversion getprjversion eraseuserdata sha256init"
        " sha256final demacia setprojmodel getddrtype",
        None,
        0xDB543462,
        3,
    ),
}


@pytest.mark.parametrize("name", GREETINGS)
def test_greetings_in_public_logs(name: str) -> None:
    prefix, functions, build_date, serial, generation = GREETINGS[name]
    logs = [line.removeprefix(prefix) for line in lines(name) if line.startswith(prefix)]
    expected = Greeting(frozenset(functions.split()), build_date, serial, generation)
    assert parse_greeting(logs, None) == expected


@pytest.mark.parametrize(
    ("name", "functions", "date", "serial"),
    [
        (
            "EDLTests-readme-raw.txt",
            f"{NEW} getsha256digest",
            "Aug 12 2020 @ 02:06:09",
            0x3EB3EBC4,
        ),
        (
            "qualcomm-qdlrs-commit-9eb1fad.txt",
            f"{NEW} getsha256digest",
            "Feb 17 2022 @ 12:09:40",
            0x26A75CBA,
        ),
    ],
)
def test_greetings_in_raw_streams(name: str, functions: str, date: str, serial: int) -> None:
    logs = logged("\n".join(lines(name)))
    assert parse_greeting(logs, 3) == Greeting(frozenset(functions.split()), date, serial, 3)


@pytest.mark.parametrize("end", [["INFO: End of supported functions 3"], []])
def test_a_list_of_which_a_line_got_lost_is_not_complete(end: list[str]) -> None:
    greeting = parse_greeting(
        ["INFO: Supported Functions (3):", "INFO: program", "INFO: nop", *end], 3
    )
    assert greeting.functions == frozenset({"program", "nop"})
    assert not greeting.complete


def test_a_greeting_that_hides_its_serial_number() -> None:
    logs = [line.split("TARGET SAID: '")[-1].rstrip("'") for line in lines("xda-4357885.txt")]
    assert "INFO: Chip serial num: Not shown (0xNot Shown)" in logs
    assert parse_greeting(logs, 3) == Greeting(None, "Dec 19 2019 @ 20:53:50", None, 3)


@pytest.mark.parametrize(
    ("logs", "hint", "greeting"),
    [
        ([], None, Greeting()),
        ([], 2, Greeting(generation=2)),
        (["logbuf@0x0801CDF0 fh@0x08019C58"], None, Greeting(generation=1)),
        # what it says counts for more than the form in which it says it
        (["logbuf@0x0801CDF0 fh@0x08019C58"], 3, Greeting(generation=1)),
        (["Supported Functions: nop read "], 3, Greeting(frozenset({"nop", "read"}), generation=2)),
        (["Supported Functions: "], 2, Greeting(generation=2)),
        # executed: what an SDM660 says after its start
        (
            [
                "Binary build date: Jun  9 2018 @ 18:19:02",
                "Chip serial num: 439041101 (0x1a2b3c4d)",
                "Supported Functions: program configure nop peek poke ",
            ],
            2,
            Greeting(
                frozenset({"program", "configure", "nop", "peek", "poke"}),
                "Jun  9 2018 @ 18:19:02",
                0x1A2B3C4D,
                2,
            ),
        ),
        (["INFO: Supported Functions (0):"], None, Greeting(frozenset(), generation=3)),
        # a list without its end, and with other lines in it
        (
            [
                "INFO: Supported Functions (2):",
                "INFO: ufs: SAMSUNG",
                "INFO: Read",
                "INFO: nop",
                "x",
            ],
            None,
            Greeting(frozenset({"read", "nop"}), generation=3),
        ),
        # a list that ends too early
        (
            ["Supported Functions (9):", "read", "End of supported functions 9", "Binary"],
            None,
            Greeting(frozenset({"read"}), generation=3, complete=False),
        ),
        # the second list counts: <nop> repeats the greeting
        (
            ["Supported Functions (2):", "a", "b", "Supported Functions (1):", "c"],
            None,
            Greeting(frozenset({"c"}), generation=3),
        ),
        (["Supported Functions (99999999):", "a"], 1, Greeting(generation=1)),
        ([f"Chip serial num: 1 (0x{'f' * 17})"], None, Greeting()),
    ],
)
def test_greetings(logs: list[str], hint: int | None, greeting: Greeting) -> None:
    assert parse_greeting(logs, hint) == greeting


# --- configuration


@pytest.mark.parametrize(
    ("name", "configurations"),
    [
        ("msm8916-plain", [Configuration("eMMC", 16384, 16384, "8916", "")]),
        ("msm8953-plain", [Configuration("eMMC", 16384, 1048576, "8953", "")]),
        (
            "sdm660-plain",
            [Configuration("eMMC", 16384, 16384, "MSM8996", "Jun  9 2018 - 18:19:02")],
        ),
        ("qcm2290-plain", [Configuration("eMMC", 16384, 16384, "", "Mar 16 2022 - 11:57:42")]),
        (
            "qcm2290-ufs",
            [
                Configuration("UFS", 16384, 16384, "", "Mar 16 2022 - 11:57:42"),
                Configuration("eMMC", 16384, 16384, "", "Mar 16 2022 - 11:57:42"),
                Configuration("UFS", 16384, 16384, "", "Mar 16 2022 - 11:57:42"),
                Configuration("UFS", 16384, 16384, "", "Mar 16 2022 - 11:57:42"),
            ],
        ),
    ],
)
def test_recorded_answers_to_configure(name: str, configurations: list[Configuration]) -> None:
    answers = [
        event
        for text in recorded(name, "<configure")
        for event in documents(text)
        if isinstance(event, Response)
    ]
    assert [parse_configuration(answer) for answer in answers] == configurations


@pytest.mark.parametrize(
    ("attributes", "configuration"),
    [
        # a refusal that names what would do is an offer: firehose handbook §15.2
        (
            {
                "value": "NAK", "MinVersionSupported": "1", "MemoryName": "eMMC",
                "MaxPayloadSizeFromTargetInBytes": "4096",
                "MaxPayloadSizeToTargetInBytes": "16384",
                "MaxPayloadSizeToTargetInBytesSupported": "16384", "MaxXMLSizeInBytes": "4096",
                "Version": "1", "TargetName": "8916",
            },
            Configuration("eMMC", 16384, 16384, "8916", ""),
        ),
        # generation 3 that was told no size, and no storage that it knows
        (
            {
                "MemoryName": "none", "MaxPayloadSizeToTargetInBytes": "0",
                "maxpayloadsizetotargetinbytessupported": "0",
            },
            Configuration("none", 0, 0, "", ""),
        ),
        ({"value": "NAK", "rawmode": "false"}, Configuration("", 0, 0, "", "")),
        (
            {
                "MaxPayloadSizeToTargetInBytes": "-1",
                "MaxPayloadSizeToTargetInBytesSupported": "9" * 5000,
            },
            Configuration("", 0, 0, "", ""),
        ),
        (
            {
                "MaxPayloadSizeToTargetInBytes": "\u00b2",
                "MaxPayloadSizeToTargetInBytesSupported": "0x1000",
            },
            Configuration("", 0, 0, "", ""),
        ),
    ],
)  # fmt: skip
def test_answers_to_configure(attributes: dict[str, str], configuration: Configuration) -> None:
    for ack in (True, False):
        assert parse_configuration(Response(ack, None, attributes)) == configuration


# --- storage


def facts(info: StorageInfo) -> tuple[object, ...]:
    return (
        info.sectors, info.sector_bytes, info.luns, info.memory, info.product,
        info.manufacturer_id, info.serial, info.firmware,
    )  # fmt: skip


UFS_EMULATED = (6, "ufs", "VIRTUAL-UFS-00010100", 462, 0x434F5250, "100")
GARBAGE = (None, None, None, None, None, None, None, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("msm8916-plain", [(65536, 512, 3, None, None, None, None, None)]),
        ("msm8953-plain", [(65536, 512, 3, "emmc", "EMUMMC", 21, 0xDEADBEEF, "287454020")]),
        # its text says 0 LUNs, its JSON 3
        ("sdm660-plain", [(65536, 512, 3, "emmc", "EMUMMC", 21, 0xDEADBEEF, "287454020")]),
        ("qcm2290-plain", [(65536, 512, 3, "emmc", "EMUMMC", 21, 0xDEADBEEF, "287454020")]),
        (
            "qcm2290-ufs",
            [
                (65536, 4096, *UFS_EMULATED),
                (8192, 4096, *UFS_EMULATED),
                (None, None, None, None, None, None, None, None),  # no such LUN
                (None, None, None, None, None, None, None, None),  # configured for eMMC
                GARBAGE,  # not configured at all
            ],
        ),
    ],
)
def test_recorded_storage_info(name: str, expected: list[tuple[object, ...]]) -> None:
    found = [parse_storage_info(logged(text)) for text in recorded(name, "<getstorageinfo")]
    assert [facts(info) for info in found] == expected


def raw_stream(name: str) -> list[str]:
    return logged("\n".join(lines(name)))


def said(name: str, prefix: str) -> list[str]:
    return [line.removeprefix(prefix) for line in lines(name)]


def shown_as_dict(name: str) -> Iterator[str]:
    """Yield the lines that bkerler/edl took apart: it splits at the colon or the equals sign."""
    text = next(line for line in lines(name) if "{'" in line)
    text = text[text.index("{") :].rstrip()
    values = ast.literal_eval(text if text.endswith("}") else text[: text.rindex(", '")] + "}")
    for key, value in values.items():
        yield f"{key}={value}" if key.rstrip().endswith(":") else f"{key}: {value}"


def in_json(name: str) -> list[str]:
    return ['{"storage_info": {' + "".join(lines(name)[1:]) + "}}"]


PUBLIC = (
    # SDM855, Surface Duo: generation 3, UFS; text and JSON
    (
        "EDLTests-readme-raw.txt",
        raw_stream,
        (30119936, 4096, 6, "ufs", "THGAF8T0T43BAIRB0300", 408, 0x48494241, "300"),
    ),
    (
        "EDLTests-readme-2.txt",
        lambda name: said(name, "DEVPRG LOG: "),
        (30119936, 4096, 6, "ufs", "THGAF8T0T43BAIRB0300", 408, 0x48494241, "300"),
    ),
    # SDM845, comma 3X: no line with the sector size, only JSON has it
    (
        "commaai-qdl.js-xmlparser.txt",
        raw_stream,
        (14145536, 4096, 6, "ufs", "H28S7Q302BMR", 429, 3794466808, "205"),
    ),
    # MSM8996, Open-Q 820: generation 2, "Paritions", no JSON
    (
        "public-doc-openq820-edl.txt",
        shown_as_dict,
        (0x60AC00, 4096, 6, "ufs", None, 0x198, 0, None),
    ),
    # SM8150, SM8350: only the long list of UFS lines; the LUN is that of the whole device
    ("bkerler-edl-402.txt", shown_as_dict, (None, None, None, "ufs", None, None, None, None)),
    ("bkerler-edl-423.txt", shown_as_dict, (None, None, None, "ufs", None, None, None, None)),
    ("bkerler-edl-442.txt", shown_as_dict, (None, None, None, "ufs", None, None, None, None)),
    # MSM8953, MSM8916: generation 1, one line each in the log
    ("bkerler-edl-108.txt", raw_stream, (61071360, None, None, None, None, None, None, None)),
    ("openstick-stuff-2.txt", raw_stream, (None, 512, None, None, None, None, None, None)),
    # members of an eMMC's JSON
    (
        "hoplik-firehose-finder-src.txt",
        in_json,
        (122142720, 512, 3, "emmc", "RC14MB", 21, 710139074, "7"),
    ),
)


@pytest.mark.parametrize(("name", "read", "expected"), PUBLIC, ids=[row[0] for row in PUBLIC])
def test_storage_info_in_public_logs(name: str, read: object, expected: tuple[object, ...]) -> None:
    assert callable(read)
    assert facts(parse_storage_info(read(name))) == expected


def test_further_lines_keep_their_names() -> None:
    extra = parse_storage_info(raw_stream("EDLTests-readme-raw.txt")).extra
    assert extra["UFS Current LUN Number"] == "0x0"
    assert extra["UFS Raw Device Capacity"] == "0xee64000"
    assert extra["UFS bConfigDescrLock"] == "0x0"
    assert extra["UFS Inquiry Command Output"] == "TOSHIBA THGAF8T0T43BAIRB0300"
    assert len(extra) == 34


@pytest.mark.parametrize("name", ["sdm660-plain", "qcm2290-plain"])
def test_a_dump_of_ext_csd_is_put_together(name: str) -> None:
    """The device of the recordings answers each byte with its offset."""
    (text,) = recorded(name, "<getstorageinfo")
    assert parse_storage_info(logged(text)).ext_csd == bytes(range(256)) * 2


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [(0, 511)],  # one byte short
        [(1, 512)],  # without its beginning
        [(0, 256), (255, 257)],
        [(0, 256), (257, 256)],
    ],
)
def test_a_dump_with_a_gap_is_none(pieces: list[tuple[int, int]]) -> None:
    logs = [f"eMMC_RAW_DATA [{at}:{at + size}]{'00' * size}" for at, size in pieces]
    assert parse_storage_info(logs).ext_csd is None


def test_a_dump_is_bounded() -> None:
    logs = [f"eMMC_RAW_DATA[{at}:{at}]{'07' * 512}" for at in range(0, 9216, 512)]
    assert parse_storage_info(logs).ext_csd == b"\x07" * 512


@pytest.mark.parametrize(
    ("name", "names", "serial"),
    [
        # the serial number is "HIBA" of the maker's name
        ("EDLTests-readme-raw.txt", ("TOSHIBA", "THGAF8T0T43BAIRB", "0300"), None),
        ("commaai-qdl.js-xmlparser.txt", ("SKhynix", "H28S7Q302BMR", "H205"), 3794466808),
    ],
)
def test_names_in_the_answer_to_inquiry(
    name: str, names: tuple[str, str, str], serial: int | None
) -> None:
    info = parse_storage_info(raw_stream(name))
    assert info.inquiry == Inquiry(*names)
    assert info.serial_number == serial


def test_what_is_no_inquiry_and_no_serial_number() -> None:
    assert StorageInfo().inquiry is None
    assert StorageInfo().serial_number is None
    assert StorageInfo(serial=0).serial_number is None
    assert StorageInfo(serial=0xDEADBEEF).serial_number == 0xDEADBEEF
    huge = parse_storage_info([f"Device Serial Number: {'9' * 20}"])
    assert huge.serial_number == int("9" * 20)


JSON = '{"storage_info": {%s}}'


@pytest.mark.parametrize(
    ("logs", "expected"),
    [
        # generation 1, MSM8953: strongtz/edl-ng#25
        (
            [
                "num_partition_sectors=8192", "SECTOR_SIZE_IN_BYTES=512",
                "num_physical_partitions=3", "MFR_ID=144", "OEM_ID=74", "Product name=HCG8a4",
            ],
            (8192, 512, 3, None, "HCG8a4", 144, None, None),
        ),
        (
            [
                '{"storage_info": {"total_blocks":8192, "block_size":512, "page_size":512,'
                ' "num_physical":3, "mfr_id":144, "serial_num":703944031, "fw_version":"162",'
                '"mem_type":"eMMC", "prod_name":"HCG8a4"}}'
            ],
            (8192, 512, 3, "emmc", "HCG8a4", 144, 703944031, "162"),
        ),
        # NAND counts erase blocks; its sector is the page: firehose handbook §8.1
        (
            [JSON % '"total_blocks":2048,"block_size":131072,"page_size":2048,"mem_type":"NAND"'],
            (131072, 2048, None, "nand", None, None, None, None),
        ),
        (
            [JSON % '"total_blocks":2048,"block_size":131072,"page_size":0,"mem_type":"NAND"'],
            GARBAGE,
        ),
        # not JSON: a hexadecimal number, a quote or a control byte in the name, a cut end
        (
            [JSON % '"total_blocks":8192, "wspec_version":0x310, "prod_name":"A"'],
            (8192, None, None, None, "A", None, None, None),
        ),
        (
            [JSON % '"total_blocks":8192, "prod_name":"A\\"B"C", "mem_type":"UFS"'],
            (8192, None, None, "ufs", "A\\", None, None, None),
        ),
        (
            ['INFO: {"storage_info": {"total_blocks":8192, "block_size":4096, "prod_n'],
            (8192, 4096, None, None, None, None, None, None),
        ),
        (['"storage_info"'], GARBAGE),
        (['"storage_info" : "total_blocks":77'], GARBAGE),
        # hostile values
        (
            [
                JSON % '"prod_name":"\\u001b[31mred\\u202e\\n", "fw_version":["x"],'
                ' "mem_type":{"a":1}, "total_blocks":1e400, "block_size":true,'
                ' "num_physical":null'
            ],
            GARBAGE,
        ),
        (
            [JSON % '"prod_name":"\\u001b[31mred\\u202e\\n", "num_physical":33'],
            (None, None, None, None, "[31mred", None, None, None),
        ),
        ([JSON % f'"prod_name":"{"x" * 1000}"'], (*GARBAGE[:4], "x" * 80, *GARBAGE[5:])),
        ([JSON % '"total_blocks":-5, "num_physical":-48, "serial_num":-1'], GARBAGE),
        ([JSON % f'"total_blocks":{"9" * 5000}, "page_size":{"9" * 5000}'], GARBAGE),
        ([JSON % '"mem_type":"NAND", "page_size":"\u00b2"'], (*GARBAGE[:3], "nand", *GARBAGE[4:])),
        (['{"storage_info": [1, 2]}'], GARBAGE),
        (['{"storage_info": 5, "total_blocks": 9}'], (9, *GARBAGE[1:])),
        (['["storage_info"]'], GARBAGE),
        (['"storage_info"' + "[" * 50_000 + "{" * 50_000], GARBAGE),
        (['{"storage_info": ' + '{"a":' * 30_000], GARBAGE),
        (["Device Total Logical Blocks: 0x" + "f" * 16], GARBAGE),
        (["Device Total Logical Blocks: 0x" + "f" * 17], GARBAGE),
        (["Device Total Logical Blocks: " + "9" * 21], GARBAGE),
        (["Device Total Logical Blocks: twelve"], GARBAGE),
        (["Device Total Logical Blocks: 0x0"], (0, *GARBAGE[1:])),
        (["num_physical_partitions=0", "num_partition_sectors = 7"], (7, *GARBAGE[1:])),
        (["A" + " " * 60_000, "A" * 60_000 + ":", ":=", "=5", ""], GARBAGE),
        # the first line of a name counts, and JSON for more than lines
        (["MFR_ID=1", "MFR_ID=2"], (*GARBAGE[:5], 1, *GARBAGE[6:])),
        ([JSON % '"mfr_id":3', "MFR_ID=1"], (*GARBAGE[:5], 3, *GARBAGE[6:])),
        (["Vendor: nobody", "OEM_ID=74", "start 64, num 40"], GARBAGE),
        (["eMMC Extended CSD Revision: 0xc0"], (*GARBAGE[:3], "emmc", *GARBAGE[4:])),
        ([JSON % '"mem_type":"?"', "UFS fInitialized: 0x1"], (*GARBAGE[:3], "ufs", *GARBAGE[4:])),
        ([], GARBAGE),
    ],
    ids=lambda value: f"{value!r:.40}" if isinstance(value, list) else "",
)  # fmt: skip
def test_storage_info(logs: list[str], expected: tuple[object, ...]) -> None:
    assert facts(parse_storage_info(logs)) == expected


# --- digests


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("msm8916-plain", DIGEST),
        ("msm8953-plain", DIGEST),
        ("sdm660-plain", "0DAFA89EDB76C45662FBCE197BDA2665C1C0A14EEBD2C385E0123B262D6E9C53"),
        ("qcm2290-plain", DIGEST),
    ],
)
def test_recorded_digests(name: str, digest: str) -> None:
    (text,) = recorded(name, "<getsha256digest")
    *logs, answer = documents(text)
    assert isinstance(answer, Response)
    assert parse_digest([log.text for log in logs if isinstance(log, Log)], answer) == (
        bytes.fromhex(digest)
    )


@pytest.mark.parametrize(
    ("logs", "attributes", "digest"),
    [
        ([f"Digest {DIGEST}"], {}, DIGEST),
        ([f"INFO: Digest {DIGEST.lower()}"], {}, DIGEST),
        ([], {"sha256": DIGEST}, DIGEST),
        ([], {"SHA256": DIGEST.lower()}, DIGEST),
        (["INFO: Digest 00"], {"Digest": f"Digest {DIGEST}"}, DIGEST),
        # executed: an ACK after a read error, an unknown command, a digest of 16 bits
        (["Hash start sector 65535 num sectors 2", "emmc read failed"], {}, None),
        (["WARNING: Ignoring unrecognized tag 'getsha256digest'. Continuing."], {}, None),
        (["Hash start sector 0 num sectors 1", "Digest E9CB"], {}, None),
        (["INFO: Read Failed sector 65535, size 2 result 3"], {"sha256": ""}, None),
        ([], {"sha256": DIGEST[:-2]}, None),
        ([], {"sha256": "g" * 64}, None),
        ([f"Digest {DIGEST}00"], {}, None),
        ([DIGEST], {}, None),
    ],
)
def test_digests(logs: list[str], attributes: dict[str, str], digest: str | None) -> None:
    answer = Response(ack=True, rawmode=False, attributes={"value": "ACK", **attributes})
    assert parse_digest(logs, answer) == (None if digest is None else bytes.fromhex(digest))


def test_memory_in_the_logs_of_peek() -> None:
    """The form of the tokens: real-programmer notes, §10."""
    logs = ["Using address 14015000", "0x7F 0x45 0x4C ", "INFO: 0x46 ", "0x4G ", "done"]
    assert parse_peek(logs) == b"\x7fELF"
    assert parse_peek(["Using address 0"]) == b""
