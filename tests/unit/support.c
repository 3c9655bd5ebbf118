/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the unit tests share. Certificates are made on the spot, with the library's own key and name
 * code and OpenSSL's extension text; nothing here is a mock.
 */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/fs.h"

#define VECTOR_MAX 65536

struct estc_buf support_vector(const char *name) {
    const char *folder = getenv("TESTS_VECTORS");
    struct estc_buf out = {0};
    struct estc_error err = {0};
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder ? folder : "tests/vectors", name);
    if (fs_read(AT_FDCWD, path, VECTOR_MAX, &out, NULL, &err))
        fail_msg("%s", err.text);
    return out;
}

char *support_tmpdir(void) {
    const char *parent = getenv("TMPDIR");
    char path[1024];
    snprintf(path, sizeof(path), "%s/estc-test-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(path))
        fail_msg("no temporary folder: %s", strerror(errno));
    return strdup(path);
}

void support_tmpdir_remove(char *path) {
    struct estc_error err = {0};
    int rc = fs_remove_tree(AT_FDCWD, path, &err);
    free(path);
    if (rc)
        fail_msg("%s", err.text);
}

EVP_PKEY *support_key(void) {
    EVP_PKEY *key = NULL;
    assert_int_equal(estc_key_generate(ESTC_KEY_P256, &key, NULL), 0);
    return key;
}

static void set_names(X509 *cert, const struct support_cert_spec *spec) {
    struct estc_error err = {0};
    _cleanup(x509_name_freep) X509_NAME *subject = NULL;
    if (estc_subject_parse(spec->subject, &subject, &err))
        fail_msg("%s", err.text);
    assert_true(X509_set_subject_name(cert, subject));
    assert_true(
        X509_set_issuer_name(cert, spec->issuer ? X509_get_subject_name(spec->issuer) : subject));
    if (!spec->sans || !spec->sans[0])
        return;
    _cleanup(general_names_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (size_t i = 0; spec->sans[i]; i++) {
        GENERAL_NAME *name = NULL;
        if (estc_san_parse(spec->sans[i], &name, &err))
            fail_msg("%s", err.text);
        assert_true(sk_GENERAL_NAME_push(names, name));
    }
    assert_true(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT));
}

static void set_times(X509 *cert, const struct support_cert_spec *spec) {
    time_t now = time(NULL);
    time_t before = spec->not_before ? (time_t)spec->not_before : now - 3600;
    time_t after = spec->not_after ? (time_t)spec->not_after : now + 86400;
    assert_non_null(ASN1_TIME_set(X509_getm_notBefore(cert), before));
    assert_non_null(ASN1_TIME_set(X509_getm_notAfter(cert), after));
}

static void add_ext(X509 *cert, X509V3_CTX *ctx, int nid, const char *value) {
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
    assert_non_null(ext);
    assert_true(X509_add_ext(cert, ext, -1));
    X509_EXTENSION_free(ext);
}

X509 *support_cert(EVP_PKEY *key, const struct support_cert_spec *spec) {
    X509 *cert = X509_new();
    assert_non_null(cert);
    assert_true(X509_set_version(cert, X509_VERSION_3));
    _cleanup(bn_freep) BIGNUM *serial = BN_new();
    assert_true(BN_rand(serial, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY));
    assert_non_null(BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(cert)));
    assert_true(X509_set_pubkey(cert, key));
    set_names(cert, spec);
    set_times(cert, spec);

    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, spec->issuer ? spec->issuer : cert, cert, NULL, NULL, 0);
    add_ext(cert, &ctx, NID_basic_constraints, spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_ext(cert, &ctx, NID_key_usage,
            spec->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
    add_ext(cert, &ctx, NID_subject_key_identifier, "hash");
    if (spec->issuer)
        add_ext(cert, &ctx, NID_authority_key_identifier, "keyid");
    if (spec->eku)
        add_ext(cert, &ctx, NID_ext_key_usage, spec->eku);

    EVP_PKEY *signer = spec->issuer ? spec->issuer_key : key;
    assert_true(X509_sign(cert, signer, EVP_sha256()) > 0);
    return cert;
}
