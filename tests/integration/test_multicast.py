#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Discovery by multicast, between two network namespaces with a wire between them: this process and
what it starts are at one end, a second registrar at the other. Needs root."""
import ctypes
import re
import socket
import struct
import subprocess
import threading
import time
import unittest

import coap
import harness
from test_discover import GOOD, says
from test_discovery import CORE, OPS, URI_QUERY, Asker, links, offered

CLONE_NEWNET = 0x40000000
PORT = 5683
GROUP4, GROUP6 = "224.0.1.187", "ff02::fd"
NEAR, FAR = "10.99.0.1", "10.99.0.2"
LEISURE = 5


def ip(*words, inside=None):
    enter = ["nsenter", "-t", str(inside), "-n"] if inside else []
    done = harness.run(*enter, "ip", *words)
    assert done.status == 0, (words, done)


class Wire:
    """Two namespaces: ours with near0 and spare0, and one held by a process with far0 and spare1."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "600"])
        self.far = self.holder.pid
        own = harness.os.readlink("/proc/self/ns/net")
        harness.wait_for(lambda: harness.os.readlink(f"/proc/{self.far}/ns/net") != own,
                         "a namespace of its own")
        ip("link", "set", "lo", "up")
        ip("link", "set", "lo", "up", inside=self.far)
        for near, far, net in (("near0", "far0", 0), ("spare0", "spare1", 1)):
            ip("link", "add", near, "type", "veth", "peer", "name", far)
            ip("link", "set", far, "netns", str(self.far))
            for name, inside, last in ((near, None, 1), (far, self.far, 2)):
                ip("addr", "add", f"10.99.{net}.{last}/24", "dev", name, inside=inside)
                ip("-6", "addr", "add", f"fd99:{net}::{last}/64", "dev", name, "nodad",
                   inside=inside)
                ip("link", "set", name, "up", inside=inside)
        # Link-local addresses are in use once nobody else has claimed them.
        harness.wait_for(lambda: all("tentative" not in harness.run(
            *enter, "ip", "-6", "addr").out for enter in ((), self.at_far())), "addresses")

    def at_far(self):
        return ("nsenter", "-t", str(self.far), "-n")

    def close(self):
        self.holder.kill()
        self.holder.wait()


def own_network():
    """True when this process now has a network of its own, which ends with it."""
    return (harness.IS_ROOT and ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0)


class Group:
    """Asks a group on an interface by hand, and hears everybody who answers."""

    def __init__(self, interface, family=socket.AF_INET):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        index = socket.if_nametoindex(interface)
        if family == socket.AF_INET:
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                   struct.pack("@4s4si", bytes(4), bytes(4), index))
            self.to = (GROUP4, PORT)
        else:
            self.to = (GROUP6, PORT, 0, index)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def ask(self, data, wait=LEISURE + 1.5, enough=None):
        """[(seconds, host, message)] of the answers."""
        if not isinstance(data, bytes):
            data = data.encode()
        began = time.monotonic()
        self.socket.sendto(data, self.to)
        heard = []
        while (left := began + wait - time.monotonic()) > 0 and len(heard) != enough:
            self.socket.settimeout(left)
            try:
                answer, address = self.socket.recvfrom(2048)
            except TimeoutError:
                break
            heard.append((time.monotonic() - began, address[0].split("%")[0],
                          coap.Message.decode(answer)))
        return heard


def question(code=coap.GET, options=(*CORE, (URI_QUERY, b"rt=ace.est*")), kind=coap.NON, mid=0x1234,
             payload=b""):
    return coap.Message(kind, code, mid, b"mc", list(options), payload)


class OnTheWire(harness.ClassSite):
    """Tests in a network of their own."""

    @classmethod
    def setUpClass(cls):
        if not own_network():
            raise unittest.SkipTest("a network of its own is not allowed here")
        cls.wire = Wire()
        cls.addClassCleanup(cls.wire.close)
        super().setUpClass()


class Network(OnTheWire):
    """A registrar at each end of the wire."""

    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1", "--name", NEAR, "--name", FAR)
        cls.registrars = {}
        for name, enter, interface in (("near", (), "near0"), ("far", cls.wire.at_far(), "far0")):
            conf = site.site / f"{name}.conf"
            text = re.sub(r'^(address|port|ledger) = .*\n', "",
                          (site.site / "est-registrar.conf").read_text(), flags=re.M)
            conf.write_text(f'ledger = "{name}.sqlite";\ndiscovery = {{ enabled = true; '
                            f'interfaces = [ "{interface}" ]; }};\n' + text)
            process = site.start(name, *enter, harness.REGISTRAR, "-c", conf)
            cls.registrars[name] = process.wait_ready()

    def offers(self, message, host):
        self.assertEqual((coap.dotted(message.code), message.number(coap.CONTENT_FORMAT)),
                         (205, coap.LINK))
        return offered(message.payload.decode(), f"coaps://{host}/.well-known/est")

    def test_u07_both_answer_over_ipv4(self):
        with Group("near0") as group:
            heard = group.ask(question(), enough=2)
        self.assertEqual({host for _, host, _ in heard}, {NEAR, FAR})
        for _, host, message in heard:
            self.assertLessEqual(set(OPS), set(self.offers(message, host)))
            self.assertEqual((message.type, message.token), (coap.NON, b"mc"))

    def test_u07_both_answer_over_ipv6(self):
        with Group("near0", socket.AF_INET6) as group:
            heard = group.ask(question(), enough=2)
        self.assertEqual(len({host for _, host, _ in heard}), 2)
        for _, host, message in heard:
            self.assertTrue(host.startswith("fe80::"), host)
            self.assertLessEqual(set(OPS), set(self.offers(message, f"[{host}]")))

    def test_leisure_is_random_and_bounded(self):
        """RFC 7252 section 8.2: within 5 s, and not all at once."""
        times = []

        def ask(mid):
            with Group("near0") as group:
                times.extend(seconds for seconds, _, _ in group.ask(question(mid=mid)))
        askers = [threading.Thread(target=ask, args=(mid,)) for mid in range(6)]
        time.sleep(10)  # answers are rationed
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        self.assertEqual(len(times), 12)
        self.assertLess(max(times), LEISURE + 1)
        self.assertGreater(max(times) - min(times), 0.3)

    def test_silence_where_there_is_nothing_to_say(self):
        silent = {
            "nothing of that type": question(options=(*CORE, (URI_QUERY, b"rt=core.*"))),
            "not found": question(options=[(coap.URI_PATH, b"est"), (coap.URI_PATH, b"crts")]),
            "no such method": question(coap.POST, payload=b"x"),
            "not acceptable": question(options=(*CORE, (coap.ACCEPT, coap.uint(50)))),
            "bad option": question(options=(*CORE, (9999, b""))),
            "proxy": question(options=[(35, b"coap://x/")]),
            "confirmable": question(kind=coap.CON),
            "a ping": b"\x40\x00\x12\x34",
            "an acknowledgement": b"\x60\x45\x12\x34",
            "an option cut short": b"\x50\x01\x12\x34\xbb.well",
            "garbage": b"\xff\xff\xff\xff",
            "a client hello": b"\x16\xfe\xfd" + bytes(40),
        }
        groups = [Group("near0") for _ in silent]
        for group, data in zip(groups, silent.values()):
            group.socket.sendto(data if isinstance(data, bytes) else data.encode(), group.to)
        time.sleep(LEISURE + 1)
        for group, name in zip(groups, silent):
            with group, self.subTest(name):
                group.socket.settimeout(0.1)
                with self.assertRaises(TimeoutError):
                    self.fail(f"{name}: {group.socket.recv(2048)}")

    def test_t01_unicast_beside_it(self):
        asker = Asker(PORT, FAR)
        self.addCleanup(asker.close)
        self.assertLessEqual(set(OPS), set(self.offers(asker.ask(coap.GET, CORE), FAR)))
        path = [(coap.URI_PATH, part) for part in (b".well-known", b"est", b"crts")]
        self.assertEqual(coap.dotted(asker.ask(coap.GET, path).code), 404)

    def test_other_interfaces_are_not_served(self):
        with Group("spare0") as group:
            self.assertEqual(group.ask(question()), [])
        asker = Asker(PORT, "10.99.1.2")
        self.addCleanup(asker.close)
        self.assertIsNone(asker.raw(coap.Message(coap.CON, coap.GET, 1, b"t", CORE).encode()))

    def test_libcoaps_client(self):
        for uri in (f"coap://[{GROUP6}%near0]/.well-known/core?rt=ace.est*",
                    f"coap://{FAR}/.well-known/core?rt=ace.est*"):
            group = ["-N"] if "ff02" in uri else []
            done = harness.run("coap-client-notls", "-B", "7", *group, uri)
            self.assertTrue(links(done.out.replace("\n", "")), done)
            self.assertIn("/.well-known/est/sren>", done.out)

    def test_u10_estc_discover(self):
        done = harness.run(harness.ESTC, "discover", "--multicast", "near0", "--json")
        self.assertEqual(done.status, harness.DONE, done)
        places = done.json()
        urls = {place["url"] for place in places}
        self.assertLessEqual({f"coaps://{NEAR}", f"coaps://{FAR}"}, urls)
        # Each registrar by IPv4 and by its link-local address, which needs the zone to be of use.
        self.assertEqual(len(urls), 4, urls)
        for url in urls:
            self.assertRegex(url, r"^coaps://(10\.99\.0\.\d|\[fe80::[0-9a-f:]+%25near0\])$")
        self.assertFalse(any(place["authenticated"] for place in places))
        self.assertTrue(all(place["secure"] for place in places))

    def test_what_was_found_enrolls(self):
        done = harness.run(harness.ESTC, "discover", FAR, "--json")
        url = next(place["url"] for place in done.json() if not place["label"])
        site = self.shared
        site.write_config([site.identity("found", url=url)])
        site.start_daemon()
        self.addCleanup(site.daemon.stop)
        done = site.estc("enroll", "found")
        self.assertEqual(done.status, harness.DONE, done)
        site.assert_consistent("found")

    def test_nobody_on_the_wire(self):
        done = harness.run(harness.ESTC, "discover", "--multicast", "spare0", "--timeout", "1s")
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertRegex(done.err, "Nobody answered on spare0 within 1 s")
        done = harness.run(harness.ESTC, "discover", "--multicast", "spare0", "--timeout", "1s",
                           "--json")
        self.assertEqual((done.status, done.json()), (harness.FAILED, []))
        done = harness.run(harness.ESTC, "discover", "--multicast", "nope0")
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertRegex(done.err, "no network interface 'nope0'")


class Crowd:
    """Many hosts that answer a multicast on spare0, each from a port of its own: good and bad."""

    def __init__(self, plays):
        self.plays = plays
        self.heard = 0
        self.group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.group.bind((GROUP4, PORT))
        self.group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack(
            "@4s4si", socket.inet_aton(GROUP4), bytes(4), socket.if_nametoindex("spare0")))
        self.group.settimeout(0.1)
        self.sockets = []
        for _ in plays:
            self.sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            self.sockets[-1].bind(("10.99.1.1", 0))
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            try:
                data, address = self.group.recvfrom(2048)
            except TimeoutError:
                continue
            self.heard += 1
            for play, answering in zip(self.plays, self.sockets):
                for reply in play(coap.Message.decode(data)) or ():
                    answering.sendto(reply if isinstance(reply, bytes) else reply.encode(), address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        for each in (self.group, *self.sockets):
            each.close()


class Hostile(OnTheWire):
    """Answers to a multicast from anybody."""

    @classmethod
    def start(cls, site):
        """No registrar."""

    def discover(self, plays, *arguments):
        with Crowd(plays) as crowd:
            done = harness.run(harness.ESTC, "discover", "--multicast", "spare0", "--timeout", "2s",
                               *arguments)
        self.assertEqual(crowd.heard, 2, "asked once, and once more")
        self.assertTrue((done.out + done.err).replace("\n", "").isprintable(), done)
        return done

    def test_the_good_one_among_bad_ones(self):
        non = {"kind": coap.NON, "mid": 7}
        bad = [says(b"\x00garbage", **non), says(b'</\x1b[2J/crts>;rt="ace.est.crts"', **non),
               says(GOOD, content_format=0, **non), says(b"no", 404, None, **non),
               says(GOOD, token=b"xxxxxxxx", **non), says(b"<a>," * 9000, **non),
               lambda message: [b"\xff" * 100, b"", b"\x40"], lambda message: None]
        done = self.discover([*bad, says(GOOD, **non), *bad], "--json")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual([place["url"] for place in done.json()], ["coaps://est.example/est"])

    def test_more_than_can_be_counted(self):
        done = self.discover([says(GOOD, kind=coap.NON, mid=7)] * 150, "--json")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(len(done.json()), 64)


if __name__ == "__main__":
    harness.main()
