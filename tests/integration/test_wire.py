#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""One enrolment as Wireshark sees it, decrypted with secrets that a preload takes from the
registrar's OpenSSL."""
import capture
import harness


class Wire(harness.ClassSite):
    @classmethod
    def start(cls, site):
        cls.pcap, cls.secrets = site.dir / "wire.pcap", site.dir / "secrets.txt"
        site.init_registrar("--device", "gateway-1")
        site.start_registrar(env={**harness.preload("keylog"), "ESTC_TEST_KEYLOG": str(cls.secrets)})
        cls.proxy = capture.Proxy(site.port, cls.pcap)
        cls.addClassCleanup(cls.proxy.close)
        # Small blocks, so that both directions have some.
        site.write_config([site.identity("gw", url=f"coaps://localhost:{cls.proxy.port}",
                                         block_size=128)])
        site.start_daemon()
        site.wait_state("gw", "valid")
        site.daemon.stop()
        cls.proxy.close()

    def tshark(self, display_filter, *fields):
        """Rows of these fields for the frames that the filter lets through."""
        return capture.tshark(self.pcap, self.secrets, self.proxy.port, display_filter, *fields)

    def test_secrets_come_from_the_preload(self):
        self.assertIn("CLIENT_RANDOM", self.secrets.read_text())

    def test_n01_t05_dtls_1_2_with_certificates_both_ways(self):
        hellos = self.tshark("dtls.handshake.type == 2", "dtls.handshake.version",
                             "dtls.handshake.ciphersuite")
        self.assertEqual(len(hellos), 2, "one to enroll, one to prove the new certificate")
        for version, suite in hellos:
            self.assertEqual(version, "0xfefd")
            self.assertIn(int(suite, 16), (0xc02b, 0xc02c, 0xc0ae, 0xc0ac, 0xcca9, 0xc0ad, 0xc0af))
        self.assertGreaterEqual(len(self.tshark("dtls.handshake.type == 11", "frame.number")), 2)
        self.assertTrue(self.tshark("dtls.handshake.type == 13", "frame.number"))
        self.assertTrue(self.tshark("dtls.handshake.type == 15", "frame.number"))

    def test_t08_t12_extended_master_secret_and_server_name(self):
        self.assertTrue(self.tshark("dtls.handshake.type == 1 && dtls.handshake.extension.type == 23",
                                    "frame.number"))
        names = self.tshark("dtls.handshake.type == 1",
                            "dtls.handshake.extensions_server_name")
        self.assertIn(["localhost"], names)

    def test_b01_b06_c12_crts_and_sen_block_wise(self):
        paths = [row[0] for row in self.tshark("coap.code == 1 || coap.code == 2",
                                               "coap.opt.uri_path_recon")]
        paths = [path.removeprefix("coap://localhost") for path in paths]
        self.assertIn("/.well-known/est/crts", paths)
        self.assertIn("/.well-known/est/sen", paths)
        operations = [path.rpartition("/")[2] for path in dict.fromkeys(paths)]
        self.assertEqual(operations, ["crts", "att", "sen"])
        self.assertTrue(self.tshark("coap.code == 69 && coap.opt.block_number > 0", "frame.number"),
                        "2.05 in more than one block")
        self.assertTrue(self.tshark("coap.code == 95", "frame.number"), "2.31 Continue")
        self.assertTrue(self.tshark("coap.code == 68", "frame.number"), "2.04 Changed")

    def test_f01_content_formats(self):
        formats = {tuple(row) for row in self.tshark(
            "coap.opt.ctype", "coap.code", "coap.opt.ctype")}
        self.assertTrue(any("281" in form or "pkcs7" in form for _, form in formats), formats)
        self.assertTrue(any("286" in form or "pkcs10" in form for _, form in formats), formats)

    def test_nothing_malformed(self):
        self.assertEqual(self.tshark(capture.WRONG, "frame.number"), [])

    def test_everything_was_decrypted(self):
        encrypted = self.tshark("dtls.record.content_type == 23", "frame.number")
        decoded = self.tshark("coap", "frame.number")
        self.assertTrue(decoded)
        self.assertEqual({row[0] for row in encrypted}, {row[0] for row in decoded})

    def test_m03_no_datagram_is_too_long(self):
        sizes = [int(row[0]) for row in self.tshark("udp", "udp.length")]
        self.assertLessEqual(max(sizes), 1280)
        application = [int(r[0]) for r in self.tshark("dtls.record.content_type == 23", "udp.length")]
        self.assertLessEqual(max(application), 128 + 128, "a block and its headers")

    def test_t09_an_orderly_end(self):
        self.assertTrue(self.tshark("dtls.record.content_type == 21", "frame.number"),
                        "close_notify")


class Cost(harness.ClassSite):
    """What one enrolment costs on the wire: handshake, /crts, /att and /sen; and the proof of the new
    certificate: another handshake."""

    # block size, prove -> at most so many datagrams and bytes of UDP payload
    MOST = {(64, "never"): (80, 8800), (256, "never"): (30, 6000), (1024, "never"): (20, 5200),
            (64, "always"): (92, 12200), (256, "always"): (40, 9600), (1024, "always"): (29, 8700)}

    @classmethod
    def start(cls, site):
        site.init_registrar("--device", "gateway-1")
        site.start_registrar()

    def test_m03_datagrams_and_bytes(self):
        for (size, prove), (datagrams, octets) in self.MOST.items():
            with self.subTest(block_size=size, prove=prove):
                site = self.shared
                name = f"gw-{size}-{prove}"
                proxy = capture.Proxy(site.port, site.dir / f"{name}.pcap")
                self.addCleanup(proxy.close)
                site.write_config([site.identity(name, url=f"coaps://localhost:{proxy.port}",
                                                 block_size=size, prove=prove)])
                site.start_daemon()
                site.wait_state(name, "valid")
                site.daemon.stop()
                print(f"# block size {size}, prove {prove}: {len(proxy.sizes)} datagrams, "
                      f"{sum(proxy.sizes)} bytes")
                self.assertLessEqual(len(proxy.sizes), datagrams)
                self.assertLessEqual(sum(proxy.sizes), octets)


if __name__ == "__main__":
    harness.main()
