#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Being found and finding, on loopback: /.well-known/core over coaps and over plain CoAP, judged by
libcoap's clients and by datagrams made by hand; roots that estcd finds, and links that it must not
follow; answers to `estc discover` that no honest server gives."""
import itertools
import re
import socket
import time

import coap
import harness
import rogue
from rogue import Answer, honest

CORE = [(coap.URI_PATH, b".well-known"), (coap.URI_PATH, b"core")]
URI_QUERY, PROXY_URI = 15, 35
OPS = ("crts", "sen", "sren")


def links(text):
    """link-format -> {target: {name: value}}, by a reader of its own."""
    found = {}
    for target, params in re.findall(r'<([^>]*)>((?:;[^;,"]+(?:="[^"]*"|=[^;,"]*)?)*)(?:,|$)', text):
        found[target] = {name: value.strip('"') for name, _, value in (
            param.partition("=") for param in params.split(";")[1:])}
    return found


def offered(text, base):
    """The EST operations that are listed below a base, in order."""
    return [target.rsplit("/", 1)[1] for target, params in links(text).items()
            if target.rsplit("/", 1)[0] == base and params["rt"].startswith("ace.est.")]


class Coaps(harness.ClassSite):
    """Over DTLS, with a client certificate."""

    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.set_registrar("root", "/est")
        site.start_registrar()

    def get(self, path, *arguments):
        folder = self.shared.site / "devices" / "gateway-1"
        done = harness.run("coap-client-openssl", "-c", folder / "cert.pem", "-j",
                           folder / "key.pem", "-R", self.shared.site / "trust.pem", "-B", "10",
                           *arguments, f"coaps://127.0.0.1:{self.shared.port}{path}")
        return done.out.strip() + done.err.strip()

    def test_u05_u07_u08_lists_what_is_served(self):
        text = self.get("/.well-known/core")
        for base in ("/est", "/.well-known/est"):
            self.assertLessEqual(set(OPS), set(offered(text, base)), text)
            # The label of the second rule that init writes.
            self.assertLessEqual(set(OPS), set(offered(text, f"{base}/short")), text)
        for target, params in links(text).items():
            op = target.rsplit("/", 1)[1]
            self.assertEqual(params["rt"], f"ace.est.{op}")
            self.assertEqual(params["ct"], {"att": "285", "skg": "62", "skc": "62"}.get(
                op, "281 287"))

    def test_u07_what_is_listed_is_there(self):
        for target in links(self.get("/.well-known/core?rt=ace.est*")):
            # The wrong method, so that nothing is done: 4.05 is said of what is there.
            wrong = ("-m", "post", "-e", "x") if target[-4:] in ("crts", "/att") else ("-m", "get")
            self.assertRegex(self.get(target, *wrong), "^4.05", target)

    def test_u01_both_roots_answer(self):
        for root in ("/est", "/.well-known/est", "/est/short", "/.well-known/est/short"):
            out = self.shared.dir / "crts.p7"
            self.get(f"{root}/crts", "-o", out)
            self.assertEqual(
                harness.run("openssl", "pkcs7", "-inform", "DER", "-in", out, "-noout").status, 0)
            out.unlink()

    def test_u09_filter(self):
        self.assertEqual(set(links(self.get("/.well-known/core?rt=ace.est.sen"))),
                         {"/est/sen", "/est/short/sen", "/.well-known/est/sen",
                          "/.well-known/est/short/sen"})
        self.assertEqual(self.get("/.well-known/core?rt=core.*"), "")
        self.assertEqual(self.get("/.well-known/core?rt=ace.est*"), self.get("/.well-known/core"))

    def test_u07_in_small_blocks(self):
        self.assertEqual(self.get("/.well-known/core", "-b", "64"), self.get("/.well-known/core"))

    def test_r04_f07_what_it_does_not_do(self):
        self.assertRegex(self.get("/.well-known/core", "-m", "post", "-e", "x"), "4.05")
        self.assertRegex(self.get("/.well-known/core", "-m", "delete"), "4.05")
        self.assertRegex(self.get("/.well-known/core", "-A", "281"), "4.06")
        self.assertRegex(self.get("/.well-known/core/x"), "4.04")


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


class Asker:
    """Plain CoAP by hand."""

    def __init__(self, port, address="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(2)
        self.to = (address, port)
        self.mids = itertools.count(0x4000)

    def send(self, code, options, payload=b"", kind=coap.CON, token=b"tk"):
        self.socket.sendto(coap.Message(kind, code, next(self.mids), token, list(options),
                                        payload).encode(), self.to)

    def raw(self, data, wait=0.7):
        """What comes back on bytes that need not be CoAP."""
        self.socket.settimeout(wait)
        self.socket.sendto(data, self.to)
        try:
            return coap.Message.decode(self.socket.recv(2048))
        except TimeoutError:
            return None
        finally:
            self.socket.settimeout(2)

    def ask(self, *arguments, **options):
        self.send(*arguments, **options)
        return coap.Message.decode(self.socket.recv(2048))

    def close(self):
        self.socket.close()


class Plain(harness.TestCase):
    """The registrar's socket for strangers."""

    def setUp(self):
        self.s = self.site()
        self.s.init_registrar("--device", "gateway-1")
        self.plain = harness.free_port()
        self.start(f"enabled = true; port = {self.plain};")

    def start(self, settings):
        conf = self.s.site / "est-registrar.conf"
        conf.write_text(f"discovery = {{ {settings} }};\n" + conf.read_text())
        self.s.start_registrar()
        self.asker = Asker(self.plain)
        self.addCleanup(self.asker.close)

    def assert_code(self, message, code, text=None):
        self.assertEqual(coap.dotted(message.code), code)
        if text is not None:
            self.assertRegex(message.payload.decode(), text)

    def test_u07_u08_absolute_links(self):
        for program in ("coap-client-notls", "coap-client-openssl"):
            done = harness.run(program, "-B", "5",
                               f"coap://127.0.0.1:{self.plain}/.well-known/core?rt=ace.est*")
            base = f"coaps://127.0.0.1:{self.s.port}/.well-known/est"
            self.assertLessEqual(set(OPS), set(offered(done.out.strip(), base)), done)
            self.assertTrue(all(target.startswith("coaps://") for target in links(done.out)), done)
        answer = self.asker.ask(coap.GET, CORE)
        self.assertEqual((answer.type, coap.dotted(answer.code), answer.token,
                          answer.number(coap.CONTENT_FORMAT)), (coap.ACK, 205, b"tk", coap.LINK))

    def test_u09_filter(self):
        def ask(query):
            return links(self.asker.ask(coap.GET, [*CORE, (URI_QUERY, query)]).payload.decode())
        self.assertEqual([target.rsplit("/", 1)[1] for target in ask(b"rt=ace.est.sren")
                          if "short" not in target], ["sren"])
        self.assertEqual(ask(b"rt=ace.estX*"), {})

    def test_t01_est_is_not_served_here(self):
        request = (harness.ROOT / "tests/vectors/9148-A2-sen-request.p10.der").read_bytes()
        for op, method in (("crts", coap.GET), ("att", coap.GET), ("sen", coap.POST),
                           ("sren", coap.POST), ("skg", coap.POST), ("skc", coap.POST)):
            for root in ([b".well-known", b"est"], [b"est"], [b".well-known", b"est", b"short"]):
                for code in {method, coap.GET, coap.POST}:
                    path = [(coap.URI_PATH, part) for part in [*root, op.encode()]]
                    body = request if code == coap.POST else b""
                    form = [(coap.CONTENT_FORMAT, coap.uint(coap.PKCS10))] if body else []
                    self.assert_code(self.asker.ask(code, path + form, body), 404, "coaps only")
        self.assertNotIn(b"CERTIFICATE", self.s.ledger().read_bytes())

    def test_t01_dtls_is_not_spoken_here(self):
        # Nor does the other socket answer plain CoAP.
        other = Asker(self.s.port)
        self.addCleanup(other.close)
        message = coap.Message(coap.CON, coap.GET, 1, b"t", CORE).encode()
        self.assertIsNone(other.raw(message))
        self.assert_code(self.asker.ask(coap.GET, CORE), 205)

    def test_r04_f07_r08_what_it_does_not_do(self):
        for method in (2, 3, 4, 5, 6, 7):
            self.assert_code(self.asker.ask(method, CORE), 405)
        self.assert_code(self.asker.ask(coap.GET, [*CORE, (coap.ACCEPT, coap.uint(50))]), 406)
        self.assert_code(self.asker.ask(coap.GET, [*CORE, (9999, b"")]), 402)
        self.assert_code(self.asker.ask(coap.GET, [*CORE, (9998, b"")]), 205)  # elective
        self.assert_code(self.asker.ask(coap.GET, [(PROXY_URI, b"coap://x/")]), 505)
        self.assert_code(self.asker.ask(coap.GET, []), 404)
        self.assert_code(self.asker.ask(coap.GET, [(coap.URI_PATH, b".well-known"),
                                                   (coap.URI_PATH, b""), (coap.URI_PATH, b"core")]),
                         404)
        self.assertEqual(self.asker.raw(b"\x40\x00\x12\x34").type, coap.RST)  # a ping
        for garbage in (b"", b"\x00", b"\x40\x01", b"\x4f\x01\x00\x01" + b"x" * 15,
                        b"\x40\x01\x00\x02\xff", b"\x40\x01\x00\x03\xf0", b"\x16\xfe\xfd" * 9):
            answer = self.asker.raw(garbage, 0.2)
            self.assertTrue(answer is None or answer.type == coap.RST, (garbage, answer))
        self.assert_code(self.asker.ask(coap.GET, CORE), 205)

    def test_blocks(self):
        whole = self.asker.ask(coap.GET, CORE).payload
        self.assertGreater(len(whole), 256)
        body, number, more = b"", 0, True
        while more:
            answer = self.asker.ask(coap.GET, [*CORE, (coap.BLOCK2, coap.block(number, False, 4))])
            block = answer.block(coap.BLOCK2)
            self.assertEqual((block.number, block.szx), (number, 4))
            body, number, more = body + answer.payload, number + 1, block.more
        self.assertEqual(body, whole)
        self.assert_code(self.asker.ask(coap.GET, [*CORE, (coap.BLOCK2, coap.block(99, False, 4))]),
                         400)
        self.assert_code(self.asker.ask(coap.GET, [*CORE, (coap.BLOCK2, coap.block(0, False, 7))]),
                         402)

    def test_it_is_no_lever(self):
        """However often it is asked, only so many answers are longer than a few bytes."""
        codes = [coap.dotted(self.asker.ask(coap.GET, CORE).code) for _ in range(60)]
        self.assertLessEqual(codes.count(205), 41)
        self.assertGreaterEqual(codes.count(205), 20)
        refused = next(answer for answer in iter(lambda: self.asker.ask(coap.GET, CORE), None)
                       if coap.dotted(answer.code) == 503)
        self.assertLess(len(refused.payload), 40)
        self.assertGreater(refused.number(coap.MAX_AGE), 0)

    def test_many_strangers_take_no_memory(self):
        def resident():
            # Its own pages: those of files come and go as others need memory.
            status = (harness.pathlib.Path(f"/proc/{self.s.registrar.pid}/status")).read_text()
            return int(re.search(r"RssAnon:\s+(\d+)", status)[1])

        def flood(n):
            for _ in range(n):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                    stranger.sendto(coap.Message(coap.NON, coap.GET, 1, b"t", CORE).encode(),
                                    self.asker.to)
            # Through with them; a full queue may have dropped the question.
            ping = b"\x40\x00\x12\x34"
            harness.wait_for(lambda: self.asker.raw(ping), "an answer after the flood")
        flood(500)
        before = resident()
        flood(5000)
        self.assertLess(resident() - before, 2048 * harness.PATIENCE)

    def test_estc_discover(self):
        done = self.s.estc("discover", f"127.0.0.1:{self.plain}")
        self.assertEqual(done.status, harness.DONE, done)
        self.assertRegex(done.out, rf"coaps://127.0.0.1:{self.s.port} +- +yes +crts sen sren")
        self.assertIn("Authenticated: no", done.out)
        done = self.s.estc("discover", f"coap://localhost:{self.plain}", "--json")
        place = next(p for p in done.json() if p["label"] == "")
        self.assertEqual((place["url"], place["root"], place["secure"], place["authenticated"]),
                         (self.s.url.replace("localhost", "127.0.0.1"), "/.well-known/est", True,
                          False))
        self.assertIn({"name": "sen", "formats": [281, 287]}, place["operations"])
        bare = self.s.estc("discover", "--no-legend", f"127.0.0.1:{self.plain}")
        self.assertNotIn("URL", bare.out)
        self.assertNotIn("Authenticated", bare.out)

    def test_the_host_that_was_configured(self):
        self.s.registrar.stop()
        conf = self.s.site / "est-registrar.conf"
        conf.write_text(re.sub(r"^discovery.*\n", "", conf.read_text(), flags=re.M))
        self.start(f'enabled = true; port = {self.plain}; host = "2001:db8::5";')
        text = self.asker.ask(coap.GET, CORE).payload.decode()
        self.assertIn(f"<coaps://[2001:db8::5]:{self.s.port}/.well-known/est/crts>", text)


class Off(harness.TestCase):
    """What is not configured is not there, and what cannot be is said."""

    def test_off_by_default(self):
        s = self.site()
        s.init_registrar()
        s.start_registrar()
        inodes = {p.readlink().name[8:-1] for p in
                  harness.pathlib.Path(f"/proc/{s.registrar.pid}/fd").iterdir()
                  if str(p.readlink()).startswith("socket:")}
        udp = [line.split() for name in ("udp", "udp6")
               for line in harness.pathlib.Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
        ports = [int(line[1].rsplit(":", 1)[1], 16) for line in udp if line[9] in inodes]
        self.assertEqual(ports, [s.port])

    def test_an_interface_that_is_not_there(self):
        s = self.site()
        s.init_registrar()
        conf = s.site / "est-registrar.conf"
        conf.write_text('discovery = { enabled = true; interfaces = [ "nope0" ]; port = '
                        f"{harness.free_port()}; }};\n" + conf.read_text())
        check = harness.run(harness.REGISTRAR, "-c", conf, "-n")
        self.assertEqual(check.status, harness.CONFIG_TEXT, check)
        self.assertRegex(check.err, "no network interface 'nope0'")
        done = harness.run(harness.REGISTRAR, "-c", conf)
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertRegex(done.err, "no network interface 'nope0'")

    def test_a_port_that_is_taken(self):
        s = self.site()
        s.init_registrar()
        conf = s.site / "est-registrar.conf"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("127.0.0.1", 0))
            conf.write_text(f"discovery = {{ enabled = true; port = {taken.getsockname()[1]}; }};\n"
                            + conf.read_text())
            done = harness.run(harness.REGISTRAR, "-c", conf)
        self.assertEqual(done.status, harness.FAILED, done)
        self.assertRegex(done.err, "another program uses it")


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
