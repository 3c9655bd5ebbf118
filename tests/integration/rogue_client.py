# SPDX-License-Identifier: BSD-2-Clause
"""A client that asks est-registrar whatever a test wants: DTLS by pyOpenSSL, CoAP by hand."""
import itertools

from OpenSSL import SSL

import coap
import dtls


class Client:
    """One DTLS connection. Without key and chain the client has no certificate to show; `own` is a
    connected socket to use."""

    def __init__(self, port, key=None, chain=(), timeout=10, session=None, own=None):
        self.dtls = dtls.Client(port, dtls.context(SSL.DTLS_CLIENT_METHOD, key, chain),
                                timeout=timeout, session=session, own=own)
        self.mids = itertools.count(0x1000)
        self.timeout = timeout

    def exchange(self, message):
        """Sends one message and waits for the answer to it (an empty ACK is passed over)."""
        self.dtls.send(message.encode())
        return self.answer(message)

    def answer(self, message):
        while True:
            answer = coap.Message.decode(self.dtls.receive(self.timeout))
            if answer.type == coap.CON:
                self.dtls.send(coap.Message(coap.ACK, 0, answer.mid).encode())
            if answer.code == 0 and answer.type == coap.ACK:
                continue
            if answer.token == message.token:
                return answer

    def message(self, method, path, options=(), payload=b"", token=b"\x0a\x0b"):
        segments = [(coap.URI_PATH, s.encode()) for s in path.strip("/").split("/")]
        return coap.Message(coap.CON, method, next(self.mids), token,
                            segments + list(options), payload)

    def request(self, method, path, body=b"", content_format=None, accept=None, szx=6):
        """A whole request and its whole answer: (dotted code, body, last message)."""
        options = []
        if content_format is not None:
            options.append((coap.CONTENT_FORMAT, coap.uint(content_format)))
        if accept is not None:
            options.append((coap.ACCEPT, coap.uint(accept)))
        size = 16 << szx
        start = 0
        while True:
            piece, more = body[start:start + size], len(body) > start + size
            block = [(coap.BLOCK1, coap.block(start // size, more, szx))] if len(body) > size else []
            answer = self.exchange(self.message(method, path, options + block, piece))
            start += size
            if not more or answer.code != coap.code(231):
                break
        data = answer.payload
        while (block2 := answer.block(coap.BLOCK2)) and block2.more:
            ask = [(coap.BLOCK2, coap.block(block2.number + 1, False, block2.szx))]
            answer = self.exchange(self.message(method, path, options + ask))
            data += answer.payload
        return coap.dotted(answer.code), data, answer

    def close(self):
        self.dtls.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
