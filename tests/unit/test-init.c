/* SPDX-License-Identifier: BSD-2-Clause */
/* A site from nothing: what is made, who may read it, and what is refused. */
#include "site.h"

#include <errno.h>

#include <openssl/x509v3.h>

static mode_t mode_of(const struct site *s, const char *name) {
    char path[PATH_MAX + 64];
    struct stat st;
    snprintf(path, sizeof(path), "%s/%s", s->dir, name);
    if (stat(path, &st))
        fail_msg("%s: %s", path, strerror(errno));
    return st.st_mode & 0777;
}

static void keys_are_their_owner_s_only(void **state) {
    static const char *const keys[] = {"offline/root.key", "ca/issuing.key", "server/key.pem",
                                       "factory/ca.key", "devices/gateway-1/key.pem"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_int_equal(mode_of(*state, keys[i]), 0600);
    assert_int_equal(mode_of(*state, "offline"), 0700);
    assert_int_equal(mode_of(*state, "trust.pem"), 0644);
}

/* Moved away, nothing misses it. */
static void the_root_s_key_is_not_needed(void **state) {
    struct site *s = *state;
    char path[PATH_MAX + 16];
    snprintf(path, sizeof(path), "%s/offline", s->dir);
    assert_int_equal(fs_remove_tree(AT_FDCWD, path, NULL), 0);
    site_close(s);
    site_open(s);
    struct estc_error err = {0};
    if (init_device(s->dir, "gateway-9", &err))
        fail_msg("%s", err.text);
    assert_int_equal(mode_of(s, "devices/gateway-9/key.pem"), 0600);
}

static void the_server_has_its_names(void **state) {
    struct site *s = *state;
    char dir[PATH_MAX + 16], path[PATH_MAX + 64];
    struct estc_error err = {0};
    const char *const names[] = {"ca.example.net", "192.0.2.7", "2001:db8::7", NULL};
    const char *const devices[] = {"gw", NULL};
    snprintf(dir, sizeof(dir), "%s2", s->dir);
    const struct init_options options = {
        .dir = dir, .names = names, .devices = devices, .lifetime = "1h"};
    if (init_site(&options, &err))
        fail_msg("%s", err.text);
    snprintf(path, sizeof(path), "%s/server/cert.pem", dir);
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    assert_int_equal(pem_read_certs(path, &certs, &err), 0);
    assert_int_equal(sk_X509_num(certs), 2); /* with its intermediate */
    X509 *cert = sk_X509_value(certs, 0);
    assert_int_equal(X509_check_host(cert, "ca.example.net", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(cert, "192.0.2.7", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "2001:db8::7", 0), 1);
    assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
    assert_int_equal(X509_check_host(cert, "other.example.net", 0, 0, NULL), 0);
}

static void nothing_is_overwritten(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    const char *const devices[] = {"gateway-1", NULL};
    const struct init_options options = {.dir = s->dir, .devices = devices, .lifetime = "90d"};
    assert_int_equal(init_site(&options, &err), -ENOTEMPTY);
    assert_non_null(strstr(err.text, "name a new folder"));
    assert_int_equal(init_device(s->dir, "gateway-1", &err), -EEXIST);
}

static void device_names_are_checked_before_anything_is_made(void **state) {
    struct site *s = *state;
    static const char *const bad[] = {"", "..", "a/b", "-x", "a b", "gw.1", "gw\n", "g\xc3\xbc"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char dir[PATH_MAX + 16];
        struct estc_error err = {0};
        snprintf(dir, sizeof(dir), "%s-bad", s->dir);
        const char *const devices[] = {"good", bad[i], NULL};
        const struct init_options options = {.dir = dir, .devices = devices, .lifetime = "90d"};
        assert_int_equal(init_site(&options, &err), -EINVAL);
        assert_int_equal(access(dir, F_OK), -1);
        assert_int_equal(init_device(s->dir, bad[i], &err), -EINVAL);
    }
}

static void a_folder_that_is_no_site_is_named(void **state) {
    struct site *s = *state;
    struct estc_error err = {0};
    assert_int_equal(init_device(s->place->path, "gw", &err), ESTC_E_CREDENTIAL);
    assert_non_null(strstr(err.text, "factory/ca.key"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(keys_are_their_owner_s_only),
        SITED(the_root_s_key_is_not_needed),
        SITED(the_server_has_its_names),
        SITED(nothing_is_overwritten),
        SITED(device_names_are_checked_before_anything_is_made),
        SITED(a_folder_that_is_no_site_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
