/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/csrattrs.h>

#include "base/cleanup.h"
#include "pkix/der.h"
#include "wishes_text.h"

static void assert_wishes(const void *der, size_t len, const char *expected) {
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    if (estc_csrattrs_decode(der, len, &attrs, &err))
        fail_msg("%s", err.text);
    assert_string_equal(wishes_text(&attrs).text, expected);
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_refused(const void *der, size_t len, const char *reason) {
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
static struct estc_buf bytes_of(const char *hex) {
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

static void check_vectors(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = support_vector(rows[i].der);
        assert_wishes(der.data, der.len, rows[i].expected);
    }
}

/* RFC 9908 section 5, RFC 7030 A.2. What stands in no table of ours is listed and does no harm. */
static void a03_a05_examples_of_the_rfcs(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"9908-5.1-acp-san.csrattrs.der", "P ext:subjectAltName!"},
        {"9908-5.2-rfc7030-revised.csrattrs.der",
         "P pop key:id-ecPublicKey/secp384r1 sig:ecdsa-with-SHA384 other:1.3.6.1.1.1.1.22"},
        {"9908-5.3-as-described.csrattrs.der",
         "P pop key:id-ecPublicKey/secp521r1 sig:ecdsa-with-SHA512 ext:subjectAltName"},
        /* Printed with the bytes of section 5.6. */
        {"9908-5.3-san-MISPRINT.csrattrs.der",
         "P pop key:id-ecPublicKey/secp521r1 sig:ecdsa-with-SHA512 serialNumber=? "
         "other:friendlyName other:favouriteDrink"},
        {"9908-5.4-rsa4096.csrattrs.der", "P pop key:rsaEncryption/4096 sig:RSA-SHA256"},
        {"9908-5.5-p384.csrattrs.der",
         "P pop key:id-ecPublicKey/secp384r1 sig:ecdsa-with-SHA384 serialNumber=?"},
        {"9908-5.6-p521-many.csrattrs.der",
         "P pop key:id-ecPublicKey/secp521r1 sig:ecdsa-with-SHA512 serialNumber=? "
         "other:friendlyName other:favouriteDrink"},
        /* A curve and a digest as elements of their own. */
        {"9148-A4-att-response.csrattrs.der",
         "P pop key:id-ecPublicKey/brainpoolP384r1 sig:SHA384 other:1.3.6.1.1.1.1.22 "
         "other:2.999.1 other:2.999.2"},
    };
    check_vectors(rows, sizeof(rows) / sizeof(rows[0]));
    _cleanup(estc_buf_clear) struct estc_buf a = support_vector("7030-A2-csrattrs-response.der");
    _cleanup(estc_buf_clear) struct estc_buf b =
        support_vector("9148-A4-att-response.csrattrs.der");
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
}

static void a02_a07_empty_sequence_and_empty_set(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"8951-csrattrs-empty.der", "P"},
        {"9908-3.2-keytype-empty-set.csrattrs.der", "P key:id-ecPublicKey"},
    };
    check_vectors(rows, sizeof(rows) / sizeof(rows[0]));
}

/* extensionRequest holding a bare OID: nothing but that element is lost. */
static void a08_flawed_example(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"8951-s4-csrattrs-example.der",
         "P pop key:id-ecPublicKey/secp384r1 sig:ecdsa-with-SHA384 other:extReq"},
    };
    check_vectors(rows, 1);
}

static void a09_a11_a13_templates(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"9908-3.4-template.csrattrs.der",
         "T key:id-ecPublicKey/prime256v1 CN=? OU=myDept OU=myGroup ext:subjectAltName? "
         "ext:keyUsage! ext:extendedKeyUsage?"},
        /* The plain P-384, the binding and the signature beside it do not count. */
        {"9908-4-coexist.csrattrs.der",
         "T key:id-ecPublicKey/prime256v1 CN=? OU=myDept OU=myGroup ext:subjectAltName? "
         "ext:keyUsage! ext:extendedKeyUsage?"},
        /* A misprinted OID is an unknown attribute. */
        {"9908-3.4-template-printed-oid.csrattrs.der",
         "T key:id-ecPublicKey/prime256v1 CN=? OU=myDept OU=myGroup "
         "other:1.2.840.113549.1.9.62"},
    };
    check_vectors(rows, sizeof(rows) / sizeof(rows[0]));
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

static void a05_a11_other_plain_forms(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"30( " EC ")", "P key:id-ecPublicKey"},
        {"30( " EC P256 ")", "P key:id-ecPublicKey/prime256v1"},
        {"30( " P256 ")", "P key:id-ecPublicKey/prime256v1"},
        {"30( 30( " RSA "31( )))", "P key:rsaEncryption"},
        {"30( 30( " RSA "31( 05 00 )))", "P key:rsaEncryption"},
        {"30( 06( 2b 65 70 ))", "P key:ED25519"},
        {"30( " CN ")", "P CN=?"},
        {"30( 30( " CN "31( 0c( 67 77 2d 31 ))))", "P CN=gw-1"},
        {"30( 30( " CN "31( )))", "P CN=?"},
        /* Two values, or one that is no text. */
        {"30( 30( " CN "31( 0c( 61 ) 0c( 62 ))))", "P other:CN"},
        {"30( 30( " CN "31( 02( 05 ))))", "P other:CN"},
        {"30( 30( " CHALLENGE "31( )))", "P pop"},
        /* The first of several signatures counts. */
        {"30( " ES256 ES384 ")", "P sig:ecdsa-with-SHA256 other:ecdsa-with-SHA384"},
        {"30( 30( " ES256 "31( )))", "P sig:ecdsa-with-SHA256"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        assert_wishes(der.data, der.len, rows[i].expected);
    }
}

/* A CsrAttrs of one template; what is given stands behind its version. */
#define IN_TEMPLATE(content) "30( 30( " TEMPLATE "31( 30( 02 01 00 " content "))))"
#define IN_ATTRIBUTES(content) IN_TEMPLATE("a1( " content ")")

static void a10_a13_other_templates(void **state) {
    (void)state;
    static const struct row rows[] = {
        {IN_ATTRIBUTES(""), "T"},
        {IN_TEMPLATE("30( ) a1( )"), "T"},
        {IN_TEMPLATE("30( 31( 30( " CN ") 30( 06( 55 04 05 )))) a1( )"), "T CN=?+serialNumber=?"},
        {IN_TEMPLATE("30( 31( 30( " CN "05 00 ) 30( 06( 55 04 05 )))) a1( )"),
         "T serialNumber=? other:CN"},
        {IN_TEMPLATE("a0( 30( " EC ")) a1( )"), "T key:id-ecPublicKey"},
        {IN_TEMPLATE("a0( 30( " RSA "05 00 )) a1( )"), "T key:rsaEncryption"},
        {IN_TEMPLATE("a0( 30( " RSA ") 03( 00 30( 02( 00 80 01 ) 02( 03 )))) a1( )"),
         "T key:rsaEncryption/16"},
        {IN_TEMPLATE("a0( 30( 06( 88 37 01 ) 04 00 )) a1( )"), "T key:2.999.1"},
        /* The binding, to be filled in. */
        {IN_ATTRIBUTES("30( " CHALLENGE "31( ))"), "T pop"},
        /* One ExtensionTemplate where others have a list of them. */
        {IN_ATTRIBUTES("30( " OPEN_EXT "31( 30( " KU ")))"), "T ext:keyUsage?"},
        {IN_ATTRIBUTES("30( " OPEN_EXT "31( 30( 30( " KU "))))"), "T ext:keyUsage?"},
        {IN_ATTRIBUTES("30( " EXT_REQ "31( 30( 30( " KU "01( ff ) 04( 05 00 )))))"),
         "T ext:keyUsage!"},
        {IN_ATTRIBUTES("30( " EXT_REQ "31( 30( 30( " KU "01( 00 ) 04( 05 00 )))))"),
         "T ext:keyUsage"},
        {IN_ATTRIBUTES("30( " CN "31( ))"), "T other:CN"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        assert_wishes(der.data, der.len, rows[i].expected);
    }
}

static void check_refused(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        assert_refused(der.data, der.len, rows[i].expected);
    }
}

static void a06_a07_what_is_refused(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"", "empty"},
        {"31( )", "not a SEQUENCE"},
        {"30 80 00 00", "not a SEQUENCE"},
        {"30( ) 00", "left over"},
        {"30( 05 00 )", "neither an OID nor"},
        {"30( 06 00 )", "broken OID"},
        {"30( 06 01 80 )", "broken OID"},
        {"30( 06 05 2b )", "broken DER"},
        {"30( 30( " CN "))", "neither an OID nor"},
        {"30( 30( " CN "31( ) 05 00 ))", "neither an OID nor"},
        /* Two keys, in all ways to say it. */
        {"30( " EC EC ")", "two wishes for the key"},
        {"30( " P256 P384 ")", "two wishes for the key"},
        {"30( " RSA P384 ")", "two wishes for the key"},
        {"30( 30( " EC "31( " P384 ")) " EC ")", "two wishes for the key"},
        {"30( 30( " EC "31( " P384 ")) 30( " RSA "31( )))", "two wishes for the key"},
        {"30( 30( " EC "31( " P384 P256 ")))", "several parameters"},
        {"30( 30( " EC "31( 02( 01 00 ))))", "neither a curve nor"},
        {"30( 30( " RSA "31( 02( ff ))))", "neither a curve nor"},
        {"30( 30( " RSA "31( 02( 01 00 00 00 00 ))))", "neither a curve nor"},
        /* Extensions: none, the attribute twice, two lists in one, the same twice, no value. */
        {"30( 30( " EXT_REQ "31( )))", "without any"},
        {"30( 30( " EXT_REQ "31( 30( ))))", "that is none"},
        {"30( 30( " EXT_REQ "31( 0c( ))))", "that is none"},
        {"30( 30( " EXT_REQ "31( 30( 30( " KU "04( ))))) 30( " EXT_REQ "31( 30( 30( " SAN
         "04( ))))))",
         "two lists of extensions"},
        {"30( 30( " EXT_REQ "31( 30( 30( " KU "04( ))) 30( 30( " SAN "04( ))))))",
         "two lists of extensions"},
        {"30( 30( " EXT_REQ "31( 30( 30( " KU "04( )) 30( " KU "04( ))))))", "named twice"},
        {"30( 30( " EXT_REQ "31( 30( 30( " KU ")))))", "broken extension"},
        {"30( 30( " EXT_REQ "31( 30( 30( " KU "01( ff ff ) 04( ))))))", "broken extension"},
        {"30( 30( " EXT_REQ "31( 30( 30( " KU "04( ) 04( ))))))", "broken extension"},
        {"30( 30( " EXT_REQ "31( 30( 04( )))))", "without an OID"},
    };
    check_refused(rows, sizeof(rows) / sizeof(rows[0]));
}

static void a10_a12_templates_that_are_refused(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"30( 30( " TEMPLATE "31( 30( 02 01 00 a1( )))) 30( " TEMPLATE "31( 30( 02 01 00 a1( )))))",
         "two templates"},
        {"30( 30( " TEMPLATE "31( )))", "not one SEQUENCE"},
        {"30( 30( " TEMPLATE "31( 30( 02 01 01 a1( )))))", "not of version 1"},
        {IN_TEMPLATE(""), "without attributes"},
        {IN_TEMPLATE("a1( ) 05 00"), "more behind them"},
        {IN_TEMPLATE("30( 31( )) a1( )"), "broken subject"},
        {IN_TEMPLATE("30( 30( )) a1( )"), "broken subject"},
        {IN_TEMPLATE("30( 31( 30( ))) a1( )"), "without a type"},
        {IN_TEMPLATE("30( 31( 30( " CN "0c( 61 ) 0c( 61 )))) a1( )"), "broken part"},
        {IN_TEMPLATE("a0( ) a1( )"), "without an algorithm"},
        {IN_TEMPLATE("a0( 30( " EC "02( 01 ))) a1( )"), "not named by an OID"},
        {IN_TEMPLATE("a0( 30( " EC P256 P256 ")) a1( )"), "broken parameters"},
        {IN_TEMPLATE("a0( 30( " RSA ") 03( 00 30( ))) a1( )"), "placeholder"},
        {IN_TEMPLATE("a0( 30( " RSA ") 03( 00 30( 02( 00 ) 02( 03 )))) a1( )"), "placeholder"},
        {IN_TEMPLATE("a0( 30( " RSA ") 03( 07 30( 02( 40 ) 02( 03 )))) a1( )"), "placeholder"},
        {IN_TEMPLATE("a0( 30( " EC ") 05 00 ) a1( )"), "broken key"},
        {IN_ATTRIBUTES("05 00"), "broken attribute"},
        {IN_ATTRIBUTES("30( " OPEN_EXT "31( 30( " KU "))) 30( " OPEN_EXT "31( 30( " SAN ")))"),
         "two lists of extensions"},
        {IN_ATTRIBUTES("30( " OPEN_EXT "31( 30( " KU "))) 30( " EXT_REQ "31( 30( 30( " SAN
                       "04( )))))"),
         "two lists of extensions"},
        {IN_ATTRIBUTES("30( " EXT_REQ "31( 30( 30( " SAN "))))"), "broken extension"},
        {IN_ATTRIBUTES("30( " OPEN_EXT "31( 06( 55 )))"), "that is none"},
    };
    check_refused(rows, sizeof(rows) / sizeof(rows[0]));
}

/* n copies of an element inside a SEQUENCE. */
static struct estc_buf repeated(const char *hex, size_t n) {
    _cleanup(estc_buf_clear) struct estc_buf one = bytes_of(hex);
    struct estc_buf out = {0};
    size_t len = one.len * n;
    const unsigned char head[] = {0x30, 0x83, (unsigned char)(len >> 16), (unsigned char)(len >> 8),
                                  (unsigned char)len};
    assert_int_equal(estc_buf_append(&out, head, sizeof(head)), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(estc_buf_append(&out, one.data, one.len), 0);
    return out;
}

static void numbers_and_sizes_are_bounded(void **state) {
    (void)state;
    static const char *const elements[] = {CN, "06 03 88 37 01"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_buf_clear) struct estc_buf all = repeated(elements[i], ESTC_CSRATTRS_MAX);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
        assert_int_equal(estc_csrattrs_decode(all.data, all.len, &attrs, NULL), 0);
        assert_int_equal(attrs.name_count + attrs.other_count, ESTC_CSRATTRS_MAX);
        _cleanup(estc_buf_clear) struct estc_buf more =
            repeated(elements[i], ESTC_CSRATTRS_MAX + 1);
        assert_refused(more.data, more.len, "more wishes");
    }
    _cleanup(estc_buf_clear) struct estc_buf large = repeated(CHALLENGE, 6000);
    assert_refused(large.data, large.len, "too large");
}

static void key_wishes_against_our_types(void **state) {
    (void)state;
    static const struct {
        const char *der;
        unsigned fits; /* bits by enum estc_key_type */
    } rows[] = {
        {"30( )", 0x1f},
        {"30( " EC ")", 1 << ESTC_KEY_P256 | 1 << ESTC_KEY_P384},
        {"30( " P384 ")", 1 << ESTC_KEY_P384},
        {"30( 06( 2b 81 04 00 23 ))", 0}, /* P-521 */
        {"30( " RSA ")", 1 << ESTC_KEY_RSA2048 | 1 << ESTC_KEY_RSA3072 | 1 << ESTC_KEY_RSA4096},
        {"30( 30( " RSA "31( 02( 0c 00 ))))", 1 << ESTC_KEY_RSA3072},
        {"30( 30( " RSA "31( 02( 04 00 ))))", 0},
        {"30( 06( 2b 65 70 ))", 0}, /* Ed25519 */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = bytes_of(rows[i].der);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
        assert_int_equal(estc_csrattrs_decode(der.data, der.len, &attrs, NULL), 0);
        for (int type = 0; type <= ESTC_KEY_TYPE_MAX_; type++)
            assert_int_equal(estc_key_wish_fits(&attrs.key, (enum estc_key_type)type),
                             type < ESTC_KEY_TYPE_MAX_ && rows[i].fits >> type & 1);
    }
}

static void digests_of_signatures(void **state) {
    (void)state;
    static const struct {
        int signature, digest;
    } rows[] = {
        {NID_undef, NID_undef},
        {NID_ecdsa_with_SHA384, NID_sha384},
        {NID_sha256WithRSAEncryption, NID_sha256},
        {NID_sha512, NID_sha512},
        {NID_ED25519, NID_undef},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct estc_csrattrs attrs = {
            .signature = rows[i].signature ? OBJ_nid2obj(rows[i].signature) : NULL};
        assert_int_equal(estc_csrattrs_digest(&attrs), rows[i].digest);
    }
}

/* Either refused without a trace or decoded within bounds; the sanitizers look on. */
static void assert_survives(const unsigned char *der, size_t len) {
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    int rc = estc_csrattrs_decode(der, len, &attrs, &err);
    assert_true(rc == 0 || rc == ESTC_E_MALFORMED);
    assert_true(attrs.name_count <= ESTC_CSRATTRS_MAX);
    if (rc)
        assert_null(attrs.names);
    else
        wishes_text(&attrs);
    assert_int_equal(ERR_peek_error(), 0);
}

static const char *const all_vectors[] = {
    "7030-A2-csrattrs-response.der",  "8951-s4-csrattrs-example.der",
    "9908-5.1-acp-san.csrattrs.der",  "9908-5.3-as-described.csrattrs.der",
    "9908-5.4-rsa4096.csrattrs.der",  "9908-5.6-p521-many.csrattrs.der",
    "9908-3.4-template.csrattrs.der", "9908-4-coexist.csrattrs.der",
};
#define VECTORS (sizeof(all_vectors) / sizeof(all_vectors[0]))

static void survives_truncation_and_mutation(void **state) {
    (void)state;
    for (size_t i = 0; i < VECTORS; i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = support_vector(all_vectors[i]);
        for (size_t len = 0; len < der.len; len++)
            assert_refused(der.data, len, "");
        for (size_t at = 0; at < der.len; at++)
            for (unsigned flip = 1; flip < 256; flip++) {
                der.data[at] ^= (unsigned char)flip;
                assert_survives(der.data, der.len);
                der.data[at] ^= (unsigned char)flip;
            }
    }
}

/* A small generator, so that a failure can be played again. */
static uint32_t next_random(uint32_t *seed) {
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Bytes changed, cut out, doubled, and pieces of one vector put into another. The copy is exactly
 * as long as what is read, so that a sanitizer sees one byte too many. */
static void survives_what_a_fuzzer_makes(void **state) {
    (void)state;
    uint32_t seed = 9908;
    struct estc_buf vectors[VECTORS];
    for (size_t i = 0; i < VECTORS; i++)
        vectors[i] = support_vector(all_vectors[i]);
    for (int round = 0; round < 60000; round++) {
        const struct estc_buf *from = &vectors[next_random(&seed) % VECTORS];
        const struct estc_buf *other = &vectors[next_random(&seed) % VECTORS];
        size_t cut = next_random(&seed) % (from->len + 1);
        size_t start = next_random(&seed) % other->len;
        size_t more = next_random(&seed) % (other->len - start + 1);
        unsigned char *copy = malloc(cut + more + 1);
        assert_non_null(copy);
        memcpy(copy, from->data, cut);
        memcpy(copy + cut, other->data + start, more);
        size_t len = cut + more;
        for (unsigned n = next_random(&seed) % 4; n > 0 && len > 0; n--)
            copy[next_random(&seed) % len] = (unsigned char)next_random(&seed);
        if (len > 3 && next_random(&seed) % 2) { /* a length that holds, to get further in */
            copy[0] = 0x30;
            copy[1] = len - 2 < 128 ? (unsigned char)(len - 2) : 0x81;
            if (len - 2 >= 128)
                copy[2] = (unsigned char)(len - 3);
        }
        unsigned char *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, copy, len);
        assert_survives(exact, len);
        free(exact);
        free(copy);
    }
    for (size_t i = 0; i < VECTORS; i++)
        estc_buf_clear(&vectors[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a03_a05_examples_of_the_rfcs),
        cmocka_unit_test(a02_a07_empty_sequence_and_empty_set),
        cmocka_unit_test(a08_flawed_example),
        cmocka_unit_test(a09_a11_a13_templates),
        cmocka_unit_test(a05_a11_other_plain_forms),
        cmocka_unit_test(a10_a13_other_templates),
        cmocka_unit_test(a06_a07_what_is_refused),
        cmocka_unit_test(a10_a12_templates_that_are_refused),
        cmocka_unit_test(numbers_and_sizes_are_bounded),
        cmocka_unit_test(key_wishes_against_our_types),
        cmocka_unit_test(digests_of_signatures),
        cmocka_unit_test(survives_truncation_and_mutation),
        cmocka_unit_test(survives_what_a_fuzzer_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
