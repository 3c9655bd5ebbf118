# SPDX-License-Identifier: BSD-2-Clause
"""A UDP proxy in front of a server that writes down what passes, as a capture file for Wireshark.
It needs no privilege, and it sees nothing but the one conversation."""
import selectors
import socket
import struct
import threading
import time

import harness


def tshark(pcap, secrets, port, display_filter, *fields):
    """Rows of these fields for the frames that the filter lets through, decrypted with the secrets;
    CoAP over DTLS on that port."""
    arguments = [part for field in fields for part in ("-e", field)]
    done = harness.run(
        "tshark", "-r", pcap, "-o", f"tls.keylog_file:{secrets}",
        "-d", f"udp.port=={port},dtls", "-d", f"dtls.port=={port},coap",
        "-Y", display_filter, "-T", "fields", "-E", "separator=|", *arguments)
    assert done.status == 0, done
    return [line.split("|") for line in done.out.splitlines()]


# What Wireshark finds wrong, fatal alerts included.
WRONG = "_ws.malformed || dtls.alert_message.level == 2 || _ws.expert.severity >= 8388608"


class Proxy:
    """Forwards between clients on self.port and 127.0.0.1:server_port."""

    def __init__(self, server_port, path):
        self.server = ("127.0.0.1", server_port)
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.file = open(path, "wb")
        # Classic pcap, link type 228: raw IPv4.
        self.file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 228))
        self.backs = {}
        self.sizes = []  # of the datagrams, either way
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ, None)
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def record(self, source, target, data):
        self.sizes.append(len(data))
        udp = struct.pack("!HHHH", source, target, 8 + len(data), 0) + data
        local = bytes([127, 0, 0, 1])
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, local, local)
        now = time.time()
        self.file.write(struct.pack("<IIII", int(now), int(now % 1 * 1e6), len(ip + udp),
                                    len(ip + udp)) + ip + udp)
        self.file.flush()

    def run(self):
        while not self.stopping:
            for key, _ in self.selector.select(0.2):
                try:
                    self.forward(key.fileobj, key.data)
                except ConnectionError:
                    pass

    def forward(self, sock, client):
        data, address = sock.recvfrom(65535)
        if client is None:
            if address not in self.backs:
                back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                back.connect(self.server)
                self.backs[address] = back
                self.selector.register(back, selectors.EVENT_READ, address)
            self.record(address[1], self.port, data)
            self.backs[address].send(data)
        else:
            self.record(self.port, client[1], data)
            self.front.sendto(data, client)

    def close(self):
        self.stopping = True
        self.thread.join()
        for sock in (self.front, *self.backs.values()):
            sock.close()
        self.file.close()
