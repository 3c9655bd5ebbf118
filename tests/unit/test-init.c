/* SPDX-License-Identifier: BSD-2-Clause */
/* A site from nothing: what is made, who may read it, and what is refused. */
#include "site.h"
#include "trouble.h"

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

/* All of it is judged first: nothing is there to be removed. */
static void wrong_options_make_nothing(void **state) {
    const struct site *s = *state;
    static const struct {
        const char *name, *device, *lifetime, *says;
    } rows[] = {
        {"a,DNS:evil.example", "gw", "90d", "not a host name"},
        {"a b", "gw", "90d", "not a host name"},
        {"", "gw", "90d", "is empty"},
        {"a..b", "gw", "90d", "empty"},
        {"g\xc3\xbc.example", "gw", "90d", "xn--"},
        {"a.example", "good", "90d", "device name 'good' is there twice"},
        {"a.example", "gw", "", "use a duration from 1s to 30y"},
        {"a.example", "gw", "0s", "use a duration from 1s to 30y"},
        {"a.example", "gw", "31y", "use a duration from 1s to 30y"},
        {"a.example", "gw", "90", "use a duration from 1s to 30y"},
        {"a.example", "gw", "1d\"; x = \"", "use a duration from 1s to 30y"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char dir[PATH_MAX + 16];
        struct estc_error err = {0};
        const char *const names[] = {"ok.example", rows[i].name, NULL};
        const char *const devices[] = {"good", rows[i].device, NULL};
        snprintf(dir, sizeof(dir), "%s-bad", s->dir);
        const struct init_options options = {
            .dir = dir, .names = names, .devices = devices, .lifetime = rows[i].lifetime};
        assert_true(init_check(&options, &err) != 0);
        assert_true(init_site(&options, &err) != 0);
        if (!strstr(err.text, rows[i].says))
            fail_msg("row %zu: '%s'", i, err.text);
        assert_int_equal(access(dir, F_OK), -1);
    }
}

/* A host name may be four times as long as a common name. */
static void a_long_name_of_the_server_is_no_obstacle(void **state) {
    const struct site *s = *state;
    static const char label[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    char dir[PATH_MAX + 16], name[256], path[PATH_MAX + 64];
    snprintf(name, sizeof(name), "%s.%s.%s.example", label, label, label);
    snprintf(dir, sizeof(dir), "%s-long", s->dir);
    const char *const names[] = {name, NULL};
    const char *const devices[] = {"gw", NULL};
    const struct init_options options = {
        .dir = dir, .names = names, .devices = devices, .lifetime = "30y"};
    struct estc_error err = {0};
    if (init_site(&options, &err))
        fail_msg("%s", err.text);
    snprintf(path, sizeof(path), "%s/server/cert.pem", dir);
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    assert_int_equal(pem_read_certs(path, &certs, &err), 0);
    assert_int_equal(X509_check_host(sk_X509_value(certs, 0), name, 0, 0, NULL), 1);
}

static void certificates_are_for_what_they_are_for(void **state) {
    const struct site *s = *state;
    static const struct {
        const char *path;
        int ca, path_length;
        uint32_t usages;
    } rows[] = {
        {"ca/root.pem", 1, -1, UINT32_MAX},
        {"ca/issuing.pem", 1, 0, UINT32_MAX},
        {"factory/ca.pem", 1, 0, UINT32_MAX},
        {"trust.pem", 1, -1, UINT32_MAX},
        {"server/cert.pem", 0, -1, XKU_SSL_SERVER},
        {"devices/gateway-1/cert.pem", 0, -1, XKU_SSL_CLIENT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[PATH_MAX + 64];
        _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
        snprintf(path, sizeof(path), "%s/%s", s->dir, rows[i].path);
        assert_int_equal(pem_read_certs(path, &certs, NULL), 0);
        X509 *cert = sk_X509_value(certs, 0);
        assert_int_equal(X509_check_ca(cert), rows[i].ca);
        assert_int_equal(X509_get_pathlen(cert), rows[i].path_length);
        assert_int_equal(X509_get_extended_key_usage(cert), rows[i].usages);
        if (strcmp(rows[i].path, "server/cert.pem") != 0)
            continue;
        /* RFC 7030 section 3.6.1: that it may speak for the CA; the only one here. */
        EXTENDED_KEY_USAGE *all = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
        assert_int_equal(sk_ASN1_OBJECT_num(all), 2);
        char oid[64];
        OBJ_obj2txt(oid, sizeof(oid), sk_ASN1_OBJECT_value(all, 1), 1);
        assert_string_equal(oid, "1.3.6.1.5.5.7.3.28");
        EXTENDED_KEY_USAGE_free(all);
    }
}

/* --- in trouble --- */

static int fill_disk(int dirfd) {
    static char block[4096];
    int fd = openat(dirfd, "ballast", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    while (write(fd, block, sizeof(block)) > 0)
        ;
    close(fd);
    return 0;
}

static int make_on_a_full_disk(const struct place *place) {
    char dir[PATH_MAX];
    struct estc_error err = {0};
    const char *const devices[] = {"gw", NULL};
    const struct init_options options = {.dir = dir, .devices = devices, .lifetime = "90d"};
    int fd = mount_small(place, "size=20k");
    if (fd < 0)
        return SKIPPED;
    snprintf(dir, sizeof(dir), "%s/m/site", place->path);
    CHECK(init_site(&options, &err) == -ENOSPC);
    CHECK(strstr(err.text, "free some space"));
    CHECK(strstr(err.text, "is of no use: remove it") && strstr(err.text, dir));
    close(fd);
    return 0;
}

static int add_on_a_full_disk(const struct place *place) {
    char dir[PATH_MAX], folder[PATH_MAX + 32];
    struct estc_error err = {0};
    const char *const devices[] = {"gw", NULL};
    const struct init_options options = {.dir = dir, .devices = devices, .lifetime = "90d"};
    int fd = mount_small(place, "size=400k");
    if (fd < 0)
        return SKIPPED;
    snprintf(dir, sizeof(dir), "%s/m/site", place->path);
    snprintf(folder, sizeof(folder), "%s/devices/more", dir);
    CHECK(init_site(&options, &err) == 0);
    CHECK(fill_disk(fd) == 0);
    CHECK(init_device(dir, "more", &err) == -ENOSPC);
    CHECK(access(folder, F_OK) == -1); /* no half of a device */
    CHECK(unlinkat(fd, "ballast", 0) == 0);
    CHECK(init_device(dir, "more", &err) == 0);
    close(fd);
    return 0;
}

static void a_full_disk_says_what_to_remove(void **state) {
    const struct site *s = *state;
    expect_done(in_child(make_on_a_full_disk, s->place), "mounting a file system");
}

static void a_device_is_made_whole_or_not_at_all(void **state) {
    const struct site *s = *state;
    expect_done(in_child(add_on_a_full_disk, s->place), "mounting a file system");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SITED(keys_are_their_owner_s_only),
        SITED(the_root_s_key_is_not_needed),
        SITED(the_server_has_its_names),
        SITED(nothing_is_overwritten),
        SITED(device_names_are_checked_before_anything_is_made),
        SITED(a_folder_that_is_no_site_is_named),
        SITED(wrong_options_make_nothing),
        SITED(a_long_name_of_the_server_is_no_obstacle),
        SITED(certificates_are_for_what_they_are_for),
        SITED(a_full_disk_says_what_to_remove),
        SITED(a_device_is_made_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
