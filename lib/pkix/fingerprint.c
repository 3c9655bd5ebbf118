/* SPDX-License-Identifier: BSD-2-Clause */
/* Fingerprints that people give us (RFC 7030 section 4.1.1): read from text, and compared. */
#include <string.h>

#include <openssl/crypto.h>

#include <estc/trust.h>

#include "base/text.h"
#include "pkix/ossl.h"

static int bad(const char *why, struct estc_error *err) {
    return estc_error_set(err, ESTC_E_CONFIG,
                          "%s: write it as SHA256: or SHA512: and the hash of the certificate in "
                          "hexadecimal, as openssl x509 -noout -fingerprint -sha256 prints it",
                          why);
}

/* The hash, and nothing behind it. */
static bool parse_hash(const char *text, unsigned char *hash, size_t len) {
    size_t n = 0;
    for (const char *p = text; *p;) {
        int high = OPENSSL_hexchar2int((unsigned char)p[0]);
        int low = high < 0 ? -1 : OPENSSL_hexchar2int((unsigned char)p[1]);
        if (low < 0 || n == len)
            return false;
        hash[n++] = (unsigned char)(high << 4 | low);
        p += 2;
        if ((*p == ':' || *p == ' ') && p[1])
            p++;
    }
    return n == len;
}

int estc_fingerprint_parse(const char *text, struct estc_fingerprint *out, struct estc_error *err) {
    const struct {
        const char *prefix;
        const EVP_MD *digest;
        size_t len;
    } kinds[] = {{"SHA256:", EVP_sha256(), 32}, {"SHA512:", EVP_sha512(), 64}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t prefix = strlen(kinds[i].prefix);
        if (strlen(text) < prefix || !text_same(text, kinds[i].prefix, prefix))
            continue;
        struct estc_fingerprint made = {.digest = kinds[i].digest};
        if (!parse_hash(text + prefix, made.hash, kinds[i].len))
            return bad("the hash is no hexadecimal number of its length", err);
        *out = made;
        return 0;
    }
    return bad("no kind of hash that is known", err);
}

bool estc_fingerprint_matches(const struct estc_fingerprint *fingerprint, const X509 *cert) {
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool done = X509_digest(cert, fingerprint->digest, hash, &len) == 1;
    ossl_forget();
    return done && len <= ESTC_FINGERPRINT_MAX && CRYPTO_memcmp(hash, fingerprint->hash, len) == 0;
}
