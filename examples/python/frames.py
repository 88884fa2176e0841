"""Frames of the protocol pslib.v1: a message's fields and payload as bytes, and back.

    headerLength payloadLength header padding payload

Two little-endian u32, a msgpack map, zeros up to a multiple of 8, and the payload. See docs/protocol.md.
"""

import struct

import msgpack

PREAMBLE = struct.Struct("<II")


class Malformed(Exception):
    """Bytes that are no frame of this protocol."""


def encode_frame(fields: dict, payload=b"") -> bytes:
    """The frame of a message. Fields that are None are left out: nil is of no kind."""
    header = msgpack.packb({key: value for key, value in fields.items() if value is not None})
    preamble = PREAMBLE.pack(len(header), len(payload))
    return b"".join((preamble, header, bytes(-len(header) % 8), payload))


def decode_frame(frame: bytes) -> tuple[dict, memoryview]:
    """The fields, with the message's type under "t", and the payload, which shares the frame's memory."""
    if len(frame) < PREAMBLE.size:
        raise Malformed("a frame has at least 8 bytes")
    header_length, payload_length = PREAMBLE.unpack_from(frame)
    end = PREAMBLE.size + header_length
    begin = end + -header_length % 8
    if len(frame) != begin + payload_length:
        raise Malformed(f"a frame of {len(frame)} bytes that announces {begin + payload_length}")
    if any(frame[end:begin]):
        raise Malformed("the padding is not zero")
    fields = msgpack.unpackb(frame[PREAMBLE.size : end])
    if not isinstance(fields, dict) or not isinstance(fields.get("t"), int):
        raise Malformed("the header is no map with a type")
    return fields, memoryview(frame)[begin:]
