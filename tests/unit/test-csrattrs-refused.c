/* SPDX-License-Identifier: BSD-2-Clause */
/* CSR attributes that are refused, too large, or any bytes at all. */
#include "csrattrs_fixture.h"

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
        cmocka_unit_test(a06_a07_what_is_refused),
        cmocka_unit_test(a10_a12_templates_that_are_refused),
        cmocka_unit_test(numbers_and_sizes_are_bounded),
        cmocka_unit_test(survives_truncation_and_mutation),
        cmocka_unit_test(survives_what_a_fuzzer_makes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
