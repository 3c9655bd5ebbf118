/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads one generation out of a hostile state folder. `current` is read once, as a text that has to
 * be "generations/N"; below that nothing that is a link is followed, nothing but regular files of
 * the daemon's own user is read, and never more than a bound.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <estc/cert.h>
#include <estc/key.h>
#include <estc/trust.h>

#include "agent/layout.h"
#include "base/cleanup_estc.h"
#include "base/cleanup_ossl.h"
#include "base/fs.h"
#include "base/text.h"

#define PEM_MAX (256 * 1024)

int state_open(const char *path, struct state *out, struct estc_error *err) {
    struct stat st;
    _cleanup(fs_closep) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return estc_error_set(err, -ENOENT,
                              "the state folder %s does not exist: start estcd, which makes it, or "
                              "mend state_directory",
                              path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fs_fail(err, errno, "open", path);
    *out = (struct state){.fd = fd, .uid = st.st_uid, .gid = st.st_gid};
    fd = -1;
    return 0;
}

void state_close(struct state *state) {
    fs_closep(&state->fd);
}

/* What `current` says, if it says what the daemon writes there. */
static int read_current(int dirfd, int64_t *out, struct estc_error *err) {
    *out = layout_link_generation(dirfd, "current");
    return *out != 0 ? 0
                     : estc_error_set(err, ESTC_E_CREDENTIAL,
                                      "no certificate is in force: there is no link 'current' to a "
                                      "generation of estcd's");
}

static int read_file(const struct state *state, int folder, const char *name, struct estc_buf *out,
                     struct estc_error *err) {
    struct stat st;
    _cleanup(fs_closep) int fd =
        fs_open_beneath(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, err);
    int rc = fd < 0 ? fd : fs_read_fd(fd, name, PEM_MAX, out, &st, err);
    if (!rc && st.st_uid != state->uid)
        rc = estc_error_set(err, ESTC_E_CREDENTIAL,
                            "%s belongs to another user than the state folder", name);
    return rc;
}

static int read_certs(const struct state *state, int folder, const char *name, bool may_be_empty,
                      STACK_OF(X509) * *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    int rc = read_file(state, folder, name, &pem, err);
    if (rc)
        return rc;
    if (pem.len == 0 && may_be_empty) {
        *out = sk_X509_new_null();
        return *out ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
    }
    rc = estc_certs_from_pem(pem.data, pem.len, out, err);
    return rc ? estc_error_prefix(err, "%s", name) : 0;
}

static int read_all(const struct state *state, int folder, struct credential *out,
                    struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf pem = {0};
    _cleanup(sk_x509_freep) STACK_OF(X509) *leaf = NULL;
    int rc = read_file(state, folder, "key.pem", &pem, err);
    if (!rc)
        rc = estc_key_from_pem(pem.data, pem.len, &out->key, err);
    if (!rc)
        rc = read_certs(state, folder, "cert.pem", false, &leaf, err);
    if (!rc)
        rc = read_certs(state, folder, "chain.pem", true, &out->chain, err);
    if (!rc)
        rc = read_certs(state, folder, "cacerts.pem", false, &out->cacerts, err);
    if (!rc)
        out->cert = sk_X509_shift(leaf);
    return rc;
}

/* A clock that lags behind the certificate's beginning is wrong, not the certificate: estcd checked
 * it when it came. */
static int judge(const struct credential *c, int64_t now, struct estc_error *err) {
    _cleanup(trust_freep) struct estc_trust *trust = NULL;
    if (!estc_cert_has_key(c->cert, c->key))
        return estc_error_set(err, ESTC_E_CREDENTIAL,
                              "key.pem and cert.pem do not belong together");
    int rc = estc_trust_new(&trust, err);
    for (int i = 0; !rc && i < sk_X509_num(c->cacerts); i++)
        rc = estc_trust_add(trust, sk_X509_value(c->cacerts, i), err);
    if (!rc)
        rc = estc_trust_verify(trust, c->cert, c->chain, ESTC_PURPOSE_ANY, estc_at_least(now), NULL,
                               err);
    return rc;
}

int state_read(const struct state *state, const char *id, int64_t now, struct credential *out,
               int64_t *generation, struct estc_error *err) {
    _cleanup(credential_clear) struct credential credential = {0};
    _cleanup(freep) char *home = text_format("identities/%s", id);
    int64_t number = 0;
    _cleanup(fs_closep) int dirfd =
        home ? fs_open_beneath(state->fd, home, O_RDONLY | O_DIRECTORY, err)
             : estc_error_set(err, -ENOMEM, "out of memory");
    int rc = dirfd < 0 ? dirfd : read_current(dirfd, &number, err);
    if (rc)
        return rc;
    _cleanup(freep) char *path = text_format(LAYOUT_GENERATIONS "/%lld", (long long)number);
    _cleanup(fs_closep) int folder = path
                                         ? fs_open_beneath(dirfd, path, O_RDONLY | O_DIRECTORY, err)
                                         : estc_error_set(err, -ENOMEM, "out of memory");
    rc = folder < 0 ? folder : read_all(state, folder, &credential, err);
    if (!rc)
        rc = judge(&credential, now, err);
    if (rc)
        return rc;
    *out = credential;
    *generation = number;
    credential = (struct credential){0};
    return 0;
}
