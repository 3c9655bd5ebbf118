#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Clients that were gone without a word and come back from the same address and port, as after a
power cut, and strangers who only say that they are somebody (RFC 6347 sections 4.2.1 and 4.2.8)."""
import os
import socket

from OpenSSL import SSL

import coap
import dtls
import harness
import rogue_client

EST = "/.well-known/est"
STRANGERS = 3000
VERIFY_REQUEST, CLIENT_HELLO = 3, 1


def greeting(cookie=b"", random=None):
    """A ClientHello of epoch 0 by hand."""
    body = (b"\xfe\xfd" + (random or os.urandom(32)) + b"\0" + bytes([len(cookie)]) + cookie +
            b"\0\4\xc0\x2b\xc0\xae" + b"\1\0")
    size = len(body).to_bytes(3, "big")
    return dtls.record(dtls.HANDSHAKE, bytes([CLIENT_HELLO]) + size + b"\0\0" + b"\0\0\0" + size +
                       body)


class Comeback(harness.ClassSite):
    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()
        cls.key, cls.chain = site.birth()

    def socket(self, port=0, server=None):
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind(("127.0.0.1", port))
        own.connect(("127.0.0.1", server or self.shared.port))
        self.addCleanup(own.close)
        return own

    def client(self, own=None):
        return rogue_client.Client(self.shared.port, self.key, self.chain, timeout=3,
                                   own=own or self.socket())

    def served(self, client):
        code, body, _ = client.request(coap.GET, f"{EST}/crts", accept=coap.CERTS_ONLY)
        self.assertEqual(code, 205)
        self.assertTrue(body)

    def vanish(self, client):
        """Without close_notify; the port is free again."""
        own = client.dtls.socket
        port = own.getsockname()[1]
        own.close()
        return port

    def test_z03_the_same_port_after_a_power_cut(self):
        port = self.vanish(self.client())
        for _ in range(3):
            client = self.client(self.socket(port))
            self.served(client)
            port = self.vanish(client)

    def test_z03_the_same_port_after_half_a_handshake(self):
        own = self.socket()
        ends = dtls.Endpoint(dtls.context(SSL.DTLS_CLIENT_METHOD, self.key, self.chain), own.send,
                             server=False)
        own.settimeout(5)
        ends.handshake()
        ends.receive(own.recv(65535))   # and with the cookie
        self.assertEqual(own.recv(65535)[0], dtls.HANDSHAKE)   # the server is at it
        port = own.getsockname()[1]
        own.close()
        self.served(self.client(self.socket(port)))

    def test_z03_whoever_has_not_shown_to_be_there_ends_nothing(self):
        own = self.socket()
        client = self.client(own)
        for cookie in (b"", b"c" * 20, b"c" * 32):
            for _ in range(5):
                own.send(greeting(cookie))
        self.served(client)
        client.close()

    def test_z03_a_late_copy_of_the_first_message_ends_nothing(self):
        own = self.socket()
        sent, send = [], own.send
        ends = dtls.Endpoint(dtls.context(SSL.DTLS_CLIENT_METHOD, self.key, self.chain),
                             lambda data: (sent.append(data), send(data)), server=False)
        own.settimeout(5)
        ends.handshake()
        while not ends.open:
            ends.receive(own.recv(65535))
        with_cookie = [d for d in sent if d[0] == dtls.HANDSHAKE and d[13] == CLIENT_HELLO][-1]
        for _ in range(3):
            send(with_cookie)
        message = coap.Message(coap.CON, coap.GET, 7, b"tk",
                               [(coap.URI_PATH, s.encode()) for s in f"{EST}/crts".split("/")[1:]])
        ends.write(message.encode())
        got = []
        while not got:
            got = ends.receive(own.recv(65535))
        self.assertEqual(coap.dotted(coap.Message.decode(got[0]).code), 205)

    def test_z03_a_cookie_is_good_for_one_client_alone(self):
        first, second = self.socket(), self.socket()
        random = os.urandom(32)
        for own in (first, second):
            own.settimeout(5)
        first.send(greeting(random=random))
        answer = first.recv(65535)
        self.assertEqual(answer[13], VERIFY_REQUEST)
        self.assertLess(len(answer), len(greeting()))
        cookie = answer[28:]
        second.send(greeting(cookie, random))
        self.assertEqual(second.recv(65535)[13], VERIFY_REQUEST)
        first.send(greeting(cookie))   # nor for another ClientHello
        self.assertEqual(first.recv(65535)[13], VERIFY_REQUEST)

    def test_z03_strangers_take_no_room(self):
        """From far more ports than there may be connections."""
        site = harness.Site()
        self.addCleanup(site.close)
        site.init_registrar("--device", "gateway-1")
        site.set_registrar("max_sessions", 16)
        site.start_registrar()
        many = [self.socket(server=site.port) for _ in range(300)]
        for i in range(STRANGERS):
            many[i % len(many)].send(greeting())
        client = rogue_client.Client(site.port, *site.birth(), timeout=10)
        self.addCleanup(client.close)
        self.served(client)

    def test_nobody_else_takes_the_port(self):
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(other.close)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with self.assertRaises(OSError):
            other.bind(("127.0.0.1", self.shared.port))


if __name__ == "__main__":
    harness.main()
