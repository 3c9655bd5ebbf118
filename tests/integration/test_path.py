#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole enrolments over paths that carry only so much: a proxy drops every larger datagram, and in
some tests knows application data by its record type."""
import contextlib
import select
import socket
import threading

import harness

APPLICATION_DATA = 23
IPV4_AND_UDP = 28
IPV6_AND_UDP = 48


class NarrowProxy:
    """Forwards datagrams of at most `most` bytes, application data of at most `most_data`."""

    def __init__(self, server_port, most, most_data=None):
        self.server = ("127.0.0.1", server_port)
        self.most, self.most_data = most, most_data or most
        self.largest, self.largest_data, self.dropped, self.passed = 0, 0, 0, 0
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.clients = {}
        self.ending, self.end = socket.socketpair()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def passes(self, data):
        application = data[0] == APPLICATION_DATA
        if len(data) > (self.most_data if application else self.most):
            self.dropped += 1
            return False
        self.passed += 1
        self.largest = max(self.largest, len(data))
        if application:
            self.largest_data = max(self.largest_data, len(data))
        return True

    def run(self):
        while True:
            readable, _, _ = select.select([self.ending, self.front, *self.clients.values()], [], [])
            if self.ending in readable:
                return
            for sock in readable:
                self.forward(sock)

    def forward(self, sock):
        if sock is self.front:
            data, address = sock.recvfrom(65536)
            if address not in self.clients:
                self.clients[address] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                self.clients[address].connect(self.server)
            if self.passes(data):
                with contextlib.suppress(OSError):
                    self.clients[address].send(data)
            return
        address, = (a for a, s in self.clients.items() if s is sock)
        with contextlib.suppress(OSError):
            data = sock.recv(65536)
            if self.passes(data):
                self.front.sendto(data, address)

    def close(self):
        self.end.close()
        self.thread.join()
        for sock in (self.ending, self.front, *self.clients.values()):
            sock.close()


class Path(harness.TestCase):
    def enroll(self, most, most_data=None, registrar=None, **settings):
        """One enrolment through the proxy, which is returned."""
        site = self.site()
        site.init_registrar("--device", "gateway-1")
        for key, value in (registrar or {}).items():
            site.set_registrar(key, value)
        site.start_registrar()
        proxy = NarrowProxy(site.port, most, most_data)
        self.addCleanup(proxy.close)
        site.write_config([site.identity("gw", url=f"coaps://localhost:{proxy.port}", **settings)])
        site.start_daemon()
        site.wait_state("gw", "valid", timeout=120)
        site.assert_consistent("gw")
        return proxy

    def test_m03_an_ipv6_link_of_1280(self):
        proxy = self.enroll(1280 - IPV6_AND_UDP)
        self.assertEqual(proxy.dropped, 0)
        self.assertGreater(proxy.largest, 600)

    def test_m03_an_mtu_that_both_ends_know(self):
        proxy = self.enroll(576 - IPV4_AND_UDP, mtu=576, registrar={"mtu": 576})
        self.assertEqual(proxy.dropped, 0)

    def test_m03_frames_of_127_after_a_small_handshake(self):
        proxy = self.enroll(256 - IPV4_AND_UDP, 127, mtu=256, block_size=64,
                            registrar={"mtu": 256})
        self.assertEqual(proxy.dropped, 0)
        self.assertGreater(proxy.largest_data, 64)

    def test_m04_fragments_shrink_to_208_bytes(self):
        proxy = self.enroll(208)
        self.assertGreater(proxy.dropped, 3)


if __name__ == "__main__":
    harness.main()
