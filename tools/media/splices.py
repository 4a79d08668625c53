"""Recordings put together with `cat`: the clock starts again, or a second file is never reached.

Transport and program streams, and Matroska without an end, go on into the next recording; its times
are shifted so that all lies on one line. Other containers end where the first recording does, and
what follows is named.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

GOING_ON = frozenset({"mpegts", "mpeg", "matroska,webm"})
BACK_S = 1  # a clock that goes back by more starts again; B-frames go back by less
AHEAD_S = 600  # and so does one that jumps ahead by more
EBML = b"\x1a\x45\xdf\xa3"


@dataclass
class PartCounter:
    """Counts, for each stream, how often its clock has started again."""

    last_s: dict[int, Fraction] = field(default_factory=dict)
    parts: dict[int, int] = field(default_factory=dict)

    def part_of(self, packet: "Packet[Stream]") -> int:
        """Return the number of the part that a packet with a time belongs to, from 0."""
        ticks = packet.dts if packet.dts is not None else packet.pts
        number = packet.stream.index
        if number not in self.parts:
            self.parts[number] = max(self.parts.values(), default=0)
        if ticks is not None:
            time_s = ticks * packet.time_base
            before_s = self.last_s.get(number, time_s)
            self.parts[number] += not before_s - BACK_S <= time_s <= before_s + AHEAD_S
            self.last_s[number] = time_s
        return self.parts[number]


@dataclass(frozen=True, slots=True)
class Joined:
    """The parts of a file on one time line.

    Attributes:
        shifts_s: What is added to the times of each part; one entry for an ordinary file.
        end_s: End of the last part, shifted.
    """

    shifts_s: tuple[Fraction, ...]
    end_s: Fraction


def join_parts(packets: "Iterable[Packet[Stream]]") -> Joined | None:
    """Find out where clocks start again; None if no packet has a time.

    Args:
        packets: All packets of picture and sound, as they are stored.
    """
    counter = PartCounter()
    starts: list[Fraction] = []
    ends: list[Fraction] = []
    for packet in packets:
        if packet.pts is None or packet.is_discard:
            continue
        part = counter.part_of(packet)
        start_s = packet.pts * packet.time_base
        end_s = start_s + (packet.duration or _usual(packet.stream)) * packet.time_base
        if part == len(starts):
            starts.append(start_s)
            ends.append(end_s)
        starts[part] = min(starts[part], start_s)
        ends[part] = max(ends[part], end_s)
    if not starts:
        return None
    shifts = [Fraction(0)]
    for start_s, before_end_s in zip(starts[1:], ends, strict=False):
        shifts.append(shifts[-1] + before_end_s - start_s)
    return Joined(tuple(shifts), ends[-1] + shifts[-1])


def on_one_line(
    packets: "Iterable[Packet[Stream]]", shifts_s: Sequence[Fraction]
) -> "Iterator[Packet[Stream]]":
    """Yield packets with the times of all parts on one line.

    Args:
        packets: All packets of picture and sound, and of further streams.
        shifts_s: As `join_parts` found them.
    """
    counter = PartCounter()
    for packet in packets:
        if packet.pts is not None or packet.dts is not None:
            shift_s = shifts_s[min(counter.part_of(packet), len(shifts_s) - 1)]
            ticks = round(shift_s / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks
        yield packet


def may_go_on(container: InputContainer) -> bool:
    """Whether FFmpeg may read a second recording of this file as a part of the first."""
    name = container.format.name
    if name == "matroska,webm":
        return second_file(Path(container.name)) is not None
    return name in GOING_ON


def second_file(path: Path) -> int | None:
    """Return the byte at which a second recording begins in a file, None if there is none."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] == b"ftyp":
            return _second_mp4(file, size)
        if head[:4] == b"RIFF":
            return _second_riff(file, size)
        if head[:3] == b"FLV":
            return _second_flv(file, size)
        if head[:4] == EBML:
            return _second_matroska(file, size)
    return None


def _second_mp4(file: BinaryIO, size: int) -> int | None:
    """Walk the boxes: a second `ftyp` with a `moov` of its own begins another file."""
    at, second, whole = 0, None, False
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            length = int.from_bytes(file.read(8))
        if kind == b"moof":
            return None  # fragments are read as they come
        if kind == b"ftyp" and at and whole:
            second = at
        if kind == b"moov":
            if second is not None:
                return second
            whole = True
        if length < 8:
            return None
        at += length
    return None


def _second_riff(file: BinaryIO, size: int) -> int | None:
    """Return where a RIFF file ends, if one of the same form follows; AVI's `AVIX` is no other."""
    file.seek(4)
    length, form = struct.unpack("<I4s", file.read(8))
    end = 8 + length + length % 2
    if form != b"WAVE" or end + 12 > size:
        return None
    file.seek(end)
    follows = file.read(12)
    return end if follows[:4] == b"RIFF" and follows[8:] == form else None


def _second_flv(file: BinaryIO, size: int) -> int | None:
    """Walk the tags to another header."""
    at = 13  # header, and the size of the tag before the first
    while at + 11 <= size:
        file.seek(at)
        head = file.read(11)
        if head[:4] == b"FLV\x01":
            return at
        if head[0] & 0x1F not in (8, 9, 18):
            return None
        at += 11 + int.from_bytes(head[1:4]) + 4
    return None


def _second_matroska(file: BinaryIO, size: int) -> int | None:
    """Return where the first segment ends, if a header follows or its size is unknown."""
    end = _element_end(file, 0)
    if end is None:
        return None
    segment_end = _element_end(file, end)
    if segment_end is None:
        return end  # written live: the next header is found by reading
    if segment_end + 4 > size:
        return None
    file.seek(segment_end)
    return segment_end if file.read(4) == EBML else None


def _element_end(file: BinaryIO, at: int) -> int | None:
    """Return the end of the EBML element at a byte; None if its size is unknown."""
    file.seek(at + 4)  # the identifiers of header and segment have four bytes
    first = file.read(1)
    if not first or not first[0]:
        return None
    width = 9 - first[0].bit_length()
    rest = file.read(width - 1)
    value = int.from_bytes(bytes([first[0] & (0xFF >> width)]) + rest)
    if value == (1 << (7 * width)) - 1:
        return None
    return at + 4 + width + value


def _usual(stream: Stream) -> int:
    """Return the ticks of a picture in a stream whose packets have no duration."""
    rate = getattr(stream, "guessed_rate", None)
    base = stream.time_base or Fraction(1, av.time_base)
    return round(1 / (rate * base)) if rate else 0
