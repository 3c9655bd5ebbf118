/* SPDX-License-Identifier: BSD-2-Clause */
/* Files with what private keys are sealed with: which are fit, and what is said of the others. */
#include "place.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "common/sealfile.h"

#define KEY_16 "000102030405060708090a0b0c0d0e0f"
#define KEY_32 KEY_16 "F0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF"

static const char *write_file(struct place *p, const void *data, size_t len, mode_t mode) {
    static char path[PATH_MAX];
    struct estc_error err = {0};
    snprintf(path, sizeof(path), "%s/seal", p->path);
    if (fs_write_atomic(p->fd, "seal", data, len, mode, &err))
        fail_msg("%s", err.text);
    return path;
}

static const char *write_text(struct place *p, const char *text) {
    return write_file(p, text, strlen(text), 0600);
}

static void reads_names_and_secrets(void **state) {
    const char *path = write_text(*state, "# a comment\n\n  6b " KEY_16 "  \r\n\t00fF\t" KEY_32);
    _cleanup(sealfile_clear) struct sealfile file = {0};
    assert_int_equal(sealfile_read_secrets(path, &file, NULL), 0);
    assert_int_equal(file.n_secrets, 2);
    struct estc_seal first = sealfile_secret_seal(&file.secrets[0]);
    struct estc_seal second = sealfile_secret_seal(&file.secrets[1]);
    assert_int_equal(first.id_len, 1);
    assert_memory_equal(first.id, "k", 1);
    assert_int_equal(first.secret_len, 16);
    assert_memory_equal(first.secret, "\0\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17", 16);
    assert_int_equal(second.id_len, 2);
    assert_memory_equal(second.id, "\0\xff", 2);
    assert_int_equal(second.secret_len, 32);
    assert_int_equal(second.secret[16], 0xf0);
    assert_int_equal(estc_seal_check(&first, NULL), 0);
    assert_int_equal(estc_seal_check(&second, NULL), 0);
}

static void a_device_has_one(void **state) {
    _cleanup(sealfile_clear) struct sealfile file = {0};
    assert_int_equal(sealfile_read_own(write_text(*state, "6b " KEY_16 "\n"), &file, NULL), 0);
    struct estc_seal seal = sealfile_seal(&file);
    assert_non_null(seal.secret);
    struct sealfile none = {0};
    struct estc_error err = {0};
    const char *path = write_text(*state, "6b " KEY_16 "\n6c " KEY_16 "\n");
    assert_int_equal(sealfile_read_own(path, &none, &err), ESTC_E_CREDENTIAL);
    assert_non_null(strstr(err.text, "one of its own"));
    assert_null(none.secrets);
}

/* A certificate of support's is for signing, so it is refused; that it was read is seen by that. */
static void z04_what_is_wrong_is_said_and_nothing_secret(void **state) {
    struct place *p = *state;
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "empty"},
        {"# nothing\n", "there is none"},
        {"6b\n", "line 1: the secret"},
        {"\n6b 00\n", "line 2: the secret"},
        {"6b " KEY_16 "00\n", "line 1: the secret"},
        {"6b " KEY_32 "00\n", "line 1: the secret"},
        {"6b " KEY_16 "x\n", "line 1: the secret"},
        {"6 " KEY_16 "\n", "line 1: the name"},
        {"6g " KEY_16 "\n", "line 1: the name"},
        {KEY_32 KEY_32 KEY_16 " " KEY_16 "\n", "line 1: the name"},
        {"6b " KEY_16 " " KEY_16 "\n", "more than"},
        {"6b " KEY_16 "\n6B " KEY_32 "\n", "line 2: the name stands twice"},
        {"-----BEGIN CERTIFICATE-----\n", "PEM"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct sealfile file = {0};
        struct estc_error err = {0};
        assert_int_equal(sealfile_read_own(write_text(p, bad[i].text), &file, &err),
                         ESTC_E_CREDENTIAL);
        if (!strstr(err.text, bad[i].reason) || strstr(err.text, "0102"))
            fail_msg("'%s': %s", bad[i].reason, err.text);
        assert_null(file.secrets);
    }
    struct sealfile file = {0};
    struct estc_error err = {0};
    const char *path = write_file(p, "6b " KEY_16, 35, 0640);
    assert_int_equal(sealfile_read_own(path, &file, &err), ESTC_E_CREDENTIAL);
    assert_non_null(strstr(err.text, "chmod 600"));
}

static void k14_a_certificate_and_its_key(void **state) {
    struct place *p = *state;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(pkey_freep) EVP_PKEY *other = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=gw"});
    for (int own = 0; own < 2; own++) {
        _cleanup(estc_buf_clear) struct estc_buf pem = {0};
        assert_int_equal(estc_cert_to_pem(cert, &pem, NULL), 0);
        assert_int_equal(estc_key_to_pem(own ? key : other, &pem, NULL), 0);
        struct sealfile file = {0};
        struct estc_error err = {0};
        assert_int_equal(sealfile_read_own(write_file(p, pem.data, pem.len, 0600), &file, &err),
                         ESTC_E_CREDENTIAL);
        assert_non_null(strstr(err.text, "key usage lacks keyAgreement"));
        assert_null(file.cert);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        PLACED(reads_names_and_secrets),
        PLACED(a_device_has_one),
        PLACED(z04_what_is_wrong_is_said_and_nothing_secret),
        PLACED(k14_a_certificate_and_its_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
