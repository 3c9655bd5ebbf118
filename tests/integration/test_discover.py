#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Finding: roots that estcd finds, and links that it must not follow; answers to `estc discover` that
no honest server gives, in datagrams made by hand."""
import itertools
import socket
import time

import coap
import harness
import rogue
from rogue import Answer, honest

URI_QUERY = 15
OPS = ("crts", "sen", "sren")


class Elsewhere(rogue.Server):
    """A server that has EST below one root only, and says what it likes in /.well-known/core."""

    def __init__(self, *arguments, root=("est",), core=None):
        self.root, self.core, self.paths = list(root), core, []
        super().__init__(*arguments)

    def ask(self, message, body, certificate):
        path = message.path
        self.paths.append("/" + "/".join(path))
        if path == [".well-known", "core"]:
            self.query = message.option(URI_QUERY)
            return self.core or Answer(404, b"no such resource", None)
        if path[:-1] != self.root or path[-1] not in OPS:
            return Answer(404, b"no such resource", None)
        return honest(rogue.Asked(path[-1], "", body, self.authority,
                                  message.number(coap.CONTENT_FORMAT), certificate))


def core(*bases, ops=OPS, content_format=coap.LINK):
    text = ",".join(f'<{base}/{op}>;rt="ace.est.{op}"' for base in bases for op in ops)
    return Answer(205, text.encode(), content_format)


class Roots(harness.TestCase):
    """How estcd finds the root, and whom it does not follow."""

    def setUp(self):
        self.s = self.site()
        self.ca, _ = rogue.authority(self.s)

    def server(self, **options):
        key, cert = self.ca.leaf("server", ["localhost"])
        server = Elsewhere(self.ca, key, [cert], **options)
        self.addCleanup(server.close)
        return server

    def enroll(self, url, **settings):
        self.s.write_config([rogue.identity(self.s, "gw", url=url, **settings)])
        self.s.start_daemon()
        return self.s.estc("enroll", "gw")

    def test_u06_the_usual_root_costs_no_question(self):
        server = self.server(root=(".well-known", "est"), core=core("/est"))
        done = self.enroll(f"coaps://localhost:{server.port}")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertNotIn("/.well-known/core", server.paths)

    def test_u06_another_root_is_found(self):
        server = self.server(core=core("/est"))
        done = self.enroll(f"coaps://localhost:{server.port}")
        self.assertEqual(done.status, harness.DONE, done)
        self.s.assert_consistent("gw")
        self.assertEqual(server.paths[:3],
                         ["/.well-known/est/crts", "/.well-known/core", "/est/crts"])
        self.assertEqual(server.query, b"rt=ace.est*")
        # One connection: whoever was authenticated has answered.
        self.assertEqual(len({session for session, _ in server.messages}), 1)
        self.assertRegex(self.s.daemon.log(), "has nothing at /.well-known/est, but EST at /est")

    def test_u06_a_configured_path_is_not_looked_for(self):
        server = self.server(core=core("/est"))
        done = self.enroll(f"coaps://localhost:{server.port}/elsewhere")
        self.assertEqual(done.status, harness.REJECTED, done)
        self.assertNotIn("/.well-known/core", server.paths)

    def test_u11_links_to_others_are_ignored(self):
        other = self.server(root=("est",))
        server = self.server(core=core(f"coaps://localhost:{other.port}/est",
                                       f"coaps://127.0.0.1:{other.port}/est"))
        done = self.enroll(f"coaps://localhost:{server.port}")
        self.assertEqual(done.status, harness.REJECTED, done)
        self.assertEqual((other.longest, other.paths), (0, []))
        self.assertRegex(self.s.daemon.log(), f"another server, .*:{other.port}, is ignored")

    def test_u10_u11_its_own_among_others(self):
        server = self.server(root=("x", "y"), core=Answer(205, b"", coap.LINK))
        server.core = Answer(205, (
            b'</sensor>;rt="temperature";ct=0,<coaps://evil.example/est/crts>;rt="ace.est.crts",'
            b'<x/y/crts>;rt="core.x ace.est.crts",'
            + f'<coaps://localhost:{server.port}/x/y/sen>;rt="ace.est.sen",'.encode()
            + b'</x/y/sren>;rt="ace.est.sren"'), coap.LINK)
        done = self.enroll(f"coaps://localhost:{server.port}")
        # Half of it is told relative, half absolute: no place has all.
        self.assertEqual(done.status, harness.REJECTED, done)
        server.core = Answer(205, server.core.payload + b',</x/y/sen>;rt="ace.est.sen"', coap.LINK)
        done = self.s.estc("enroll", "gw", "--force")
        self.assertEqual(done.status, harness.DONE, done)

    def test_u10_answers_that_are_none(self):
        server = self.server()
        for answer in (Answer(205, b"garbage", coap.LINK), Answer(205, b"</est/crts>", 0),
                       core("/est", ops=("crts",)), Answer(500, b"on fire", None),
                       Answer(205, b"<" * 60000, coap.LINK), Answer(205, b"", coap.LINK),
                       Answer(205, b'</\x1b[31m/crts>;rt="ace.est.crts"', coap.LINK)):
            server.core = answer
            with self.subTest(answer=answer.payload[:40]):
                if not self.s.daemon:
                    done = self.enroll(f"coaps://localhost:{server.port}")
                else:
                    done = self.s.estc("enroll", "gw", "--force")
                self.assertEqual(done.status, harness.REJECTED, done)
                self.assertRegex(self.s.show("gw")["last_error"], r"4\.04.*no such resource")
        self.assertTrue(self.s.daemon.log().replace("\n", "").isprintable())


class Liar(rogue.UdpServer):
    """Answers the questions of `estc discover` with datagrams that a function makes."""

    def __init__(self, play):
        self.play = play
        self.heard = []
        super().__init__()

    def receive(self, datagram, address):
        self.asker = address
        message = coap.Message.decode(datagram)
        self.heard.append(message)
        for reply in (self.play(message) if message.code else ()) or ():
            self.socket.sendto(reply if isinstance(reply, bytes) else reply.encode(), address)


def says(payload, code=205, content_format=coap.LINK, kind=coap.ACK, token=None, mid=None,
         options=()):
    """A player that gives one answer to everything."""
    def play(message):
        form = [] if content_format is None else [(coap.CONTENT_FORMAT, coap.uint(content_format))]
        return [coap.Message(kind, coap.code(code), message.mid if mid is None else mid,
                             message.token if token is None else token, [*form, *options], payload)]
    return play


def in_blocks(payload, szx=2, lie=lambda number, block: block):
    """A player that cuts an answer into blocks; lie() may change what it says of them."""
    def play(message):
        asked = message.block(coap.BLOCK2)
        number = asked.number if asked else 0
        size = 16 << szx
        part = payload[number * size:(number + 1) * size]
        block = lie(number, (number, len(payload) > (number + 1) * size, szx))
        return [coap.Message(coap.ACK, coap.code(205), message.mid, message.token, [
            (coap.CONTENT_FORMAT, coap.uint(coap.LINK)), (coap.BLOCK2, coap.block(*block))], part)]
    return play


GOOD = b",".join(b'<coaps://est.example/est/%s>;rt="ace.est.%s";ct=281' % (op, op)
                 for op in (b"crts", b"sen", b"sren"))


def separate(message):
    return [coap.Message(coap.ACK, 0, message.mid),
            *says(GOOD, kind=coap.CON, mid=0x7777)(message)]


def twice(message):
    return says(GOOD)(message) * 2


def reset(message):
    return [coap.Message(coap.RST, 0, message.mid)]


class Answers(harness.TestCase):
    """What `estc discover` makes of answers."""

    def discover(self, play, *arguments):
        with Liar(play) as liar:
            done = harness.run(harness.ESTC, "discover", f"127.0.0.1:{liar.port}", "--timeout", "3s",
                               *arguments)
            time.sleep(0.2)
        self.assertTrue((done.out + done.err).replace("\n", "").isprintable(), done)
        self.assertIn(done.status, (harness.DONE, harness.FAILED, harness.UNREACHABLE), done)
        return done, liar

    def test_good_in_every_form(self):
        plays = {"piggybacked": says(GOOD), "non": says(GOOD, kind=coap.NON, mid=9),
                 "separate": separate, "twice": twice, "no format": says(GOOD, content_format=None),
                 "blocks of 64": in_blocks(GOOD), "blocks of 16": in_blocks(GOOD, 0),
                 "blocks of 1024": in_blocks(GOOD + b"," + GOOD.replace(b"/est/", b"/e/"), 6)}
        for name, play in plays.items():
            with self.subTest(name):
                done, liar = self.discover(play)
                self.assertEqual(done.status, harness.DONE, done)
                self.assertRegex(done.out, r"coaps://est.example/est +- +yes +crts sen sren +281 ")
                if name == "separate":
                    self.assertIn((coap.ACK, 0x7777), [(m.type, m.mid) for m in liar.heard])

    def test_u10_relative_links_are_not_secure(self):
        done, _ = self.discover(says(b'</est/crts>;rt="ace.est.crts";ct="281 287",</x>'), "--json")
        place, = done.json()
        self.assertFalse(place["secure"])
        self.assertRegex(place["url"], r"^coap://127\.0\.0\.1/est$")

    def test_lost_questions_are_asked_again(self):
        count = itertools.count()

        def play(message):
            return says(GOOD)(message) if next(count) else None
        done, liar = self.discover(play)
        self.assertEqual(done.status, harness.DONE, done)
        self.assertEqual(liar.heard[0].encode(), liar.heard[1].encode())

    def test_what_is_no_offer(self):
        unrelated = b"</a>;rt=core.s," + GOOD.replace(b"ace.est.", b"xce.est.")
        cases = {
            "nothing": (says(b""), "offers no EST"),
            "unrelated": (says(unrelated), "offers no EST"),
            "garbage": (says(b"\x00\xffgarbage"), "cannot be read"),
            "control": (says(b'</\x1b[31m/crts>;rt="ace.est.crts"'), "cannot be read"),
            "control in a value": (says(b'</est/crts>;rt="ace.est.crts";title="\x07"'),
                                   "cannot be read"),
            "no list": (says(GOOD, content_format=0), "format 0"),
            "est of another kind": (says(GOOD.replace(b"coaps:", b"https:")), "left out: 3"),
            "host with a bell": (says(GOOD.replace(b"est.example", b"est.\xc2\x9bexample")),
                                 "left out: 3"),
            "4.04": (says(b"no \x1b[31m such\nthing", 404, None), r"4.04: no \?\[31m such\?thing"),
            "5.03": (says(b"", 503, None), "5.03"),
            "too many places": (in_blocks(b",".join(
                b'<coaps://h/r%d/crts>;rt="ace.est.crts"' % i for i in range(100)), 6), "64 places"),
        }
        for name, (play, text) in cases.items():
            with self.subTest(name):
                done, _ = self.discover(play)
                self.assertEqual(done.status, harness.FAILED, done)
                self.assertRegex(done.err, text)

    def test_what_breaks_coap(self):
        bad = {
            "endless blocks": (in_blocks(b"<a>," * 40000, 6), harness.FAILED),
            "blocks that lie": (in_blocks(GOOD, lie=lambda n, b: (n, True, 2)), harness.FAILED),
            "blocks of 2048": (in_blocks(GOOD, lie=lambda n, b: (n, b[1], 7)), harness.UNREACHABLE),
            "an unknown critical option": (says(GOOD, options=[(9999, b"")]), harness.UNREACHABLE),
            "a request": (says(GOOD, code=1), harness.UNREACHABLE),
            "another token": (says(GOOD, token=b"xxxxxxxx"), harness.UNREACHABLE),
            "no token": (says(GOOD, token=b""), harness.UNREACHABLE),
            "noise": (lambda m: [b"", b"\xff" * 40, b"\x60", b"\x60\x45", b"\x6f\x45\x00\x00"],
                      harness.UNREACHABLE),
            "an acknowledgement alone": (lambda m: [coap.Message(coap.ACK, 0, m.mid)],
                                         harness.UNREACHABLE),
            "silence": (lambda m: None, harness.UNREACHABLE),
            "a reset": (reset, harness.UNREACHABLE),
            "a huge datagram": (lambda m: [says(b"</a>," * 12000)(m)[0]], harness.UNREACHABLE),
        }
        for name, (play, status) in bad.items():
            with self.subTest(name):
                done, _ = self.discover(play)
                self.assertEqual(done.status, status, done)
                self.assertTrue(done.err.startswith("estc: "), done)

    def test_an_answer_from_another_port_does_not_count(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            def play(message):
                other.sendto(says(GOOD)(message)[0].encode(), liar.asker)

            with Liar(play) as liar:
                done = harness.run(harness.ESTC, "discover", f"127.0.0.1:{liar.port}", "--timeout",
                                   "2s")
        self.assertEqual(done.status, harness.UNREACHABLE, done)

    def test_nobody_there(self):
        done = harness.run(harness.ESTC, "discover", f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(done.status, harness.UNREACHABLE, done)
        self.assertRegex(done.err, "nobody listens")
        done = harness.run(harness.ESTC, "discover", "no-such-host.invalid", "--timeout", "2s")
        self.assertEqual(done.status, harness.UNREACHABLE, done)

    def test_usage(self):
        for words in ((), ("127.0.0.1", "--multicast", "lo"), ("a", "b"), ("coaps://x/est",),
                      ("http://x",), ("x:0",), ("",), ("--multicast",), ("--force", "x")):
            with self.subTest(words):
                done = harness.run(harness.ESTC, "discover", *words)
                self.assertEqual(done.status, harness.BAD_USAGE, done)
                self.assertTrue(done.err.startswith("estc: "), done)

    @harness.needs_root
    def test_root_is_given_up(self):
        with Liar(lambda message: None) as liar:
            asking = harness.subprocess.Popen(
                [harness.ESTC, "discover", f"127.0.0.1:{liar.port}", "--timeout", "4s"],
                stderr=harness.subprocess.DEVNULL)
            harness.wait_for(lambda: liar.heard, "the question")
            status = harness.pathlib.Path(f"/proc/{asking.pid}/status").read_text()
            asking.wait(30)
        self.assertRegex(status, r"Uid:\s+65534\s+65534\s+65534\s+65534")
        self.assertRegex(status, r"CapEff:\s+0+\n")
        self.assertRegex(status, r"NoNewPrivs:\s+1")


if __name__ == "__main__":
    harness.main()
