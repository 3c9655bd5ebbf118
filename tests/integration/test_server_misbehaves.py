#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon against servers that speak DTLS and CoAP as no server should: each attempt ends as it
ought to, and the daemon lives on. What answers contain is the matter of test_answers.py."""
import datetime

import coap
import dtls
import harness
import pki
import rogue
from rogue import Answer, honest

DONE, FAILED, REJECTED, UNREACHABLE = (
    harness.DONE, harness.FAILED, harness.REJECTED, harness.UNREACHABLE)
# Alerts of RFC 5246 and its extensions that say why a handshake fails.
ALERTS = (10, 20, 22, 40, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 70, 71, 80, 86, 109, 110, 112, 113,
          115, 116, 120)


def sen(play):
    """A server that is honest but for /sen, where play(asked) gives what happens."""
    return lambda asked: play(asked) if asked.op == "sen" else honest(asked)


def issued(asked):
    return pki.certs_only(asked.issue())


FORMAT = [(coap.CONTENT_FORMAT, coap.uint(coap.CERTS_ONLY))]


def steps(*names, kind=coap.CON):
    """Plays these in a row for each message of /sen."""
    def behaviour(asked):
        body = issued(asked)
        moves = {
            "ack": lambda s, q: s.empty(coap.ACK, q),
            "rst": lambda s, q: s.empty(coap.RST, q),
            "separate": lambda s, q: s.reply(q, 204, FORMAT, body, kind),
            "piggyback": lambda s, q: s.reply(q, 204, FORMAT, body),
            "wrong token": lambda s, q: s.reply(q, 204, FORMAT, body, token=b"\xee\xee"),
            "wrong id": lambda s, q: s.reply(q, 204, FORMAT, body, mid=q.mid ^ 0x55),
            "4.01": lambda s, q: s.reply(q, 401, (), b"who are you?"),
            "goodbye": lambda s, q: s.endpoint.close(),
            "hello request": hello_request,
            "spoofed": spoofed,
            "malformed": malformed,
        }

        def play(session, request):
            for name in names:
                moves[name](session, request)
        return play
    return sen(behaviour)


def hello_request(session, _):
    session.endpoint.connection.renegotiate()
    session.endpoint.handshake()


def spoofed(session, _):
    """What somebody who knows the port, but no key, can send in the server's name."""
    raw = session.endpoint.send
    for content in (b"\x02\x28", b"\x01\x00", b"\x02"):
        for epoch in (0, 1, 2):
            raw(dtls.record(dtls.ALERT, content, epoch, 77))
    raw(dtls.record(dtls.APPLICATION_DATA, b"\x60\x00\x00\x01", 0, 78))
    raw(dtls.record(dtls.HANDSHAKE, bytes(12), 0, 79))
    raw(b"\x70\x00\x00\x01")
    raw(b"\xff" * 40)


def malformed(session, request):
    """Messages that are none (RFC 7252 section 3), sent as confirmable ones."""
    head = bytes([0x40 | len(request.token), 0x44]) + request.mid.to_bytes(2, "big") + request.token
    for length in range(9, 16):
        session.endpoint.write(bytes([0x40 | length, 0x44, 0x12, length]) + bytes(length))
    for rest in (b"\xff", b"\xf0", b"\x0f", b"\x1d", b"\xd0", b"\xe0\x00", b"\x0a123"):
        session.endpoint.write(head + rest)
    session.endpoint.write(b"\x84" + head[1:])
    session.endpoint.write(head[:3])


def pages(cut):
    """/sen answered block by block: cut(body, number asked for, number of the message) gives
    (number, more, szx, data) and perhaps an ETag, or None to say goodbye."""
    def behaviour(asked):
        body = issued(asked)
        seen = []

        def play(session, request):
            block = request.block(coap.BLOCK2)
            seen.append(request)
            page = cut(body, block.number if block else 0, len(seen))
            if page is None:
                session.endpoint.close()
                return
            number, more, szx, data, *etag = page
            options = FORMAT + [(coap.BLOCK2, coap.block(number, more, szx))]
            session.reply(request, 204, options + [(coap.ETAG, tag) for tag in etag], data)
        return play
    return sen(behaviour)


def page(body, number, szx, *etag):
    size = 16 << szx
    return (number, len(body) > (number + 1) * size, szx,
            body[number * size:(number + 1) * size], *etag)


def shrinking(body, asked, message):
    # The second message goes on where the first ended, in blocks of half the size.
    return page(body, 0, 3) if message == 1 else page(body, 2 if message == 2 else asked, 2)


def growing(body, asked, message):
    return page(body, asked, 2) if message < 3 else page(body, 1, 3)


def wait_for(seconds):
    return sen(lambda asked: Answer(503, b"come again", None, seconds))


def code(number):
    return sen(lambda asked: Answer(number, b"", None))


# label -> (behaviour, exit code, last_result, what the text says)
SCENES = {
    "t15_piggybacked": (steps("piggyback"), DONE, "ok", ""),
    "d01_t15_separate_after_the_ack": (steps("ack", "separate"), DONE, "ok", ""),
    "d01_t15_separate_unconfirmed": (steps("ack", "separate", kind=coap.NON), DONE, "ok", ""),
    "t15_separate_before_the_ack": (steps("separate", "ack"), DONE, "ok", ""),
    "t15_separate_without_an_ack": (steps("separate"), DONE, "ok", ""),
    "answered_twice": (steps("piggyback", "piggyback"), DONE, "ok", ""),
    "answered_twice_separately": (steps("ack", "separate", "separate"), DONE, "ok", ""),
    "d01_ack_and_nothing_more": (steps("ack"), UNREACHABLE, "timeout", "no usable answer"),
    "wrong_token": (steps("wrong token"), UNREACHABLE, "timeout", "no usable answer"),
    "t14_wrong_message_id_first": (steps("wrong id", "piggyback"), DONE, "ok", ""),
    "wrong_token_first": (steps("wrong token", "separate"), DONE, "ok", ""),
    "t14_wrong_message_id": (steps("wrong id"), UNREACHABLE, "timeout|unreachable", "localhost"),
    "reset": (steps("rst"), FAILED, "protocol", "reset the exchange"),
    "r05_401_then_silence": (steps("4.01"), REJECTED, "rejected", r"4\.01.*who are you"),
    "r05_unknown_4xx": (code(430), REJECTED, "rejected", r"4\.30"),
    "r05_unknown_5xx": (code(531), FAILED, "server", r"5\.31"),
    "goodbye": (steps("goodbye"), UNREACHABLE, "unreachable", "connection was lost"),
    "t14_spoofed_records": (steps("spoofed", "piggyback"), DONE, "ok", ""),
    "r08_malformed_messages": (steps("malformed", "piggyback"), DONE, "ok", ""),
    "t07_hello_request": (steps("hello request"), UNREACHABLE, "timeout|unreachable", "localhost"),
    "b01_pages": (pages(lambda body, n, _: page(body, n, 2)), DONE, "ok", ""),
    "b04_pages_that_shrink": (pages(shrinking), DONE, "ok", ""),
    "pages_that_grow": (pages(growing), FAILED, "protocol", "do not fit together"),
    "b12_page_left_out": (pages(lambda body, n, _: page(body, n + (n > 0), 2)), FAILED, "protocol",
                          "do not fit together"),
    "b12_page_repeated": (pages(lambda body, n, _: page(body, 0, 2)), FAILED, "protocol",
                          "do not fit together"),
    "b03_page_cut_short": (pages(lambda body, n, _: (n, True, 2, body[:60])), FAILED, "protocol",
                           "do not fit together"),
    "b12_etag_changes": (pages(lambda body, n, m: page(body, n, 2, b"v%d" % m)), FAILED, "protocol",
                         "changed while it was fetched"),
    "b15_pages_without_end": (pages(lambda body, n, _: (n, True, 6, b"x" * 1024)), FAILED,
                              "too-large", "65536"),
    "goodbye_amid_pages": (pages(lambda body, n, _: page(body, n, 2) if n < 2 else None),
                           UNREACHABLE, "unreachable", "connection was lost"),
    "m01_silence": (sen(lambda asked: rogue.SILENCE), UNREACHABLE, "timeout", "no usable answer"),
    "d04_max_age_0": (wait_for(0), harness.WORKING, "pending", "come again"),
    "d07_max_age_of_136_years": (wait_for(2**32 - 1), harness.WORKING, "pending", "come again"),
}


class ServerMisbehaves(harness.ClassSite):
    @classmethod
    def start(cls, site):
        cls.ca, _ = rogue.authority(site)
        key, cert = cls.ca.leaf("server", ["localhost"])
        cls.server = rogue.Server(cls.ca, key, [cert], {k: v[0] for k, v in SCENES.items()})
        cls.addClassCleanup(cls.server.close)
        ports = {label: cls.server.port for label in SCENES}
        for number in ALERTS:
            server = rogue.AlertServer(2, number)
            cls.addClassCleanup(server.close)
            ports[f"alert-{number}"] = server.port
        site.write_config([
            rogue.identity(site, name, port, label=name, subject=f"CN={name}",
                           attempt_timeout="20s" if name == "m01_silence" else "10s")
            for name, port in ports.items()], max_attempts=16)
        site.start_daemon()

    def outcome(self, name):
        """The identity, between its first attempt and the next, or later ones."""
        return harness.wait_for(
            lambda: (shown := self.shared.show(name))["last_result"] != "none" and
            shown["state"] != "working" and shown,
            f"{name} was tried", 40)

    def test_scenes(self):
        for label, (_, status, result, text) in SCENES.items():
            with self.subTest(label=label):
                shown = self.outcome(label)
                self.assertRegex(shown["last_result"], f"^({result})$", shown)
                self.assertEqual(shown["exit_code"], status, shown)
                self.assertRegex(shown.get("last_error") or "none", text or "none")
                self.assertEqual(self.shared.current(label).exists(), status == DONE)
                if status == DONE:
                    self.shared.assert_consistent(label)
        self.assertIsNone(self.shared.daemon.popen.poll())

    def test_alerts(self):
        for number in ALERTS:
            with self.subTest(alert=number):
                shown = self.outcome(f"alert-{number}")
                self.assertEqual(shown["last_result"], "rejected", shown)
                self.assertRegex(shown["last_error"], "localhost.*refused us: alert '[a-zA-Z _]+'")

    def asked(self, label):
        return self.server.requests.count(("sen", label))

    def test_r05_the_refused_request_is_not_repeated(self):
        """One request an attempt, however long the server is silent afterwards."""
        shown = self.outcome("r05_401_then_silence")
        self.assertEqual(self.asked("r05_401_then_silence"), shown["failures"])

    def test_d01_separate_answers_are_acknowledged(self):
        self.outcome("d01_t15_separate_after_the_ack")
        self.assertIn((coap.ACK, 0x7000), self.server.empty)

    def test_m01_m02_pace_of_retransmissions(self):
        """RFC 7252 section 4.8: after 2 to 3 s, then after twice the time; the same message each time."""
        self.outcome("m01_silence")
        sent = [(session, message, at) for (session, message), at in
                zip(self.server.messages, self.server.times) if message.path[-2] == "m01_silence" and
                message.path[-1] == "sen"]
        # A slow machine may need most of an attempt for the handshake.
        sessions = [session for session, _, _ in sent]
        longest = max(sessions, key=sessions.count)
        first = [(message, at) for session, message, at in sent if session is longest]
        self.assertEqual({message.mid for message, _ in first}, {first[0][0].mid})
        waits = [b[1] - a[1] for a, b in zip(first, first[1:])]
        self.assertGreaterEqual(len(waits), 2)
        self.assertGreaterEqual(waits[0], 1.95)
        self.assertLessEqual(waits[0], 3.2 * harness.PATIENCE)
        self.assertGreaterEqual(waits[1], 1.8 * waits[0])

    def test_t07_renegotiation_is_refused(self):
        self.outcome("t07_hello_request")
        self.assertTrue([e for e in self.server.errors if "no renegotiation" in e],
                        self.server.errors)

    def test_d04_d07_waits_are_bounded(self):
        """Max-Age 0 makes no loop, and 136 years are a week (RFC 7252 section 5.10.5)."""
        for label, least, most in (("d04_max_age_0", 4, 60),
                                   ("d07_max_age_of_136_years", 86400, 8 * 86400)):
            shown = self.outcome(label)
            self.assertEqual(shown["next_action"], "poll")
            due, last = (datetime.datetime.fromisoformat(shown[key])
                         for key in ("next_due", "last_attempt"))
            self.assertGreaterEqual((due - last).total_seconds(), least, shown)
            self.assertLessEqual((due - last).total_seconds(), most, shown)


if __name__ == "__main__":
    harness.main()
