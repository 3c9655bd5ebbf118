# SPDX-License-Identifier: BSD-2-Clause
"""An EST server over HTTPS (RFC 7030) that shares no line of code with us: http.server, ssl and
cryptography. Honest as it stands; every misbehaviour is a function that a test puts in `on`."""
import base64
import dataclasses
import http.server
import os
import socket
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ObjectIdentifier

import pki

EST = "/.well-known/est"
CMC_RA = ObjectIdentifier("1.3.6.1.5.5.7.3.28")
CERTS_ONLY = "application/pkcs7-mime; smime-type=certs-only"


@dataclasses.dataclass
class Reply:
    status: int = 200
    type: str | None = None
    body: bytes = b""
    headers: dict = dataclasses.field(default_factory=dict)
    cut: int | None = None  # so many bytes of the body are sent, and the connection is closed


@dataclasses.dataclass
class Asked:
    server: "EstServer"
    method: str
    op: str
    label: str
    headers: dict
    body: bytes
    peer: dict  # of the client's certificate, as ssl has it

    @property
    def csr(self):
        return x509.load_der_x509_csr(base64.b64decode(self.body))

    def issue(self, key=None, **options):
        csr = self.csr
        try:
            sans = list(csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        except x509.ExtensionNotFound:
            sans = []
        cert = self.server.authority.issue(key or csr.public_key(),
                                           **{"subject": csr.subject, "sans": sans, **options})
        self.server.issued.append(cert)
        return cert


def lines(der):
    """base64 as most servers write it."""
    return base64.encodebytes(der).replace(b"\n", b"\r\n")


def certs(*which, type=CERTS_ONLY, **options):
    return Reply(200, type, lines(pki.certs_only(*which)), **options)


def multipart(key_type, key, cert, boundary="estServerExampleBoundary", swapped=False,
              quoted=False):
    """The answer of /serverkeygen, with text before and behind that means nothing."""
    parts = [(key_type, lines(key)), (CERTS_ONLY, lines(pki.certs_only(cert)))]
    body = b"This is the preamble.\r\n"
    for kind, content in parts[::-1] if swapped else parts:
        body += (f"--{boundary}\r\nContent-Type: {kind}\r\n"
                 "Content-Transfer-Encoding: binary\r\n\r\n").encode() + content + b"\r\n"
    body += f"--{boundary}--\r\nThis is the epilogue.".encode()
    name = f'"{boundary}"' if quoted else boundary
    return Reply(200, f"multipart/mixed ; boundary={name}", body)


def pkcs8(key):
    return key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def generate(asked):
    key = pki.new_key()
    return multipart("application/pkcs8", pkcs8(key), asked.issue(key.public_key()))


HONEST = {
    "cacerts": lambda asked: certs(asked.server.authority.cert),
    "simpleenroll": lambda asked: certs(asked.issue()),
    "simplereenroll": lambda asked: certs(asked.issue()),
    "serverkeygen": generate,
    "csrattrs": lambda asked: Reply(204),
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle(self):
        try:
            super().handle()
        except (OSError, ssl.SSLError):
            pass

    def answer(self):
        server = self.server.est
        label, _, op = self.path.removeprefix(EST).strip("/").rpartition("/")
        asked = Asked(server, self.command, op, label, dict(self.headers),
                      self.rfile.read(int(self.headers.get("Content-Length", 0))),
                      self.connection.getpeercert())
        server.asked.append(asked)
        reply = server.on.get(op, HONEST.get(op, lambda _: Reply(404)))(asked)
        self.send_response(reply.status)
        if reply.type:
            self.send_header("Content-Type", reply.type)
        self.send_header("Content-Length", str(len(reply.body)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body[:reply.cut])
        if reply.cut is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, address):
        pass  # a handshake that fails is the other side's to tell


class EstServer:
    """Listens at once. authority issues; tls_authority vouches for the server and the registrar."""

    def __init__(self, folder, authority, tls_authority=None, names=("localhost",)):
        self.authority = authority
        tls = tls_authority or authority
        self.asked, self.issued, self.on = [], [], {}
        folder.mkdir()
        key, cert = tls.leaf("upstream", names)
        self.trust = pki.write_certs(folder / "trust.pem", tls.cert)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(pki.write_certs(folder / "cert.pem", cert),
                                pki.write_key(folder / "key.pem", key))
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(self.trust)
        self.http = Listener(("127.0.0.1", 0), Handler)
        self.http.est = self
        # The handshake is the thread's that answers, or one silent client would stop all.
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True,
                                               do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        self.url = f"https://localhost:{self.port}{EST}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05},
                         daemon=True).start()

    def ops(self, *which):
        return [a for a in self.asked if a.op in which]

    def close(self):
        self.http.shutdown()
        self.http.server_close()


class Silent:
    """A port that accepts and says nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.socket.getsockname()[1]}{EST}"

    def close(self):
        self.socket.close()


def write_credentials(folder, authority, name="registrar", usages=None, **options):
    """The registrar's own certificate upstream, with id-kp-cmcRA: (certificate, key) files."""
    usages = usages or (CMC_RA, x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH)
    key, cert = authority.leaf(name, usages=usages, **options)
    os.makedirs(folder, exist_ok=True)
    return pki.write_certs(folder / "cert.pem", cert), pki.write_key(folder / "key.pem", key)
