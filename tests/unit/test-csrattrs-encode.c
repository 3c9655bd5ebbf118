/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <estc/csrattrs.h>

#include "base/cleanup_ossl.h"
#include "pkix/csrattrs.h"
#include "wishes_text.h"

static struct estc_buf encode(const struct estc_csrattrs *attrs, enum estc_csrattrs_form form) {
    struct estc_buf der = {0};
    struct estc_error err = {0};
    if (estc_csrattrs_encode(attrs, form, &der, &err))
        fail_msg("%s", err.text);
    assert_int_equal(ERR_peek_error(), 0);
    return der;
}

static struct estc_csrattrs decode(const struct estc_buf *der) {
    struct estc_csrattrs attrs = {0};
    struct estc_error err = {0};
    if (estc_csrattrs_decode(der->data, der->len, &attrs, &err))
        fail_msg("%s", err.text);
    return attrs;
}

static void assert_bytes(const struct estc_buf *a, const struct estc_buf *b, const char *what) {
    if (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)
        fail_msg("%s: other bytes", what);
}

/* The examples whose elements stand in the order that we write, byte for byte. */
static void a04_a06_a07_plain_examples_come_back(void **state) {
    (void)state;
    static const char *const vectors[] = {
        "8951-csrattrs-empty.der",       "9908-3.2-keytype-empty-set.csrattrs.der",
        "9908-5.1-acp-san.csrattrs.der", "9908-5.3-as-described.csrattrs.der",
        "9908-5.4-rsa4096.csrattrs.der",
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = support_vector(vectors[i]);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = decode(&der);
        _cleanup(estc_buf_clear) struct estc_buf again = encode(&attrs, ESTC_CSRATTRS_PLAIN);
        assert_bytes(&again, &der, vectors[i]);
    }
}

/* Elements in another order, or with unknown ones: the same wishes come back. */
static void a05_other_examples_keep_their_meaning(void **state) {
    (void)state;
    static const char *const vectors[] = {
        "9908-5.2-rfc7030-revised.csrattrs.der", "9908-5.5-p384.csrattrs.der",
        "9908-5.6-p521-many.csrattrs.der",       "9908-5.3-san-MISPRINT.csrattrs.der",
        "9148-A4-att-response.csrattrs.der",     "8951-s4-csrattrs-example.der",
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        _cleanup(estc_buf_clear) struct estc_buf der = support_vector(vectors[i]);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = decode(&der);
        _cleanup(estc_buf_clear) struct estc_buf plain = encode(&attrs, ESTC_CSRATTRS_PLAIN);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs again = decode(&plain);
        struct wishes_text before = wishes_text(&attrs), after = wishes_text(&again);
        char *others = strstr(before.text, " other:");
        if (others)
            *others = '\0';
        assert_string_equal(after.text, before.text);
    }
}

static void a10_a12_template_example_comes_back(void **state) {
    (void)state;
    _cleanup(estc_buf_clear) struct estc_buf der = support_vector("9908-3.4-template.csrattrs.der");
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = decode(&der);
    _cleanup(estc_buf_clear) struct estc_buf again = encode(&attrs, ESTC_CSRATTRS_TEMPLATE);
    assert_bytes(&again, &der, "template");
}

/* What stands in the only value of the only attribute: the template itself. */
static struct der template_of(const struct estc_buf *der) {
    struct der in = {der->data, der->len};
    struct der_item item;
    assert_true(der_take(&in, DER_SEQUENCE, &item));
    assert_int_equal(in.len, 0);
    in = item.content;
    assert_true(der_take(&in, DER_SEQUENCE, &item));
    assert_int_equal(in.len, 0);
    in = item.content;
    assert_true(der_take(&in, DER_OID, &item) && der_take(&in, DER_SET, &item));
    in = item.content;
    assert_true(der_take(&in, DER_SEQUENCE, &item));
    return item.content;
}

static void add_name(struct estc_csrattrs *attrs, int nid, const char *value, bool joined) {
    ASN1_STRING *string = NULL;
    if (value) {
        string = ASN1_UTF8STRING_new();
        ASN1_STRING_set(string, value, -1);
    }
    assert_int_equal(estc_csrattrs_add_name(attrs, OBJ_nid2obj(nid), string, joined), 0);
    ASN1_STRING_free(string);
}

static int add_extension(struct estc_csrattrs *attrs, int nid, bool critical, const char *value,
                         int len) {
    ASN1_OCTET_STRING *string = NULL;
    if (value) {
        string = ASN1_OCTET_STRING_new();
        ASN1_OCTET_STRING_set(string, (const unsigned char *)value, len);
    }
    int rc = estc_csrattrs_add_extension(attrs, OBJ_nid2obj(nid), critical, string);
    ASN1_OCTET_STRING_free(string);
    return rc;
}

/* Version 0 and attributes always; subject and key only when there is a wish for them. */
static void a10_template_has_exactly_its_parts(void **state) {
    (void)state;
    for (unsigned parts = 1; parts < 8; parts++) {
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {.challenge = parts & 1};
        if (parts & 2)
            add_name(&attrs, NID_commonName, NULL, false);
        if (parts & 4)
            estc_csrattrs_set_key(&attrs, ESTC_KEY_P384);
        _cleanup(estc_buf_clear) struct estc_buf der = encode(&attrs, ESTC_CSRATTRS_TEMPLATE);
        struct der in = template_of(&der);
        struct der_item item;
        unsigned version = 1;
        assert_true(der_take(&in, DER_INTEGER, &item) && der_unsigned(&item, &version));
        assert_int_equal(version, 0);
        assert_int_equal(der_take(&in, DER_SEQUENCE, &item), (parts & 2) != 0);
        assert_int_equal(der_take(&in, DER_CONTEXT_0, &item), (parts & 4) != 0);
        if (parts & 4) { /* IMPLICIT: the algorithm is the first thing inside; no public key */
            struct der key = item.content;
            assert_true(der_take(&key, DER_SEQUENCE, &item));
            assert_int_equal(key.len, 0);
        }
        assert_true(der_take(&in, DER_CONTEXT_1, &item));
        assert_int_equal(item.content.len > 0, parts & 1);
        assert_int_equal(in.len, 0);
    }
    /* No wish at all is no template, either. */
    const struct estc_csrattrs none = {0};
    for (int form = ESTC_CSRATTRS_PLAIN; form <= ESTC_CSRATTRS_BOTH; form++) {
        _cleanup(estc_buf_clear) struct estc_buf der = encode(&none, (enum estc_csrattrs_form)form);
        assert_int_equal(der.len, 2);
        assert_memory_equal(der.data, "\x30\x00", 2);
    }
}

/* OpenSSL reads the placeholder as an RSA key of the size; no other kind of key has one. */
static void a07_a10_sizes_of_rsa_keys(void **state) {
    (void)state;
    static const int sizes[] = {2048, 3072, 4096};
    for (int i = 0; i < 3; i++) {
        enum estc_key_type type = (enum estc_key_type)(ESTC_KEY_RSA2048 + i);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
        assert_int_equal(estc_csrattrs_set_key(&attrs, type), 0);
        _cleanup(estc_buf_clear) struct estc_buf der = encode(&attrs, ESTC_CSRATTRS_TEMPLATE);
        struct der in = template_of(&der);
        struct der_item item;
        assert_true(der_take(&in, DER_INTEGER, &item) && der_take(&in, DER_CONTEXT_0, &item));
        /* [0] IMPLICIT SubjectPublicKeyInfo, read as one. */
        _cleanup(estc_buf_clear) struct estc_buf spki = {0};
        estc_buf_append(&spki, item.whole.at, item.whole.len);
        spki.data[0] = 0x30;
        const unsigned char *p = spki.data;
        _cleanup(pkey_freep) EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki.len);
        assert_non_null(key);
        assert_int_equal(EVP_PKEY_get_bits(key), sizes[i]);
        for (int form = ESTC_CSRATTRS_PLAIN; form <= ESTC_CSRATTRS_BOTH; form++) {
            _cleanup(estc_buf_clear) struct estc_buf again =
                encode(&attrs, (enum estc_csrattrs_form)form);
            _cleanup(estc_csrattrs_clear) struct estc_csrattrs read = decode(&again);
            for (int t = 0; t < ESTC_KEY_TYPE_MAX_; t++)
                assert_int_equal(estc_key_wish_fits(&read.key, (enum estc_key_type)t),
                                 t == (int)type);
        }
    }
    /* Odd sizes, and one that is no key. */
    for (unsigned bits = 1; bits < 70; bits++) {
        const struct estc_csrattrs attrs = {
            .key = {.algorithm = OBJ_nid2obj(NID_rsaEncryption), .bits = bits}};
        _cleanup(estc_buf_clear) struct estc_buf der = encode(&attrs, ESTC_CSRATTRS_TEMPLATE);
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs read = decode(&der);
        assert_int_equal(read.key.bits, bits);
    }
    const struct estc_csrattrs huge = {
        .key = {.algorithm = OBJ_nid2obj(NID_rsaEncryption), .bits = 1u << 20}};
    struct estc_buf der = {0};
    assert_int_equal(estc_csrattrs_encode(&huge, ESTC_CSRATTRS_TEMPLATE, &der, NULL), -EINVAL);
    assert_null(der.data);
}

static struct estc_csrattrs everything(void) {
    struct estc_csrattrs attrs = {.challenge = true};
    add_name(&attrs, NID_organizationName, "Example", false);
    add_name(&attrs, NID_serialNumber, NULL, false);
    add_name(&attrs, NID_commonName, "gw", true);
    estc_csrattrs_set_key(&attrs, ESTC_KEY_P256);
    assert_int_equal(add_extension(&attrs, NID_key_usage, true, "\x03\x02\x03\x88", 4), 0);
    return attrs;
}

/* Which of the two attributes for extensions there is, and how often. */
static void count_extension_lists(const struct estc_buf *der, int *closed, int *open) {
    *closed = *open = 0;
    for (size_t i = 0; i + 13 <= der->len; i++) {
        *closed += memcmp(der->data + i, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", 11) == 0;
        *open +=
            memcmp(der->data + i, "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x3e", 13) == 0;
    }
}

static void a06_a12_one_list_of_extensions_of_one_kind(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = everything();
    assert_int_equal(add_extension(&attrs, NID_key_usage, false, NULL, 0), -EEXIST);
    int closed = 0, open = 0;
    for (int i = 0; i < 3; i++) {
        if (i == 1) /* a subjectAltName with an address left open */
            add_extension(&attrs, NID_subject_alt_name, false, "\x30\x02\x87\x00", 4);
        if (i == 2)
            add_extension(&attrs, NID_ext_key_usage, false, NULL, 0);
        _cleanup(estc_buf_clear) struct estc_buf template = encode(&attrs, ESTC_CSRATTRS_TEMPLATE);
        count_extension_lists(&template, &closed, &open);
        assert_int_equal(closed, i == 0);
        assert_int_equal(open, i > 0);
        _cleanup(estc_buf_clear) struct estc_buf plain = encode(&attrs, ESTC_CSRATTRS_PLAIN);
        count_extension_lists(&plain, &closed, &open);
        assert_int_equal(closed, 1);
        assert_int_equal(open, 0);
    }
}

static void a09_both_forms_say_the_same(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = everything();
    _cleanup(estc_buf_clear) struct estc_buf both = encode(&attrs, ESTC_CSRATTRS_BOTH);
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs read = decode(&both);
    /* A SET of DER has the smaller one first. */
    assert_string_equal(wishes_text(&read).text,
                        "T pop key:id-ecPublicKey/prime256v1 O=Example serialNumber=?+CN=gw "
                        "ext:keyUsage!");
    _cleanup(estc_buf_clear) struct estc_buf plain = encode(&attrs, ESTC_CSRATTRS_PLAIN);
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs old = decode(&plain);
    assert_string_equal(wishes_text(&old).text,
                        "P pop key:id-ecPublicKey/prime256v1 O=Example serialNumber=? CN=gw "
                        "ext:keyUsage!");
    /* The plain elements stand in front, as they are, for those who know no templates. */
    assert_true(both.len > plain.len);
    assert_non_null(memmem(both.data, both.len, plain.data + 2, plain.len - 2));
}

static void forms_say_what_they_cannot_say(void **state) {
    (void)state;
    struct estc_error err = {0};
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = everything();
    for (int form = ESTC_CSRATTRS_PLAIN; form <= ESTC_CSRATTRS_BOTH; form++)
        assert_int_equal(estc_csrattrs_can_say(&attrs, (enum estc_csrattrs_form)form, &err), 0);
    attrs.signature = OBJ_nid2obj(NID_ecdsa_with_SHA384);
    assert_int_equal(estc_csrattrs_can_say(&attrs, ESTC_CSRATTRS_PLAIN, &err), 0);
    assert_int_equal(estc_csrattrs_can_say(&attrs, ESTC_CSRATTRS_BOTH, &err), ESTC_E_CONFIG);
    assert_non_null(strstr(err.text, "signature"));
    attrs.signature = NULL;
    add_extension(&attrs, NID_ext_key_usage, false, NULL, 0);
    assert_int_equal(estc_csrattrs_can_say(&attrs, ESTC_CSRATTRS_PLAIN, &err), ESTC_E_CONFIG);
    assert_non_null(strstr(err.text, "Extended Key Usage"));
    assert_int_equal(estc_csrattrs_can_say(&attrs, ESTC_CSRATTRS_TEMPLATE, &err), 0);
}

static void adders_are_bounded(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    for (int i = 0; i < ESTC_CSRATTRS_MAX; i++)
        add_name(&attrs, NID_organizationalUnitName, "x", i > 0);
    assert_int_equal(estc_csrattrs_add_name(&attrs, OBJ_nid2obj(NID_commonName), NULL, true),
                     -E2BIG);
    assert_int_equal(attrs.name_count, ESTC_CSRATTRS_MAX);
    _cleanup(estc_buf_clear) struct estc_buf der = encode(&attrs, ESTC_CSRATTRS_TEMPLATE);
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs read = decode(&der);
    assert_int_equal(read.name_count, ESTC_CSRATTRS_MAX);
    assert_int_equal(estc_csrattrs_set_key(&attrs, ESTC_KEY_TYPE_MAX_), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a04_a06_a07_plain_examples_come_back),
        cmocka_unit_test(a05_other_examples_keep_their_meaning),
        cmocka_unit_test(a10_a12_template_example_comes_back),
        cmocka_unit_test(a10_template_has_exactly_its_parts),
        cmocka_unit_test(a07_a10_sizes_of_rsa_keys),
        cmocka_unit_test(a06_a12_one_list_of_extensions_of_one_kind),
        cmocka_unit_test(a09_both_forms_say_the_same),
        cmocka_unit_test(forms_say_what_they_cannot_say),
        cmocka_unit_test(adders_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
