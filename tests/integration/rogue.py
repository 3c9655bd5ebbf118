# SPDX-License-Identifier: BSD-2-Clause
"""EST servers that answer as badly as a test wants: DTLS by pyOpenSSL, CoAP by hand, no libcoap and
no code of the project. A server runs in a thread; the label in the path picks the behaviour."""
import dataclasses
import itertools
import socket
import threading
import time

from cryptography import x509
from OpenSSL import SSL

import coap
import dtls
import pki


@dataclasses.dataclass
class Answer:
    """What to send: a code, a body (cut into blocks when it is long) and options."""
    code: int = 204
    payload: bytes = b""
    content_format: int = coap.CERTS_ONLY
    max_age: int = None


SILENCE = None

# What a behaviour may return besides: a function(session, message) that plays each message of the
# request and of its further blocks as it likes.


@dataclasses.dataclass
class Asked:
    """A whole request."""
    op: str
    label: str
    body: bytes
    authority: pki.Authority
    content_format: int = None
    certificate: bytes = None  # the client's, DER

    @property
    def csr(self):
        return x509.load_der_x509_csr(self.body)

    def issue(self, **options):
        """The certificate that an honest server would give."""
        csr = self.csr
        options.setdefault("subject", csr.subject)
        return self.authority.issue(csr.public_key(), **options)


def authority(site):
    """(CA, birth certificate): a CA of the test's own and, as files in the site's folder, what a
    gateway needs to enroll there."""
    ca = pki.Authority("Site root")
    key, birth = ca.leaf("birth")
    pki.write_certs(site.dir / "trust.pem", ca.cert)
    pki.write_key(site.dir / "birth.key", key)
    pki.write_certs(site.dir / "birth.pem", birth)
    return ca, birth


def identity(site, name, port=None, **settings):
    """One identity at a server of that authority; settings add or replace, None removes."""
    entry = {"id": name, "url": f"coaps://localhost:{port}", "subject": "CN=gw",
             "trust": str(site.dir / "trust.pem"), "attempt_timeout": "10s",
             "birth": {"certificate": str(site.dir / "birth.pem"),
                       "key": str(site.dir / "birth.key")}, **settings}
    return {key: value for key, value in entry.items() if value is not None}


def honest(asked):
    if asked.op in ("core", "att"):  # neither discovery nor wishes here
        return Answer(404, content_format=None)
    if asked.op == "crts":
        return Answer(205, pki.certs_only(asked.authority.cert))
    return Answer(204, pki.certs_only(asked.issue()))


class Session:
    """One DTLS connection of a client, and its transfers under way."""

    def __init__(self, server, address):
        self.server = server
        self.endpoint = dtls.Endpoint(
            server.context, lambda data: server.socket.sendto(data, address), server=True)
        self.body = b""
        self.answer = None
        self.mids = itertools.count(0x7000)
        self.handshake = dtls.Handshake()

    def receive(self, datagram):
        for data in self.endpoint.receive(datagram):
            message = coap.Message.decode(data)
            if message.code and message.type in (coap.CON, coap.NON):
                self.server.messages.append((self, message))
                self.server.times.append(time.monotonic())
                self.request(message)
            elif message.code == 0:
                self.server.empty.append((message.type, message.mid))

    def send(self, *message):
        self.endpoint.write(coap.Message(*message).encode())

    def empty(self, kind, request):
        """An empty acknowledgement, or a reset."""
        self.send(kind, 0, request.mid)

    def reply(self, request, code, options=(), payload=b"", kind=coap.ACK, mid=None, token=None):
        """Piggybacked; with another kind, separate."""
        if mid is None:
            mid = request.mid if kind == coap.ACK else next(self.mids)
        self.send(kind, coap.code(code), mid, request.token if token is None else token,
                  list(options), payload)

    def request(self, message):
        block1, block2 = message.block(coap.BLOCK1), message.block(coap.BLOCK2)
        options = []
        if block2 is None or block2.number == 0:
            self.body = message.payload if block1 is None or block1.number == 0 else (
                self.body + message.payload)
            if block1 is not None:
                options.append((coap.BLOCK1, message.option(coap.BLOCK1)))
                if block1.more:
                    self.reply(message, 231, options)
                    return
            self.answer = self.server.ask(message, self.body, self.endpoint.peer_certificate())
        if self.answer is SILENCE:
            return
        if isinstance(self.answer, bytes):
            self.endpoint.write(self.answer)
            return
        if callable(self.answer):
            self.answer(self, message)
            return
        self.send_answer(message, self.answer, options, block2)

    def send_answer(self, message, answer, options, block2=None):
        block2 = block2 or coap.Block(0, False, 6)
        if answer.content_format is not None:
            options.append((coap.CONTENT_FORMAT, coap.uint(answer.content_format)))
        if answer.max_age is not None:
            options.append((coap.MAX_AGE, coap.uint(answer.max_age)))
        start = block2.number * block2.size
        more = len(answer.payload) > start + block2.size
        if more or block2.number:
            options.append((coap.BLOCK2, coap.block(block2.number, more, block2.szx)))
        self.reply(message, answer.code, options, answer.payload[start:start + block2.size])


class UdpServer:
    """A port on 127.0.0.1 and a thread that takes what comes in; closed at the end of a `with`."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopping:
            try:
                datagram, address = self.socket.recvfrom(65535)
            except (TimeoutError, ConnectionError):
                continue
            self.receive(datagram, address)

    def receive(self, datagram, address):
        raise NotImplementedError

    def close(self):
        self.stopping = True
        self.thread.join()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server(UdpServer):
    """A rogue EST-coaps server. behaviours: label -> function(Asked) -> Answer, bytes of a whole CoAP
    message, or SILENCE; labels that are missing are answered honestly."""

    def __init__(self, authority, key, chain, behaviours=None, verify=SSL.VERIFY_NONE,
                 trust=None):
        self.authority = authority
        self.behaviours = behaviours or {}
        self.context = dtls.context(SSL.DTLS_SERVER_METHOD, key, chain, trust, verify)
        self.sessions = {}  # address -> Session
        self.requests = []  # (op, label)
        self.empty = []  # (type, message id) of the clients' empty messages
        self.messages = []  # (session, message) of the requests, block by block
        self.times = []  # when each of them came
        self.hellos = []
        self.client_keys = []  # ephemeral public keys of the clients
        self.longest = 0  # datagram
        self.errors = []
        super().__init__()

    def ask(self, message, body, certificate):
        path = message.path
        op = path[-1] if path else ""
        label = path[-2] if len(path) == 4 else ""
        self.requests.append((op, label))
        behaviour = self.behaviours.get(label, honest)
        return behaviour(Asked(op, label, body, self.authority,
                               message.number(coap.CONTENT_FORMAT), certificate))

    def receive(self, datagram, address):
        self.longest = max(self.longest, len(datagram))
        if hello := dtls.Hello.read(datagram):
            self.hellos.append(hello)
        if address not in self.sessions:
            self.sessions[address] = Session(self, address)
        session = self.sessions[address]
        self.client_keys += [body for kind, body in session.handshake.take(datagram)
                             if kind == dtls.CLIENT_KEY_EXCHANGE]
        try:
            session.receive(datagram)
        except SSL.Error as error:
            self.errors.append(str(error))
            session.endpoint.flush()
            del self.sessions[address]
        except (ValueError, KeyError) as error:
            self.errors.append(repr(error))


class AlertServer(UdpServer):
    """Answers whatever begins a handshake with one plain alert record and nothing else."""

    def __init__(self, level, description):
        self.alert = dtls.record(dtls.ALERT, bytes([level, description]))
        super().__init__()

    def receive(self, datagram, address):
        self.socket.sendto(self.alert, address)


class PlainServer(UdpServer):
    """CoAP without DTLS: resets whatever comes in, and keeps it, so that a client that would speak
    in the clear gives itself away."""

    def __init__(self):
        self.datagrams = []
        super().__init__()

    def receive(self, datagram, address):
        self.datagrams.append(datagram)
        reply = coap.Message(coap.RST, 0, int.from_bytes(datagram[2:4], "big")).encode()
        self.socket.sendto(reply, address)
