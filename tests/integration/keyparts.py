# SPDX-License-Identifier: BSD-2-Clause
"""Keys that est-registrar makes: what they are sealed with, and openssl to open them."""
import harness

SECRET, SECRET_ID = "000102030405060708090a0b0c0d0e0f", "6b656b2d37"
SECRET_256 = SECRET + SECRET


def openssl(*arguments):
    done = harness.run("openssl", *arguments)
    assert done.status == 0, (arguments, done)
    return done.out


def recipient(site, name, *newkey):
    """A self-signed certificate that keys may be sealed for: (certificate, key) as PEM files."""
    cert, key = site.dir / f"{name}.pem", site.dir / f"{name}.key"
    openssl("req", "-x509", "-nodes", "-newkey", *newkey, "-keyout", key, "-out", cert, "-subj",
            f"/CN={name}", "-days", "9")
    return cert, key
