/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A PKI for a site, made in one go: root, issuing CA, server, and a factory CA with birth
 * certificates. Works in a new or empty folder only, so it never overwrites a key. The root's key
 * lies apart from all else and is not needed again until the issuing CA is renewed.
 */
#include "init.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/x509v3.h>

#include <estc/cert.h>
#include <estc/csr.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/pem.h"
#include "config.h"
#include "mint.h"
#include "sitefiles.h"
#include "template.h"

#define YEAR INT64_C(31536000)
#define HOUR INT64_C(3600)
#define CONFIG_MODE 0644
#define COMMON_NAME_MAX 64 /* RFC 5280, ub-common-name */

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* A fresh P-256 key and its certificate; issuer NULL: self-signed. spec has the rest. */
static int make_pair(const char *subject, const struct pair *issuer, struct mint_spec spec,
                     struct pair *out, struct estc_error *err) {
    _cleanup(pair_clear) struct pair made = {0};
    _cleanup(x509_name_freep) X509_NAME *name = NULL;
    int rc = estc_subject_parse(subject, &name, err);
    if (!rc)
        rc = estc_key_generate(ESTC_KEY_P256, &made.key, err);
    if (rc)
        return rc;
    spec.subject = name;
    spec.key = made.key;
    spec.issuer = issuer ? issuer->cert : NULL;
    spec.signer = issuer ? issuer->key : made.key;
    spec.not_before = clock_real() - HOUR;
    rc = mint_certificate(&spec, &made.cert, err);
    if (rc)
        return rc;
    *out = made;
    made = (struct pair){0};
    return 0;
}

/* One or two certificates, the second may be NULL. */
static int write_certs(int dirfd, const char *path, X509 *first, X509 *second,
                       struct estc_error *err) {
    _cleanup(sk_x509_shallow_freep) STACK_OF(X509) *certs = sk_X509_new_null();
    if (!certs || !sk_X509_push(certs, first) || (second && !sk_X509_push(certs, second)))
        return out_of_memory(err);
    return sitefiles_write_certs(dirfd, path, certs, err);
}

/* --- the parts --- */

static int make_cas(int dirfd, struct pair *issuing, struct estc_error *err) {
    _cleanup(pair_clear) struct pair root = {0};
    const int64_t now = clock_real();
    const struct mint_spec as_root = {.ca = true, .path_length = -1, .not_after = now + 20 * YEAR};
    const struct mint_spec as_issuing = {
        .ca = true, .path_length = 0, .not_after = now + 10 * YEAR};
    int rc = make_pair("CN=Site Root CA", NULL, as_root, &root, err);
    if (!rc)
        rc = make_pair("CN=Site Issuing CA", &root, as_issuing, issuing, err);
    if (!rc)
        rc = sitefiles_write_key(dirfd, "offline/root.key", root.key, err);
    if (!rc)
        rc = write_certs(dirfd, "ca/root.pem", root.cert, NULL, err);
    if (!rc)
        rc = write_certs(dirfd, "trust.pem", root.cert, NULL, err);
    if (!rc)
        rc = write_certs(dirfd, "ca/issuing.pem", issuing->cert, NULL, err);
    return rc ? rc : sitefiles_write_key(dirfd, "ca/issuing.key", issuing->key, err);
}

/* Adds what is a name or an address. */
static int add_server_name(GENERAL_NAMES *names, const char *text, struct estc_error *err) {
    unsigned char address[16];
    bool numeric =
        inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
    _cleanup(freep) char *prefixed = text_format("%s:%s", numeric ? "IP" : "DNS", text);
    _cleanup(general_name_freep) GENERAL_NAME *name = NULL;
    if (!prefixed)
        return out_of_memory(err);
    int rc = estc_san_parse(prefixed, &name, err);
    if (rc)
        return rc;
    if (!sk_GENERAL_NAME_push(names, name))
        return out_of_memory(err);
    name = NULL;
    return 0;
}

static int server_names(const char *const *more, GENERAL_NAMES **out, struct estc_error *err) {
    static const char *const local[] = {"localhost", "127.0.0.1", "::1", NULL};
    _cleanup(general_names_freep) GENERAL_NAMES *names = GENERAL_NAMES_new();
    int rc = names ? 0 : out_of_memory(err);
    for (const char *const *name = local; !rc && *name; name++)
        rc = add_server_name(names, *name, err);
    for (; !rc && more && *more; more++)
        rc = add_server_name(names, *more, err);
    if (rc)
        return rc;
    *out = TAKE(names);
    return 0;
}

/* For people: clients look at the subjectAltName only. */
static char *server_subject(const char *const *names) {
    const char *name = names && *names ? *names : "localhost";
    return text_format("CN=%s", strlen(name) <= COMMON_NAME_MAX ? name : "est-registrar");
}

static int make_server(int dirfd, const struct pair *issuing, const char *const *names,
                       struct estc_error *err) {
    _cleanup(pair_clear) struct pair server = {0};
    _cleanup(general_names_freep) GENERAL_NAMES *all = NULL;
    _cleanup(freep) char *subject = server_subject(names);
    int rc = subject ? server_names(names, &all, err) : out_of_memory(err);
    if (rc)
        return rc;
    const struct mint_spec spec = {
        .not_after = clock_real() + 10 * YEAR - HOUR,
        .usages = "serverAuth,1.3.6.1.5.5.7.3.28", /* id-kp-cmcRA: RFC 7030 section 3.6.1 */
        .names = all,
    };
    rc = make_pair(subject, issuing, spec, &server, err);
    if (!rc)
        rc = write_certs(dirfd, "server/cert.pem", server.cert, issuing->cert, err);
    return rc ? rc : sitefiles_write_key(dirfd, "server/key.pem", server.key, err);
}

static int make_factory(int dirfd, struct pair *factory, struct estc_error *err) {
    const struct mint_spec spec = {.ca = true, .path_length = 0, .not_after = CLOCK_LAST};
    int rc = make_pair("CN=Factory CA", NULL, spec, factory, err);
    if (!rc)
        rc = write_certs(dirfd, "factory/ca.pem", factory->cert, NULL, err);
    return rc ? rc : sitefiles_write_key(dirfd, "factory/ca.key", factory->key, err);
}

/* A device's name becomes a folder, a common name and part of patterns. */
static int check_device_name(const char *name, struct estc_error *err) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-";
    size_t len = strlen(name);
    if (len == 0 || len > COMMON_NAME_MAX || name[0] == '-' || name[strspn(name, allowed)])
        return estc_error_set(err, -EINVAL,
                              "device name '%.80s': use 1 to %d letters, digits or '-'", name,
                              COMMON_NAME_MAX);
    return 0;
}

/* Into a folder of its own, which is new. */
static int write_device(int folder, const struct pair *device, struct estc_error *err) {
    int rc = write_certs(folder, "cert.pem", device->cert, NULL, err);
    if (!rc)
        rc = sitefiles_write_key(folder, "key.pem", device->key, err);
    return rc ? rc : fs_sync_dir(folder, ".", err);
}

static int make_device(int dirfd, const struct pair *factory, const char *name,
                       struct estc_error *err) {
    _cleanup(pair_clear) struct pair device = {0};
    _cleanup(freep) char *subject = text_format("CN=%s", name);
    _cleanup(freep) char *path = text_format("devices/%s", name);
    if (!subject || !path)
        return out_of_memory(err);
    const struct mint_spec spec = {.not_after = CLOCK_LAST, .usages = "clientAuth"};
    int rc = make_pair(subject, factory, spec, &device, err);
    if (rc)
        return rc;
    if (mkdirat(dirfd, path, 0755) < 0)
        return errno == EEXIST
                   ? estc_error_set(err, -EEXIST,
                                    "there is a %s already: name another device, or remove it",
                                    path)
                   : fs_fail(err, errno, "make the folder", path);
    _cleanup(fs_closep) int folder = fs_open_dir(dirfd, path, err);
    rc = folder < 0 ? folder : write_device(folder, &device, err);
    if (rc)
        fs_remove_tree(dirfd, path, NULL); /* half of it is of no use */
    return rc;
}

static int write_config(int dirfd, const char *lifetime, struct estc_error *err) {
    _cleanup(freep) char *text = text_format(init_config_template, lifetime);
    return text ? fs_write_new(dirfd, "est-registrar.conf", text, strlen(text), CONFIG_MODE, err)
                : out_of_memory(err);
}

/* --- the whole --- */

static int open_empty(const char *dir, struct estc_error *err) {
    int rc = fs_mkdir_all(AT_FDCWD, dir, 0755, err);
    if (rc)
        return rc;
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, NULL);
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
    if (n < 0)
        return estc_error_set(err, -errno, "cannot list %s: %m", dir);
    if (n > 2)
        return estc_error_set(err, -ENOTEMPTY,
                              "%s is not empty: name a new folder, so that no key is overwritten",
                              dir);
    return fs_open_dir(AT_FDCWD, dir, err);
}

static int make_folders(int dirfd, struct estc_error *err) {
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = {
        {"offline", 0700}, {"ca", 0755}, {"server", 0755}, {"factory", 0755}, {"devices", 0755}};
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(folders) / sizeof(folders[0]); i++)
        rc = fs_mkdir_all(dirfd, folders[i].name, folders[i].mode, err);
    return rc;
}

static int fill(int dirfd, const struct init_options *options, struct estc_error *err) {
    _cleanup(pair_clear) struct pair issuing = {0}, factory = {0};
    int rc = make_folders(dirfd, err);
    if (!rc)
        rc = make_cas(dirfd, &issuing, err);
    if (!rc)
        rc = make_server(dirfd, &issuing, options->names, err);
    if (!rc)
        rc = make_factory(dirfd, &factory, err);
    for (const char *const *device = options->devices; !rc && *device; device++)
        rc = make_device(dirfd, &factory, *device, err);
    return rc ? rc : write_config(dirfd, options->lifetime, err);
}

int init_check(const struct init_options *options, struct estc_error *err) {
    int64_t lifetime;
    if (conf_parse_duration(options->lifetime, &lifetime) || lifetime < 1 ||
        lifetime > CONFIG_LIFETIME_MAX)
        return estc_error_set(err, -EINVAL,
                              "lifetime '%.80s': use a duration from 1s to 30y, like 90d",
                              options->lifetime);
    _cleanup(general_names_freep) GENERAL_NAMES *names = NULL;
    int rc = server_names(options->names, &names, err);
    for (const char *const *device = options->devices; !rc && *device; device++) {
        rc = check_device_name(*device, err);
        for (const char *const *other = options->devices; !rc && other < device; other++)
            if (strcmp(*other, *device) == 0)
                rc = estc_error_set(err, -EINVAL, "device name '%s' is there twice", *device);
    }
    return rc;
}

int init_site(const struct init_options *options, struct estc_error *err) {
    int rc = init_check(options, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int dirfd = open_empty(options->dir, err);
    if (dirfd < 0)
        return dirfd;
    rc = fill(dirfd, options, err);
    if (rc) {
        struct estc_error first = err ? *err : (struct estc_error){0};
        return estc_error_set(err, rc, "%s; what was made in %s is of no use: remove it",
                              first.text, options->dir);
    }
    return 0;
}

int init_device(const char *dir, const char *name, struct estc_error *err) {
    int rc = check_device_name(name, err);
    if (rc)
        return rc;
    _cleanup(freep) char *cert = text_format("%s/factory/ca.pem", dir);
    _cleanup(freep) char *key = text_format("%s/factory/ca.key", dir);
    if (!cert || !key)
        return out_of_memory(err);
    _cleanup(pem_credentials_clear) struct estc_credentials factory = {0};
    rc = pem_read_credentials(cert, key, &factory, err);
    if (rc)
        return rc;
    _cleanup(fs_closep) int dirfd = fs_open_dir(AT_FDCWD, dir, err);
    if (dirfd < 0)
        return dirfd;
    const struct pair issuer = {.cert = factory.cert, .key = factory.key};
    return make_device(dirfd, &issuer, name, err);
}
