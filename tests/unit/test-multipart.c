/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "est/multipart.h"

#define BYTES(text) text, sizeof(text) - 1

static struct multipart decode(const void *cbor, size_t len) {
    struct multipart m = {0};
    struct estc_error err = {0};
    if (multipart_decode(cbor, len, &m, &err))
        fail_msg("%s", err.text);
    return m;
}

static void assert_refused(const void *cbor, size_t len, const char *reason) {
    struct multipart m = {0};
    struct estc_error err = {0};
    assert_int_equal(multipart_decode(cbor, len, &m, &err), ESTC_E_MALFORMED);
    assert_null(m.part[0].body.data);
    assert_null(m.part[1].body.data);
    if (!strstr(err.text, reason))
        fail_msg("'%s' is not in: %s", reason, err.text);
}

static void assert_part(const struct multipart *m, size_t i, int format, const void *data,
                        size_t len) {
    assert_int_equal(m->part[i].format, format);
    assert_int_equal(m->part[i].body.len, len);
    assert_memory_equal(m->part[i].body.data, data, len);
}

/* The answer of RFC 9148 A.3, taken apart and put together again, and its variants. */
static void k04_k06_the_examples_of_rfc_9148(void **state) {
    (void)state;
    static const struct {
        const char *whole, *parts[MULTIPART_PARTS];
        int formats[MULTIPART_PARTS];
    } examples[] = {
        {"9148-A3-skg-response.multipart.cbor",
         {"9148-A3-skg-response.part-284.der", "9148-A3-skg-response.part-281.der"},
         {284, 281}},
        {"9148-A3-skg-response.reordered.multipart.cbor",
         {"9148-A3-skg-response.part-281.der", "9148-A3-skg-response.part-284.der"},
         {281, 284}},
        {"9148-A3-skc-response.multipart.cbor",
         {"9148-A3-skg-response.part-284.der", "9148-A3-skg-response.part-287.crt.der"},
         {284, 287}},
    };
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf whole = support_vector(examples[i].whole);
        _cleanup(multipart_clear) struct multipart m = decode(whole.data, whole.len);
        for (size_t j = 0; j < MULTIPART_PARTS; j++) {
            _cleanup(estc_buf_clear) struct estc_buf part = support_vector(examples[i].parts[j]);
            assert_part(&m, j, examples[i].formats[j], part.data, part.len);
        }
        _cleanup(estc_buf_clear) struct estc_buf again = {0};
        assert_int_equal(multipart_encode(&m, &again, NULL), 0);
        assert_int_equal(again.len, whole.len);
        assert_memory_equal(again.data, whole.data, whole.len);
    }
}

static void k04_toy_examples(void **state) {
    (void)state;
    static const char *const names[] = {"9148-fig2-multipart-toy.cbor",
                                        "8710-s2-example.multipart.cbor"};
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_buf_clear) struct estc_buf whole = support_vector(names[i]);
        _cleanup(multipart_clear) struct multipart m = decode(whole.data, whole.len);
        _cleanup(estc_buf_clear) struct estc_buf again = {0};
        assert_int_equal(multipart_encode(&m, &again, NULL), 0);
        assert_int_equal(again.len, whole.len);
        assert_memory_equal(again.data, whole.data, whole.len);
    }
    _cleanup(estc_buf_clear) struct estc_buf example = support_vector(names[1]);
    _cleanup(multipart_clear) struct multipart m = decode(example.data, example.len);
    assert_part(&m, 0, 42, "\x01\x23\x45\x67\x89\xab\xcd\xef", 8);
    assert_part(&m, 1, 0, "01234", 5);
}

/* Other encodings of the same: lengths without an end, chunks, numbers longer than needed. */
static void k04_k06_other_encodings(void **state) {
    (void)state;
    static const struct {
        const char *cbor;
        size_t len;
    } same[] = {
        {BYTES("\x84\x19\x01\x1c\x42hi\x19\x01\x19\x41y")},
        {BYTES("\x9f\x19\x01\x1c\x42hi\x19\x01\x19\x41y\xff")},
        {BYTES("\x84\x19\x01\x1c\x5f\x41h\x40\x41i\xff\x19\x01\x19\x5f\x41y\xff")},
        {BYTES("\x98\x04\x1a\x00\x00\x01\x1c\x58\x02hi\x1b\x00\x00\x00\x00\x00\x00\x01\x19\x59\x00"
               "\x01y")},
        {BYTES("\x9b\x00\x00\x00\x00\x00\x00\x00\x04\x19\x01\x1c\x5b\x00\x00\x00\x00\x00\x00\x00"
               "\x02hi\x19\x01\x19\x5a\x00\x00\x00\x01y")},
    };
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        _cleanup(multipart_clear) struct multipart m = decode(same[i].cbor, same[i].len);
        assert_part(&m, 0, 284, "hi", 2);
        assert_part(&m, 1, 281, "y", 1);
    }
    _cleanup(multipart_clear) struct multipart m =
        decode(BYTES("\x84\x00\x40\x19\xff\xff\x5f\xff"));
    assert_part(&m, 0, 0, "", 0);
    assert_part(&m, 1, 65535, "", 0);
}

static void k05_malformed_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *cbor;
        size_t len;
        const char *reason;
    } bad[] = {
        {BYTES(""), "cut short"},
        {BYTES("\x80"), "not made of two parts"},
        {BYTES("\x82\x19\x01\x1c\x41y"), "not made of two parts"},
        {BYTES("\x83\x19\x01\x1c\x41y\x00"), "not made of two parts"},
        {BYTES("\x85\x00\x40\x00\x40\x00"), "not made of two parts"},
        {BYTES("\x86\x00\x40\x00\x40\x00\x40"), "not made of two parts"},
        {BYTES("\x9b\xff\xff\xff\xff\xff\xff\xff\xff\x00\x40"), "not made of two parts"},
        {BYTES("\x9f\x00\x40\x00\x40\x00\x40\xff"), "not made of two parts"},
        {BYTES("\x9f\x00\x40\x00\x40"), "cut short"},
        {BYTES("\x9f\x00\x40\x00\xff"), "no byte string"},
        {BYTES("\x9f\x00\x40\xff"), "content format"},
        {BYTES("\xa2\x00\x40\x01\x40"), "no array"},
        {BYTES("\xd8\x18\x84\x00\x40\x00\x40"), "no array"},
        {BYTES("\xff"), "no array"},
        {BYTES("\x84\x00\x40\x00\x40\x00"), "left over"},
        {BYTES("\x84\x00\xf6\x00\x40"), "absent"},
        {BYTES("\x84\x00\x40\x00\xf6"), "absent"},
        {BYTES("\x84\x00\xf7\x00\x40"), "no byte string"},
        {BYTES("\x84\x00\x60\x00\x40"), "no byte string"},
        {BYTES("\x84\x00\x84\x00\x40\x00\x40\x00\x40"), "no byte string"},
        {BYTES("\x84\x00\xc2\x41y\x00\x40"), "no byte string"},
        {BYTES("\x84\x20\x40\x00\x40"), "content format"},
        {BYTES("\x84\x40\x00\x40\x00"), "content format"},
        {BYTES("\x84\x1a\x00\x01\x00\x00\x40\x00\x40"), "content format"},
        {BYTES("\x84\x1b\xff\xff\xff\xff\xff\xff\xff\xff\x40\x00\x40"), "content format"},
        {BYTES("\x84\x1b\x00\x00\x00\x01\x00\x00\x01\x1c\x40\x00\x40"), "content format"},
        {BYTES("\x84\xf9\x5c\x00\x40\x00\x40"), "content format"},
        {BYTES("\x84\x00\x5f\x60\xff\x00\x40"), "chunk"},
        {BYTES("\x84\x00\x5f\x5f\x41y\xff\xff\x00\x40"), "chunk"},
        {BYTES("\x84\x00\x5f\x41y"), "cut short"},
        {BYTES("\x84\x1c\x40\x00\x40"), "well-formed"},
        {BYTES("\x84\x00\x5c\x00\x40"), "well-formed"},
        {BYTES("\x84\x00\x5a\xff\xff\xff\xff\x00\x40"), "cut short"},
        {BYTES("\x84\x00\x5b\xff\xff\xff\xff\xff\xff\xff\xff\x00\x40"), "cut short"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i].cbor, bad[i].len, bad[i].reason);
}

static void k05_k06_negative_vectors(void **state) {
    (void)state;
    static const char *const names[][2] = {
        {"8710-s4-empty.multipart.cbor", "two parts"},
        {"8710-s4-hello-world.multipart.cbor", "two parts"},
        {"neg-multipart-cf-over-16bit.cbor", "two parts"},
        {"neg-multipart-huge-length.cbor", "cut short"},
        {"neg-multipart-null-key.cbor", "absent"},
        {"neg-multipart-odd-count.cbor", "two parts"},
        {"neg-multipart-residual-byte.cbor", "left over"},
        {"neg-multipart-text-string.cbor", "no byte string"},
        {"neg-multipart-truncated.cbor", "cut short"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf cbor = support_vector(names[i][0]);
        assert_refused(cbor.data, cbor.len, names[i][1]);
    }
}

/* No prefix of an answer is an answer; each is in memory of exactly its size. */
static void k05_k06_cut_anywhere(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf whole =
        support_vector("9148-A3-skg-response.multipart.cbor");
    for (size_t len = 0; len < whole.len; len++) {
        unsigned char *cut = malloc(len ? len : 1);
        memcpy(cut, whole.data, len);
        assert_refused(cut, len, "cut short");
        free(cut);
    }
}

/* Every byte changed in every bit: an answer or a refusal, never more bytes than there are. */
static void z01_k06_any_byte_may_lie(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf whole =
        support_vector("9148-A3-skg-response.multipart.cbor");
    unsigned char *copy = malloc(whole.len);
    for (size_t i = 0; i < whole.len * 8; i++) {
        memcpy(copy, whole.data, whole.len);
        copy[i / 8] ^= (unsigned char)(1u << i % 8);
        _cleanup(multipart_clear) struct multipart m = {0};
        struct estc_error err = {0};
        int rc = multipart_decode(copy, whole.len, &m, &err);
        assert_true(rc == 0 || rc == ESTC_E_MALFORMED);
        assert_true(m.part[0].body.len + m.part[1].body.len < whole.len);
        assert_true((rc == 0) == (m.part[0].body.data != NULL));
    }
    free(copy);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(k04_k06_the_examples_of_rfc_9148),
        cmocka_unit_test(k04_toy_examples),
        cmocka_unit_test(k04_k06_other_encodings),
        cmocka_unit_test(k05_malformed_is_refused),
        cmocka_unit_test(k05_k06_negative_vectors),
        cmocka_unit_test(k05_k06_cut_anywhere),
        cmocka_unit_test(z01_k06_any_byte_may_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
