#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Being found, on loopback: /.well-known/core over coaps and over plain CoAP, judged by libcoap's
clients and by datagrams made by hand. Finding is in test_discover.py."""
import itertools
import re
import socket

import coap
import harness

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
        # The sanitizers keep what was freed.
        most = float("inf") if harness.INSTRUMENTED else 2048
        self.assertLess(resident() - before, most)

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


if __name__ == "__main__":
    harness.main()
