/* SPDX-License-Identifier: BSD-2-Clause */
/* An operator's files: which are fit, and what is said of those that are not. */
#include "place.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "common/pem.h"

/* A birth credential with an intermediate, written out. */
struct files {
    struct place *place;
    EVP_PKEY *key;
    X509 *leaf, *ca;
    char cert_path[PATH_MAX], key_path[PATH_MAX];
};

static const char *path_of(const struct files *f, const char *name, char out[PATH_MAX]) {
    snprintf(out, PATH_MAX, "%s/%s", f->place->path, name);
    return out;
}

static void write_file(const struct files *f, const char *name, const void *data, size_t len,
                       mode_t mode) {
    struct estc_error err = {0};
    if (fs_write_atomic(f->place->fd, name, data, len, mode, &err))
        fail_msg("%s", err.text);
}

static int files_setup(void **state) {
    struct files *f = calloc(1, sizeof(*f));
    void *place = NULL;
    int rc = place_setup(&place);
    f->place = place;
    f->key = support_key();
    EVP_PKEY *ca_key = support_key();
    f->ca = support_cert(ca_key, &(struct support_cert_spec){.subject = "CN=ca", .ca = 1});
    f->leaf = support_cert(f->key, &(struct support_cert_spec){
                                       .subject = "CN=gw", .issuer = f->ca, .issuer_key = ca_key});
    EVP_PKEY_free(ca_key);
    path_of(f, "cert.pem", f->cert_path);
    path_of(f, "key.pem", f->key_path);
    struct estc_buf pem = {0};
    assert_int_equal(estc_cert_to_pem(f->leaf, &pem, NULL), 0);
    assert_int_equal(estc_cert_to_pem(f->ca, &pem, NULL), 0);
    write_file(f, "cert.pem", pem.data, pem.len, 0644);
    estc_buf_clear(&pem);
    assert_int_equal(estc_key_to_pem(f->key, &pem, NULL), 0);
    write_file(f, "key.pem", pem.data, pem.len, 0600);
    estc_buf_clear(&pem);
    unsetenv("CREDENTIALS_DIRECTORY");
    *state = f;
    return rc;
}

static int files_teardown(void **state) {
    struct files *f = *state;
    void *place = f->place;
    EVP_PKEY_free(f->key);
    X509_free(f->leaf);
    X509_free(f->ca);
    free(f);
    unsetenv("CREDENTIALS_DIRECTORY");
    return place_teardown(&place);
}

/* The code of a failure, and that its text has both parts. Nothing is left in OpenSSL's queue. */
static void assert_unfit(int rc, const struct estc_error *err, const char *path,
                         const char *cause) {
    if (rc != ESTC_E_CREDENTIAL || err->code != rc || !strstr(err->text, path) ||
        !strstr(err->text, cause))
        fail_msg("%d, '%s'; expected '%s' and '%s'", rc, err->text, path, cause);
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_key_unfit(const char *path, const char *cause) {
    EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    int rc = pem_read_key(path, &key, &err);
    assert_unfit(rc, &err, path, cause);
    assert_null(key);
    assert_int_equal(pem_read_key(path, &key, NULL), ESTC_E_CREDENTIAL);
}

/* --- keys --- */

static void a_private_key_of_ours_is_fit(void **state) {
    const struct files *f = *state;
    EVP_PKEY *key = NULL;
    assert_int_equal(pem_read_key(f->key_path, &key, NULL), 0);
    assert_int_equal(EVP_PKEY_eq(key, f->key), 1);
    EVP_PKEY_free(key);
    key = NULL;
    assert_int_equal(chmod(f->key_path, 0400), 0);
    assert_int_equal(pem_read_key(f->key_path, &key, NULL), 0);
    EVP_PKEY_free(key);
}

static void a_key_that_others_can_read_is_unfit(void **state) {
    const struct files *f = *state;
    char remedy[PATH_MAX + 16];
    snprintf(remedy, sizeof(remedy), "chmod 600 %s", f->key_path);
    for (mode_t bit = 1; bit <= 040; bit <<= 1) {
        assert_int_equal(chmod(f->key_path, 0600 | bit), 0);
        assert_key_unfit(f->key_path, remedy);
    }
}

static void systemds_credentials_are_exempt(void **state) {
    const struct files *f = *state;
    EVP_PKEY *key = NULL;
    char other[PATH_MAX];
    assert_int_equal(chmod(f->key_path, 0440), 0);
    setenv("CREDENTIALS_DIRECTORY", f->place->path, 1);
    assert_int_equal(pem_read_key(f->key_path, &key, NULL), 0);
    EVP_PKEY_free(key);
    /* Only what lies in it: neither a name that begins alike nor a way out again. */
    path_of(f, "ke", other);
    setenv("CREDENTIALS_DIRECTORY", other, 1);
    assert_key_unfit(f->key_path, "chmod 600");
    path_of(f, "sub", other);
    assert_int_equal(mkdir(other, 0700), 0);
    setenv("CREDENTIALS_DIRECTORY", other, 1);
    path_of(f, "sub/../key.pem", other);
    assert_key_unfit(other, "chmod 600");
    setenv("CREDENTIALS_DIRECTORY", "", 1);
    assert_key_unfit(f->key_path, "chmod 600");
}

static void a_credential_that_systemd_has_not_passed_is_named(void **state) {
    const struct files *f = *state;
    char path[PATH_MAX];
    assert_key_unfit("credential:birth.key", "add LoadCredential=birth.key:FILE");
    setenv("CREDENTIALS_DIRECTORY", f->place->path, 1);
    assert_key_unfit(path_of(f, "birth.key", path), "add LoadCredential=birth.key:FILE");
    setenv("CREDENTIALS_DIRECTORY", "", 1);
}

static void a_key_of_another_user_is_unfit(void **state) {
    const struct files *f = *state;
    if (geteuid() != 0) {
        print_message("# skipped: only root can become another user\n");
        skip();
    }
    assert_int_equal(chown(f->key_path, 65534, 0), 0);
    assert_key_unfit(f->key_path, "user 65534");
}

static void a_key_that_cannot_be_read_is_unfit(void **state) {
    const struct files *f = *state;
    char path[PATH_MAX];
    assert_key_unfit(path_of(f, "nothing.pem", path), "no such file");
    assert_key_unfit(f->place->path, "not a regular file");
    assert_int_equal(mkfifoat(f->place->fd, "fifo", 0600), 0);
    assert_key_unfit(path_of(f, "fifo", path), "not a regular file");
    char *big = calloc(1, 65537);
    write_file(f, "big.pem", big, 65537, 0600);
    free(big);
    assert_key_unfit(path_of(f, "big.pem", path), "65536");
}

static void what_is_no_key_is_unfit(void **state) {
    const struct files *f = *state;
    char path[PATH_MAX];
    write_file(f, "empty.pem", "", 0, 0600);
    assert_key_unfit(path_of(f, "empty.pem", path), "private key");
    write_file(f, "garbage.pem", "\0\xff\x1b[31m garbage", 16, 0600);
    assert_key_unfit(path_of(f, "garbage.pem", path), "private key");
    assert_int_equal(chmod(f->cert_path, 0600), 0);
    assert_key_unfit(f->cert_path, "private key");

    FILE *file = fopen(path_of(f, "locked.pem", path), "we");
    assert_non_null(file);
    assert_int_equal(
        PEM_write_PKCS8PrivateKey(file, f->key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL), 1);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
    assert_key_unfit(path, "encrypted");
}

static void every_truncation_of_a_key_is_unfit(void **state) {
    const struct files *f = *state;
    struct estc_buf pem = {0};
    char path[PATH_MAX];
    assert_int_equal(estc_key_to_pem(f->key, &pem, NULL), 0);
    path_of(f, "cut.pem", path);
    /* The last line may lack its line feed. */
    for (size_t len = 0; len < pem.len - 1; len += 7) {
        write_file(f, "cut.pem", pem.data, len, 0600);
        assert_key_unfit(path, "private key");
    }
    estc_buf_clear(&pem);
}

/* --- certificates --- */

static void a_credential_is_leaf_chain_and_key(void **state) {
    const struct files *f = *state;
    struct estc_credentials c = {0};
    assert_int_equal(pem_read_credentials(f->cert_path, f->key_path, &c, NULL), 0);
    assert_int_equal(X509_cmp(c.cert, f->leaf), 0);
    assert_int_equal(sk_X509_num(c.chain), 1);
    assert_int_equal(X509_cmp(sk_X509_value(c.chain, 0), f->ca), 0);
    assert_int_equal(EVP_PKEY_eq(c.key, f->key), 1);
    pem_credentials_clear(&c);
    assert_null(c.key);
    pem_credentials_clear(&c);
}

static void certificate_and_key_belong_together(void **state) {
    const struct files *f = *state;
    struct estc_credentials c = {0};
    struct estc_error err = {0};
    struct estc_buf pem = {0};
    EVP_PKEY *other = support_key();
    char path[PATH_MAX];
    assert_int_equal(estc_key_to_pem(other, &pem, NULL), 0);
    write_file(f, "other.pem", pem.data, pem.len, 0600);
    estc_buf_clear(&pem);
    EVP_PKEY_free(other);
    path_of(f, "other.pem", path);
    int rc = pem_read_credentials(f->cert_path, path, &c, &err);
    assert_unfit(rc, &err, path, "do not belong together");
    assert_non_null(strstr(err.text, f->cert_path));
    assert_null(c.key);

    /* The order matters: the first certificate is the leaf. */
    assert_int_equal(estc_cert_to_pem(f->ca, &pem, NULL), 0);
    assert_int_equal(estc_cert_to_pem(f->leaf, &pem, NULL), 0);
    write_file(f, "reversed.pem", pem.data, pem.len, 0644);
    estc_buf_clear(&pem);
    path_of(f, "reversed.pem", path);
    rc = pem_read_credentials(path, f->key_path, &c, &err);
    assert_unfit(rc, &err, path, "do not belong together");
}

/* The server decides what it still takes (RFC 7030 section 3.3.2): a factory certificate that has
 * run out is no fault of the file. */
static void an_expired_birth_certificate_is_fit(void **state) {
    const struct files *f = *state;
    struct estc_credentials c = {0};
    struct estc_buf pem = {0};
    int64_t now = time(NULL);
    X509 *old = support_cert(f->key, &(struct support_cert_spec){.subject = "CN=old",
                                                                 .not_before = now - 1000000,
                                                                 .not_after = now - 1000});
    assert_int_equal(estc_cert_to_pem(old, &pem, NULL), 0);
    X509_free(old);
    write_file(f, "cert.pem", pem.data, pem.len, 0644);
    estc_buf_clear(&pem);
    assert_int_equal(pem_read_credentials(f->cert_path, f->key_path, &c, NULL), 0);
    assert_int_equal(sk_X509_num(c.chain), 0);
    pem_credentials_clear(&c);
}

static void assert_certs_unfit(const char *path, const char *cause) {
    STACK_OF(X509) *certs = NULL;
    struct estc_trust *trust = NULL;
    struct estc_error err = {0};
    int rc = pem_read_certs(path, &certs, &err);
    assert_unfit(rc, &err, path, cause);
    assert_null(certs);
    rc = pem_read_trust(path, &trust, &err);
    assert_unfit(rc, &err, path, cause);
    assert_int_equal(strncmp(err.text, "trust file", 10), 0);
    assert_null(trust);
}

static void what_is_no_certificate_is_unfit(void **state) {
    const struct files *f = *state;
    char path[PATH_MAX];
    assert_certs_unfit(path_of(f, "nothing.pem", path), "no such file");
    assert_certs_unfit(f->key_path, "certificate");
    write_file(f, "empty.pem", "", 0, 0644);
    assert_certs_unfit(path_of(f, "empty.pem", path), "certificate");
    struct estc_buf pem = {0};
    assert_int_equal(estc_cert_to_pem(f->leaf, &pem, NULL), 0);
    pem.data[pem.len / 2] = '!';
    write_file(f, "broken.pem", pem.data, pem.len, 0644);
    assert_certs_unfit(path_of(f, "broken.pem", path), "certificate");
    /* One good certificate does not make up for a broken one. */
    assert_int_equal(estc_cert_to_pem(f->ca, &pem, NULL), 0);
    write_file(f, "half.pem", pem.data, pem.len, 0644);
    assert_certs_unfit(path_of(f, "half.pem", path), "certificate");
    estc_buf_clear(&pem);
    char *big = calloc(1, 262145);
    write_file(f, "big.pem", big, 262145, 0644);
    free(big);
    assert_certs_unfit(path_of(f, "big.pem", path), "262144");
}

static void a_trust_file_gives_anchors(void **state) {
    const struct files *f = *state;
    struct estc_trust *trust = NULL;
    assert_int_equal(pem_read_trust(f->cert_path, &trust, NULL), 0);
    assert_int_equal(estc_trust_count(trust), 2);
    estc_trust_free(trust);
}

#define WITH_KEYS(test) cmocka_unit_test_setup_teardown(test, files_setup, files_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_KEYS(a_private_key_of_ours_is_fit),
        WITH_KEYS(a_key_that_others_can_read_is_unfit),
        WITH_KEYS(systemds_credentials_are_exempt),
        WITH_KEYS(a_credential_that_systemd_has_not_passed_is_named),
        WITH_KEYS(a_key_of_another_user_is_unfit),
        WITH_KEYS(a_key_that_cannot_be_read_is_unfit),
        WITH_KEYS(what_is_no_key_is_unfit),
        WITH_KEYS(every_truncation_of_a_key_is_unfit),
        WITH_KEYS(a_credential_is_leaf_chain_and_key),
        WITH_KEYS(certificate_and_key_belong_together),
        WITH_KEYS(an_expired_birth_certificate_is_fit),
        WITH_KEYS(what_is_no_certificate_is_unfit),
        WITH_KEYS(a_trust_file_gives_anchors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
