# SPDX-License-Identifier: BSD-2-Clause
"""CoAP messages (RFC 7252, RFC 7959), made and read by hand: the tests judge the programs by the
RFC and not by the library that the programs use. Nothing stops a test from making broken ones."""
import dataclasses
import struct

CON, NON, ACK, RST = range(4)
GET, POST = 0x01, 0x02
URI_HOST, ETAG, URI_PATH, CONTENT_FORMAT, MAX_AGE, ACCEPT, BLOCK2, BLOCK1, SIZE2 = (
    3, 4, 11, 12, 14, 17, 23, 27, 28)
PROXY_URI, PROXY_SCHEME, SIZE1, REQUEST_TAG = 35, 39, 60, 292
LINK, MULTIPART, SERVER_KEY, CERTS_ONLY, PKCS8, PKCS10, CERT = 40, 62, 280, 281, 284, 286, 287


def code(dotted):
    """205 -> 2.05 as the byte on the wire."""
    return dotted // 100 << 5 | dotted % 100


def dotted(byte):
    return (byte >> 5) * 100 + (byte & 31)


def uint(number):
    """A CoAP uint: no leading zero bytes, 0 is empty."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def block(number, more, szx):
    return uint(number << 4 | more << 3 | szx)


@dataclasses.dataclass
class Block:
    number: int
    more: bool
    szx: int

    @property
    def size(self):
        return 16 << self.szx

    @classmethod
    def of(cls, option):
        value = int.from_bytes(option, "big")
        return cls(value >> 4, bool(value & 8), value & 7)


@dataclasses.dataclass
class Message:
    type: int
    code: int
    mid: int
    token: bytes = b""
    options: list = dataclasses.field(default_factory=list)  # (number, bytes)
    payload: bytes = b""

    def option(self, number):
        return next((value for n, value in self.options if n == number), None)

    def number(self, number, default=None):
        value = self.option(number)
        return default if value is None else int.from_bytes(value, "big")

    def block(self, number):
        value = self.option(number)
        return None if value is None else Block.of(value)

    @property
    def path(self):
        return [value.decode() for n, value in self.options if n == URI_PATH]

    def encode(self):
        out = struct.pack("!BBH", 0x40 | self.type << 4 | len(self.token), self.code, self.mid)
        out += self.token
        last = 0
        for number, value in sorted(self.options, key=lambda option: option[0]):
            delta, delta_more = _nibble(number - last)
            length, length_more = _nibble(len(value))
            out += bytes([delta << 4 | length]) + delta_more + length_more + value
            last = number
        return out + (b"\xff" + self.payload if self.payload else b"")

    @classmethod
    def decode(cls, data):
        first, code_, mid = struct.unpack("!BBH", data[:4])
        if first >> 6 != 1:
            raise ValueError("not CoAP version 1")
        end = 4 + (first & 15)
        message = cls(first >> 4 & 3, code_, mid, data[4:end])
        number = 0
        while end < len(data):
            byte = data[end]
            end += 1
            if byte == 0xff:
                message.payload = data[end:]
                break
            delta, end = _extended(byte >> 4, data, end)
            length, end = _extended(byte & 15, data, end)
            number += delta
            message.options.append((number, data[end:end + length]))
            end += length
        return message


def _nibble(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, struct.pack("!H", value - 269)


def _extended(nibble, data, at):
    if nibble < 13:
        return nibble, at
    if nibble == 13:
        return data[at] + 13, at + 1
    if nibble == 14:
        return struct.unpack("!H", data[at:at + 2])[0] + 269, at + 2
    raise ValueError("reserved option nibble")


def multipart(body):
    """The two parts of a multipart-core answer as {content format: bytes}, without a CBOR library:
    definite lengths and the shortest numbers are what the registrar writes."""
    def head(at):
        major, short = body[at] >> 5, body[at] & 31
        size = {24: 1, 25: 2}.get(short, 0)
        value = int.from_bytes(body[at + 1:at + 1 + size], "big") if size else short
        return major, value, at + 1 + size
    assert body[0] == 0x84, body[:4]
    at, found = 1, {}
    for _ in range(2):
        major, number, at = head(at)
        assert major == 0
        major, size, at = head(at)
        assert major == 2
        found[number] = body[at:at + size]
        at += size
    assert at == len(body)
    return found
