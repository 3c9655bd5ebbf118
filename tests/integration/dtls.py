# SPDX-License-Identifier: BSD-2-Clause
"""DTLS 1.2 by pyOpenSSL: memory BIOs on one side, UDP sockets on the other."""
import ctypes
import dataclasses
import select
import socket
import time

from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, dump_certificate

MTU = 1400
HANDLE_TIMEOUT = 74   # DTLS_CTRL_HANDLE_TIMEOUT of OpenSSL
ALERT, HANDSHAKE, APPLICATION_DATA = 21, 22, 23
SERVER_KEY_EXCHANGE, CLIENT_KEY_EXCHANGE = 12, 16
CIPHERS = b"ECDHE+AESGCM:ECDHE-ECDSA-AES128-CCM8"


def context(method, key=None, chain=(), trust=None, verify=SSL.VERIFY_NONE, ciphers=CIPHERS):
    """key and chain are objects of `cryptography`; trust is a PEM file."""
    ctx = SSL.Context(method)
    ctx.set_options(SSL.OP_NO_QUERY_MTU | SSL.OP_NO_TICKET)
    ctx.set_cipher_list(ciphers)
    if key is not None:
        from OpenSSL.crypto import PKey, X509
        ctx.use_privatekey(PKey.from_cryptography_key(key))
        ctx.use_certificate(X509.from_cryptography(chain[0]))
        for cert in chain[1:]:
            ctx.add_extra_chain_cert(X509.from_cryptography(cert))
    if trust is not None:
        ctx.load_verify_locations(str(trust))
    ctx.set_verify(verify, lambda conn, cert, error, depth, ok: bool(ok))
    ctx.set_session_id(b"test")
    return ctx


def record(kind, content, epoch=0, number=0):
    """A record of DTLS 1.2 as it goes on the wire, neither encrypted nor authenticated."""
    return (bytes([kind, 0xfe, 0xfd]) + epoch.to_bytes(2, "big") + number.to_bytes(6, "big") +
            len(content).to_bytes(2, "big") + content)


class Handshake:
    """Puts the handshake messages of one side together, as long as they are not encrypted."""

    def __init__(self):
        self.parts = {}  # message number -> what has come of it, in order

    def take(self, datagram):
        """(type, body) of the messages that this datagram completes."""
        at = 0
        while at + 13 <= len(datagram):
            content, end = vector(datagram, at + 11, 2)
            if datagram[at] == HANDSHAKE and datagram[at + 3:at + 5] == b"\0\0" and len(content) > 12:
                body = self.parts.setdefault(content[4:6], bytearray())
                if number(content[6:9]) == len(body):
                    body += content[12:]
                    if len(body) == number(content[1:4]):
                        yield content[0], bytes(body)
            at = end


@dataclasses.dataclass
class Hello:
    """A ClientHello: version, suites and extensions (number -> content)."""
    version: int
    suites: list
    extensions: dict

    @classmethod
    def read(cls, datagram):
        """None when the datagram does not begin one."""
        if datagram[0] != HANDSHAKE or datagram[13] != 1:
            return None
        body = datagram[25:25 + int.from_bytes(datagram[22:25], "big")]
        at = 34
        for _ in range(2):  # session id, cookie
            at += 1 + body[at]
        suites, at = vector(body, at, 2)
        _, at = vector(body, at, 1)
        rest, _ = vector(body, at, 2)
        extensions, at = {}, 0
        while at < len(rest):
            content, end = vector(rest, at + 2, 2)
            extensions[number(rest[at:at + 2])] = content
            at = end
        return cls(number(body[:2]), numbers(suites), extensions)


def number(data):
    return int.from_bytes(data, "big")


def numbers(data):
    """A row of 16-bit numbers."""
    return [number(data[at:at + 2]) for at in range(0, len(data), 2)]


def vector(data, at, size):
    """What stands behind a length of so many bytes, and where it ends."""
    begin = at + size
    end = begin + number(data[at:begin])
    return data[begin:end], end


class Endpoint:
    """One side of one DTLS connection. send(datagram) puts bytes on the wire."""

    def __init__(self, ctx, send, server):
        self.connection = SSL.Connection(ctx, None)
        self.connection.set_ciphertext_mtu(MTU)
        self.send = send
        self.open = False
        if server:
            self.connection.set_accept_state()
        else:
            self.connection.set_connect_state()

    def flush(self):
        """A BIO knows no datagrams: cut what is in it at the borders of records."""
        try:
            data = self.connection.bio_read(1 << 20)
        except SSL.WantReadError:
            return
        while data:
            end = 13 + int.from_bytes(data[11:13], "big")
            self.send(data[:end])
            data = data[end:]

    def handshake(self):
        """Goes on with the handshake; True when it is complete. SSL.Error when it failed."""
        try:
            self.connection.do_handshake()
            self.open = True
        except SSL.WantReadError:
            pass
        finally:
            self.flush()
        return self.open

    def receive(self, datagram):
        """Takes a datagram; the messages that came out of it. SSL.Error ends the connection."""
        self.connection.bio_write(datagram)
        if not self.open and not self.handshake():
            return []
        messages = []
        try:
            while True:
                messages.append(self.connection.recv(65535))
        except (SSL.WantReadError, SSL.ZeroReturnError):
            pass
        finally:
            self.flush()
        return messages

    def send_again(self):
        """What was to be answered by now; pyOpenSSL has no word for it."""
        ssl = int(SSL._ffi.cast("uintptr_t", self.connection._ssl))
        ctypes.CDLL("libssl.so.3").SSL_ctrl(ctypes.c_void_p(ssl), HANDLE_TIMEOUT, 0, None)
        self.flush()

    def peer_certificate(self):
        """DER, None without one."""
        cert = self.connection.get_peer_certificate()
        return cert and dump_certificate(FILETYPE_ASN1, cert)

    def write(self, message):
        self.connection.send(message)
        self.flush()

    def close(self):
        try:
            self.connection.shutdown()
        except SSL.Error:
            pass
        self.flush()


class Client:
    """A connected client: send and receive whole messages."""

    def __init__(self, port, ctx, host="127.0.0.1", timeout=10, session=None,
                 own=None):
        self.socket = own or socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((host, port))
        self.endpoint = Endpoint(ctx, self.socket.send, server=False)
        if session:  # to be resumed, if the server likes to
            self.endpoint.connection.set_session(session)
        self.inbox = []
        self.handshake = Handshake()
        self.server_keys = []  # the ephemeral public key of the server, with its parameters
        deadline = time.monotonic() + timeout
        self.endpoint.handshake()
        while not self.endpoint.open:
            self._pump(deadline)

    def _pump(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer from the server")
        readable, _, _ = select.select([self.socket], [], [], min(left, 1))
        if readable:
            datagram = self.socket.recv(65535)
            self.server_keys += [body[:4 + body[3]] for kind, body in self.handshake.take(datagram)
                                 if kind == SERVER_KEY_EXCHANGE]
            self.inbox += self.endpoint.receive(datagram)
        elif not self.endpoint.open:
            self.endpoint.send_again()

    def send(self, message):
        self.endpoint.write(message)

    def receive(self, timeout=10):
        deadline = time.monotonic() + timeout
        while not self.inbox:
            self._pump(deadline)
        return self.inbox.pop(0)

    def close(self):
        self.endpoint.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
