#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""A flood of first messages, none of which goes on to a handshake, at a registrar that is at work:
clients with certificates come, get the CA certificates and renew, again and again, each time on a
new connection. Prints what it measured with its bounds, and fails when one is broken.

    tests/bench/flood.py [--rate N] [--ports N] [--seconds N] [--clients N]
"""
import argparse
import multiprocessing
import os
import pathlib
import resource
import socket
import sys
import threading
import time

from cryptography.hazmat.primitives.serialization import pkcs7

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import coap  # noqa: E402
import dtls  # noqa: E402
import harness  # noqa: E402
import pki  # noqa: E402
import rogue_client  # noqa: E402

EST = "/.well-known/est"
FINISH_S = 10           # a client, from its first datagram to its new certificate
GROWTH_KB = 4096        # of the server's resident memory
LOG_B = 2048            # a client and round, beside the flood
SENT = 0.9              # of what was to be sent, or the machine says nothing


def greeting():
    """A ClientHello without a cookie, by hand."""
    body = (b"\xfe\xfd" + os.urandom(32) + b"\0\0" + b"\0\4\xc0\x2b\xc0\xae" + b"\1\0")
    size = len(body).to_bytes(3, "big")
    return dtls.record(dtls.HANDSHAKE, b"\1" + size + b"\0\0" + b"\0\0\0" + size + body)


def flood(port, rate, ports, seconds, sent):
    """In a process of its own."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(ports)]
    for own in sockets:
        own.connect(("127.0.0.1", port))
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        while sent.value < passed * rate:
            sockets[sent.value % ports].send(greeting())
            sent.value += 1
        time.sleep(0.001)


class Enrolled:
    """A client with a certificate of the site's CA."""

    def __init__(self, site, number):
        folder = site.site / "devices" / "gateway-1"
        self.port, self.key = site.port, pki.new_key()
        self.request = pki.request(self.key, f"gateway-1-{number}")
        self.seconds, self.failed = [], []
        with rogue_client.Client(site.port, pki.load_key(folder / "key.pem"),
                                 pki.load_certs(folder / "cert.pem")) as client:
            code, body, _ = client.request(coap.POST, f"{EST}/sen", self.request, coap.PKCS10)
        assert code == 204, (code, body)
        self.chain = pkcs7.load_der_pkcs7_certificates(body)

    def work(self):
        """Once through, on a new connection."""
        began = time.monotonic()
        try:
            with rogue_client.Client(self.port, self.key, self.chain,
                                     timeout=3 * FINISH_S * harness.PATIENCE) as client:
                codes = [client.request(coap.GET, f"{EST}/crts", accept=coap.CERTS_ONLY)[0],
                         client.request(coap.POST, f"{EST}/sren", self.request, coap.PKCS10)[0]]
            if codes != [205, 204]:
                self.failed.append(codes)
        except Exception as error:  # whatever it is, this client was kept out
            self.failed.append(repr(error))
        self.seconds.append(time.monotonic() - began)


def resident_kb(process):
    text = pathlib.Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return int(text.split("Rss:")[1].split()[0])


def processor_s(process):
    tasks = pathlib.Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


class Flood:
    """One run of it, and its figures."""

    def __init__(self, site, rate, ports, seconds, clients):
        self.seconds, self.meant = seconds, rate * seconds
        everybody = [Enrolled(site, n) for n in range(clients)]
        for client in everybody:   # memory is what it is at work
            client.work()
            client.seconds.clear()
        log, memory = len(site.registrar.log()), resident_kb(site.registrar)
        processor = processor_s(site.registrar)
        sent = multiprocessing.Value("l", 0, lock=False)
        sender = multiprocessing.Process(target=flood, args=(site.port, rate, ports, seconds, sent))
        sender.start()
        self.rounds = 0
        while sender.is_alive():
            threads = [threading.Thread(target=client.work) for client in everybody]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.rounds += 1
        sender.join()
        self.sent = sent.value
        self.failed = [failed for client in everybody for failed in client.failed]
        self.slowest = max(seconds for client in everybody for seconds in client.seconds)
        self.turns = self.rounds * clients
        self.growth_kb = resident_kb(site.registrar) - memory
        self.log_b = len(site.registrar.log()) - log
        self.processor_s = processor_s(site.registrar) - processor
        load = harness.run(harness.ESTC, "--registrar-socket", site.site / "control", "registrar",
                           "load", "--json").json()
        self.answered = load["cookies"] - load["connected"]
        self.handshakes = {limit["name"]: limit for limit in load["limits"]}["max_handshakes"]

    def figures(self):
        """(text, figure, bound, whether it holds)"""
        finish, log = FINISH_S * harness.PATIENCE, self.turns * LOG_B
        # A sanitizer keeps what was freed.
        growth = float("inf") if harness.SANITIZED else GROWTH_KB
        return [
            ("first messages sent", self.sent, f">= {SENT * self.meant:.0f}",
             self.sent >= SENT * self.meant),
            ("answered with a cookie", self.answered, f">= {self.sent // 2}",
             self.answered >= self.sent // 2),
            ("rounds of all clients", self.rounds, ">= 1", self.rounds >= 1),
            ("clients that were kept out", len(self.failed), "0", not self.failed),
            ("slowest client, s", round(self.slowest, 2), f"< {finish}", self.slowest < finish),
            ("handshakes not heard or ended", self.handshakes["refused"], "0",
             self.handshakes["refused"] == 0),
            ("server's memory grew by, kB", self.growth_kb, f"< {growth}", self.growth_kb < growth),
            ("server's log grew by, bytes", self.log_b, f"< {log}", self.log_b < log),
            ("server's processor time, %", round(100 * self.processor_s / self.seconds, 1), "-",
             True),
        ]


def run(site, rate, ports, seconds, clients):
    site.init_registrar("--device", "gateway-1")
    site.set_registrar("certificate_rate", 0)   # all begin with one birth certificate
    site.start_registrar()
    return Flood(site, rate, ports, seconds, clients)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--rate", type=int, default=2000, help="first messages a second (2000)")
    parser.add_argument("--ports", type=int, default=1000, help="that they come from (1000)")
    parser.add_argument("--seconds", type=int, default=30, help="how long (30)")
    parser.add_argument("--clients", type=int, default=20, help="at work meanwhile (20)")
    options = parser.parse_args()
    site = harness.Site()
    try:
        done = run(site, options.rate, options.ports, options.seconds, options.clients)
    finally:
        site.close()
    for text, figure, bound, holds in done.figures():
        print(f"{text:32} {figure:>10}   {bound:12} {'' if holds else 'BROKEN'}".rstrip())
    for failed in done.failed[:10]:
        print(f"kept out: {failed}")
    return 0 if all(holds for *_, holds in done.figures()) else 1


if __name__ == "__main__":
    sys.exit(main())
