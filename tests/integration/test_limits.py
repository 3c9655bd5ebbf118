#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Limits of est-registrar, each one reached, with its counter; and what is made beside the loop."""
import socket
import threading

from OpenSSL import SSL

import coap
import dtls
import harness
import pki
import rogue_client

EST = "/.well-known/est"
KEY_RETRY = 5   # Max-Age while a key is being made


class Limits(harness.TestCase):
    def registrar(self, **settings):
        site = self.site()
        site.init_registrar("--device", "gateway-1", "--device", "gateway-2")
        for key, value in settings.items():
            site.set_registrar(key, value)
        site.start_registrar()
        return site

    def client(self, site, device="gateway-1", own=None, timeout=10):
        client = rogue_client.Client(site.port, *site.birth(device), own=own,
                                     timeout=timeout * harness.PATIENCE)
        self.addCleanup(client.close)
        return client

    def load(self, site):
        done = harness.run(harness.ESTC, "--registrar-socket", site.site / "control", "registrar",
                           "load", "--json")
        self.assertEqual(done.status, 0, done)
        load = done.json()
        return load, {limit["name"]: limit for limit in load["limits"]}

    def limit(self, site, name):
        return self.load(site)[1][name]

    def get(self, client):
        return client.request(coap.GET, f"{EST}/crts", accept=coap.CERTS_ONLY)

    def served(self, client):
        self.assertEqual(self.get(client)[0], 205)

    def half(self, site):
        """A handshake that brings its cookie back and goes no further."""
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(own.close)
        own.connect(("127.0.0.1", site.port))
        own.settimeout(5 * harness.PATIENCE)
        ends = dtls.Endpoint(dtls.context(SSL.DTLS_CLIENT_METHOD, *site.birth()), own.send,
                             server=False)
        ends.handshake()
        ends.receive(own.recv(65535))
        self.assertEqual(own.recv(65535)[0], dtls.HANDSHAKE)

    def test_sessions_the_longest_silent_makes_room(self):
        site = self.registrar(max_sessions=2)
        first, second = self.client(site), self.client(site)
        self.served(first)
        third = self.client(site)
        harness.wait_for(lambda: self.limit(site, "max_sessions")["refused"] == 1, "one ended")
        self.served(first)
        self.served(third)
        self.assertEqual(self.limit(site, "max_sessions")["used"], 2)
        with self.assertRaises((SSL.Error, TimeoutError, ConnectionError)):
            second.timeout = 1
            self.get(second)

    def test_handshakes_that_do_not_get_on_keep_nobody_out(self):
        site = self.registrar(max_handshakes=4)
        for _ in range(4):
            self.half(site)
        self.assertEqual(self.limit(site, "max_handshakes")["used"], 4)
        client = self.client(site, timeout=20)
        self.served(client)
        limit = self.limit(site, "max_handshakes")
        self.assertGreaterEqual(limit["refused"], 2, "not heard at first, and one ended")
        self.assertEqual(limit["used"], 3)

    def test_addresses_have_a_rate_each(self):
        site = self.registrar(address_rate=3)
        for _ in range(3):
            self.client(site)
        with self.assertRaises(TimeoutError):
            self.client(site, timeout=2)
        self.assertGreaterEqual(self.limit(site, "address_rate")["refused"], 1)
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.bind(("127.0.0.2", 0))
        self.served(self.client(site, own=own))

    def test_certificates_have_a_rate_each(self):
        site = self.registrar(certificate_rate=5)
        first, other = self.client(site), self.client(site, "gateway-2")
        for _ in range(5):
            self.served(first)
        for client in (first, self.client(site)):   # on whichever connection
            code, text, answer = self.get(client)
            self.assertEqual(code, 503)
            self.assertIn(b"too many requests", text)
            self.assertIn(answer.number(coap.MAX_AGE), range(1, 14))
        self.served(other)
        self.assertEqual(self.limit(site, "certificate_rate")["refused"], 2)

    def test_bodies_and_the_room_for_all(self):
        site = self.registrar(max_bodies="64K")
        first, second = self.client(site), self.client(site, "gateway-2")

        def block(client, path, number):
            option = (coap.BLOCK1, coap.block(number, True, 6))
            return coap.dotted(client.exchange(
                client.message(coap.POST, path, [option], b"x" * 1024)).code)

        for path in "/a", "/b", "/c", "/d":
            self.assertEqual({block(first, path, n) for n in range(15)}, {231})
        self.assertEqual(self.limit(site, "max_bodies")["used"], 60 * 1024)
        self.assertEqual([block(second, "/e", n) for n in range(5)], [231] * 4 + [503])
        self.assertEqual(self.limit(site, "max_bodies")["refused"], 1)
        self.assertEqual([block(first, "/a", n) for n in (15, 16)], [231, 413])
        self.assertEqual(self.limit(site, "max_body")["refused"], 1)
        self.assertLess(self.limit(site, "max_bodies")["used"], 60 * 1024)

    def test_for_people(self):
        site = self.registrar(certificate_rate=0)
        self.served(self.client(site))
        done = harness.run(harness.ESTC, "--registrar-socket", site.site / "control", "registrar",
                           "load")
        self.assertEqual(done.status, 0, done)
        self.assertRegex(done.out, r"max_sessions +1024 +1 +0\n")
        self.assertRegex(done.out, r"certificate_rate +none +0 +0\n")
        for line in "1 handshakes done", "1 requests", "1 first messages answered with a cookie":
            self.assertIn(f"  {line}\n", done.out)

    # --- keys that take long ---

    @classmethod
    def setUpClass(cls):
        cls.request = pki.request(pki.new_key("rsa3072"), "gateway-1-key")

    def ask_for_keys(self, site, count):
        """(dotted code, seconds until one is to come again or None) of so many at once."""
        answers = []

        def ask(client):
            code, _, last = client.request(coap.POST, f"{EST}/skg", self.request, coap.PKCS10)
            answers.append((code, last.number(coap.MAX_AGE)))

        threads = [threading.Thread(target=ask, args=(self.client(site, timeout=60),))
                   for _ in range(count)]
        for thread in threads:
            thread.start()
        return threads, answers

    def test_keys_are_made_while_others_are_served(self):
        site = self.registrar(server_keys=True, certificate_rate=0)
        client = self.client(site, "gateway-2")
        threads, answers = self.ask_for_keys(site, 4)
        served = 0
        while any(thread.is_alive() for thread in threads):
            self.served(client)
            served += 1
        self.assertEqual([code for code, _ in answers], [204] * 4)
        self.assertGreater(served, 20, "one between two keys would be all")

    def test_who_cannot_wait_for_a_key_comes_again(self):
        site = self.registrar(server_keys=True, max_waiting=1)
        threads, answers = self.ask_for_keys(site, 3)
        for thread in threads:
            thread.join()
        self.assertIn((204, None), answers)
        self.assertIn((503, KEY_RETRY), answers)
        self.assertLessEqual({code for code, _ in answers}, {204, 503})
        self.assertGreaterEqual(self.limit(site, "max_waiting")["refused"], 1)
        for _ in range(3):   # the key is there, if not the first time
            threads, answers = self.ask_for_keys(site, 1)
            threads[0].join()
            self.assertEqual(answers[0][0], 204)


if __name__ == "__main__":
    harness.main()
