/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of the server's wishes are followed, and what is said of the others. */
#include "wishes_fixture.h"

static void a03_no_wish_changes_nothing(void **state) {
    (void)state;
    const struct estc_csrattrs none = {0};
    const struct wishes_input in = {
        .attrs = &none, .obey = ALL, .key_type = ESTC_KEY_RSA2048, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.key_type, ESTC_KEY_RSA2048);
    assert_null(plan.digest);
    assert_null(plan.subject);
    assert_null(plan.extensions);
    assert_null(plan.lines);
    assert_false(plan.challenge);
}

static void a05_key_signature_and_binding(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-5.2-rfc7030-revised.csrattrs.der");
    struct wishes_input in = {
        .attrs = &attrs, .obey = WISHES_DEFAULT, .key_type = ESTC_KEY_P256, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.key_type, ESTC_KEY_P384);
    assert_true(plan.challenge);
    assert_lines(&plan,
                 LINES("key id-ecPublicKey on secp384r1: granted, other than configured",
                       "signature ecdsa-with-SHA384: granted, as it is", "channel binding: granted",
                       "1.3.6.1.1.1.1.22: not granted, it is not understood here"));
    _cleanup(x509_req_freep) X509_REQ *req = request_of(&in, &plan);
    assert_int_equal(X509_REQ_get_signature_nid(req), NID_ecdsa_with_SHA384);
    /* The digest alone, with the key that is configured. */
    attrs.key.curve = OBJ_nid2obj(NID_X9_62_prime256v1);
    _cleanup(wishes_plan_clear) struct wishes_plan p256 = follow(&in);
    assert_int_equal(p256.key_type, ESTC_KEY_P256);
    assert_ptr_equal(p256.digest, EVP_sha384());
    _cleanup(x509_req_freep) X509_REQ *mixed = request_of(&in, &p256);
    assert_int_equal(X509_REQ_get_signature_nid(mixed), NID_ecdsa_with_SHA384);
}

static void a14_each_kind_only_when_it_is_named(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {.challenge = true};
    attrs.signature = OBJ_nid2obj(NID_ecdsa_with_SHA512);
    estc_csrattrs_set_key(&attrs, ESTC_KEY_P384);
    add_name(&attrs, NID_organizationName, "Theirs");
    add_extension(&attrs, NID_subject_alt_name, "DNS:their.example");
    add_extension(&attrs, NID_ext_key_usage, "clientAuth");
    for (unsigned obey = 0; obey <= ALL; obey++) {
        const struct wishes_input in = {
            .attrs = &attrs, .obey = obey, .key_type = ESTC_KEY_P256, .subject = "CN=gw"};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        assert_int_equal(plan.key_type, obey & ONLY(KEY) ? ESTC_KEY_P384 : ESTC_KEY_P256);
        assert_ptr_equal(plan.digest, obey & ONLY(SIGNATURE) ? EVP_sha512() : NULL);
        assert_int_equal(plan.challenge, (obey & ONLY(POP)) != 0);
        assert_int_equal(plan.subject != NULL, (obey & ONLY(NAMES)) != 0);
        assert_int_equal(plan.replaces_sans, (obey & ONLY(NAMES)) != 0);
        assert_int_equal(sk_X509_EXTENSION_num(plan.extensions),
                         obey & (ONLY(NAMES) | ONLY(EXTENSIONS))
                             ? ((obey & ONLY(NAMES)) != 0) + ((obey & ONLY(EXTENSIONS)) != 0)
                             : -1);
        assert_int_equal(plan.granted, __builtin_popcount(obey) + ((obey & ONLY(NAMES)) != 0));
        assert_int_equal(plan.denied, 6 - plan.granted);
    }
    const struct wishes_input in = {
        .attrs = &attrs, .obey = 0, .key_type = ESTC_KEY_P256, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_lines(&plan,
                 LINES("key id-ecPublicKey on secp384r1: not granted, obey does not name key",
                       "signature ecdsa-with-SHA512: not granted, obey does not name signature",
                       "channel binding: not granted, obey does not name pop, or pop is "
                       "never",
                       "subject O=Theirs: not granted, obey does not name names",
                       "subjectAltName: not granted, obey does not name names",
                       "extension extendedKeyUsage: not granted, obey does not name extensions"));
}

static void a14_what_is_never_granted(void **state) {
    (void)state;
    static const struct {
        int nid;
        const char *value;
    } extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE"},
        {NID_key_usage, "critical,keyCertSign"},
    };
    static const int signatures[] = {
        NID_ecdsa_with_SHA1,         NID_ecdsa_with_SHA224, NID_md5,
        NID_sha256WithRSAEncryption, NID_rsassaPss,         NID_sha3_256};
    for (size_t i = 0; i < 2; i++) {
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
        add_extension(&attrs, extensions[i].nid, extensions[i].value);
        const struct wishes_input in = {.attrs = &attrs, .obey = ALL};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        assert_null(plan.extensions);
        assert_non_null(strstr(plan.lines[0], "not granted, it is one for a CA"));
    }
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
        const struct estc_csrattrs attrs = {.signature = OBJ_nid2obj(signatures[i])};
        const struct wishes_input in = {.attrs = &attrs, .obey = ALL, .key_type = ESTC_KEY_P256};
        _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
        assert_null(plan.digest);
        assert_int_equal(plan.denied, 1);
    }
    /* Not DER, not a kind of key that we make. */
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs broken = {0};
    add_raw_extension(&broken, NID_basic_constraints, "\x30", 1);
    add_raw_extension(&broken, NID_subject_alt_name, "\x30\x00", 2);
    broken.key.algorithm = OBJ_nid2obj(NID_ED25519);
    const struct wishes_input in = {.attrs = &broken, .obey = ALL, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_lines(&plan, LINES("key ED25519: not granted, keys of this kind are not made here",
                              "extension basicConstraints: not granted, it is one for a CA",
                              "subjectAltName: not granted, it cannot be decoded"));
}

static void a_key_that_is_there_stays(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    estc_csrattrs_set_key(&attrs, ESTC_KEY_P384);
    const struct wishes_input in = {
        .attrs = &attrs, .obey = ALL, .key_type = ESTC_KEY_P256, .key_made = true};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.key_type, ESTC_KEY_P256);
    assert_non_null(strstr(plan.lines[0], "not granted, the key of an earlier attempt"));
}

/* Whatever a server says, log lines stay clean and bounded. */
static void text_of_servers_is_harmless(void **state) {
    (void)state;
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = {0};
    char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    add_name(&attrs, NID_commonName, "a\x1b[31m\nb%s%n");
    add_name(&attrs, NID_organizationName, longest);
    const struct wishes_input in = {.attrs = &attrs, .obey = 0, .subject = "CN=gw"};
    _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
    assert_int_equal(plan.denied, 2);
    for (int i = 0; i < 2; i++) {
        assert_true(strlen(plan.lines[i]) <= 512);
        assert_null(strpbrk(plan.lines[i], "\x1b\n"));
    }
}

static void a_broken_configuration_is_said(void **state) {
    (void)state;
    static const char *const sans[] = {"DNS:not ok", NULL};
    _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs =
        vector_wishes("9908-3.4-template.csrattrs.der");
    struct wishes_plan plan = {0};
    struct estc_error err = {0};
    struct wishes_input in = {.attrs = &attrs, .obey = ALL, .subject = "gw"};
    assert_int_equal(wishes_follow(&in, &plan, &err), ESTC_E_CONFIG);
    in.subject = "CN=gw";
    in.sans = sans;
    assert_int_equal(wishes_follow(&in, &plan, &err), ESTC_E_CONFIG);
    assert_null(plan.lines);
}

/* Every vector under every policy: a request that can be built comes of it. */
static void all_vectors_make_requests(void **state) {
    (void)state;
    static const char *const vectors[] = {
        "7030-A2-csrattrs-response.der",
        "8951-s4-csrattrs-example.der",
        "9908-5.1-acp-san.csrattrs.der",
        "9908-5.2-rfc7030-revised.csrattrs.der",
        "9908-5.3-as-described.csrattrs.der",
        "9908-5.3-san-MISPRINT.csrattrs.der",
        "9908-5.5-p384.csrattrs.der",
        "9908-5.6-p521-many.csrattrs.der",
        "9908-3.4-template.csrattrs.der",
        "9908-4-coexist.csrattrs.der",
        "9908-3.4-template-printed-oid.csrattrs.der",
    };
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        _cleanup(estc_csrattrs_clear) struct estc_csrattrs attrs = vector_wishes(vectors[i]);
        for (unsigned obey = 0; obey <= ALL; obey++) {
            const struct wishes_input in = {.attrs = &attrs, .obey = obey, .subject = "CN=gw"};
            _cleanup(wishes_plan_clear) struct wishes_plan plan = follow(&in);
            X509_REQ_free(request_of(&in, &plan));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a03_no_wish_changes_nothing),
        cmocka_unit_test(a05_key_signature_and_binding),
        cmocka_unit_test(a14_each_kind_only_when_it_is_named),
        cmocka_unit_test(a14_what_is_never_granted),
        cmocka_unit_test(a_key_that_is_there_stays),
        cmocka_unit_test(text_of_servers_is_harmless),
        cmocka_unit_test(a_broken_configuration_is_said),
        cmocka_unit_test(all_vectors_make_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
