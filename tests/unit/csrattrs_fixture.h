/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of CSR attributes: bytes as text, and rows of them. */
#pragma once

#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/csrattrs.h>

#include "base/cleanup.h"
#include "pkix/der.h"
#include "wishes_text.h"

static inline void assert_wishes(const void *der, size_t len, const char *expected) {
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    if (estc_csrattrs_decode(der, len, &attrs, &err))
        fail_msg("%s", err.text);
    assert_string_equal(wishes_text(&attrs).text, expected);
    assert_int_equal(ERR_peek_error(), 0);
}

static inline void assert_refused(const void *der, size_t len, const char *reason) {
    struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    assert_int_equal(estc_csrattrs_decode(der, len, &attrs, &err), ESTC_E_MALFORMED);
    assert_null(attrs.names);
    assert_null(attrs.extensions);
    assert_null(attrs.others);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
    assert_int_equal(ERR_peek_error(), 0);
}

struct row {
    const char *der; /* as bytes_of() reads it, or the name of a vector */
    const char *expected;
};

/* "30( 06 00 )": hexadecimal bytes, and lengths that are reckoned. */
static inline struct estc_buf bytes_of(const char *hex) {
    struct estc_buf out = {0};
    struct der_writer w = {.out = &out};
    size_t marks[16];
    unsigned ids[16], depth = 0, byte = 0;
    for (const char *p = hex; *p; p++) {
        if (*p == ' ')
            continue;
        if (*p == ')') {
            assert_true(depth-- > 0);
            der_end(&w, marks[depth], ids[depth]);
            continue;
        }
        assert_int_equal(sscanf(p++, "%2x", &byte), 1);
        if (p[1] == '(') {
            p++;
            marks[depth] = der_mark(&w);
            ids[depth++] = byte;
        } else {
            der_put(&w, &(unsigned char){(unsigned char)byte}, 1);
        }
    }
    assert_int_equal(w.rc, 0);
    assert_int_equal(depth, 0);
    return out;
}

static inline void check_vectors(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = support_vector(rows[i].der);
        assert_wishes(der.data, der.len, rows[i].expected);
    }
}

/* id-aa 61, id-aa 62, extensionRequest, challengePassword, id-ecPublicKey. */
#define TEMPLATE "06 0b 2a 86 48 86 f7 0d 01 09 10 02 3d "
#define OPEN_EXT "06 0b 2a 86 48 86 f7 0d 01 09 10 02 3e "
#define EXT_REQ "06 09 2a 86 48 86 f7 0d 01 09 0e "
#define CHALLENGE "06 09 2a 86 48 86 f7 0d 01 09 07 "
#define EC "06 07 2a 86 48 ce 3d 02 01 "
#define RSA "06 09 2a 86 48 86 f7 0d 01 01 01 "
#define P256 "06 08 2a 86 48 ce 3d 03 01 07 "
#define P384 "06 05 2b 81 04 00 22 "
#define ES256 "06 08 2a 86 48 ce 3d 04 03 02 "
#define ES384 "06 08 2a 86 48 ce 3d 04 03 03 "
#define CN "06 03 55 04 03 "
#define KU "06 03 55 1d 0f "
#define SAN "06 03 55 1d 11 "

/* A CsrAttrs of one template; what is given stands behind its version. */
#define IN_TEMPLATE(content) "30( 30( " TEMPLATE "31( 30( 02 01 00 " content "))))"
#define IN_ATTRIBUTES(content) IN_TEMPLATE("a1( " content ")")

static inline void check_refused(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        assert_refused(der.data, der.len, rows[i].expected);
    }
}
