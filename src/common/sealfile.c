/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Secrets and certificates that seal private keys, read from files that only their owner can read.
 * Whatever is wrong is ESTC_E_CREDENTIAL, since all of it is for the operator to mend. Never shows
 * what it has read; wipes it.
 */
#include "common/sealfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "common/pem.h"

void sealfile_clear(struct sealfile *file) {
    if (file->secrets)
        explicit_bzero(file->secrets, file->n_secrets * sizeof(*file->secrets));
    free(file->secrets);
    X509_free(file->cert);
    EVP_PKEY_free(file->key);
    *file = (struct sealfile){0};
}

struct estc_seal sealfile_secret_seal(const struct sealfile_secret *secret) {
    return (struct estc_seal){.secret = secret->key,
                              .secret_len = secret->key_len,
                              .id = secret->id,
                              .id_len = secret->id_len};
}

struct estc_seal sealfile_seal(const struct sealfile *file) {
    return file->cert ? (struct estc_seal){.cert = file->cert, .key = file->key}
                      : sealfile_secret_seal(&file->secrets[0]);
}

/* --- one line --- */

/* The bytes of one word; 0 when it is no hexadecimal or does not fit. */
static size_t read_hex(const char *word, size_t len, unsigned char *out, size_t max) {
    if (len % 2 != 0 || len / 2 > max)
        return 0;
    for (size_t i = 0; i < len; i += 2) {
        int high = OPENSSL_hexchar2int((unsigned char)word[i]);
        int low = OPENSSL_hexchar2int((unsigned char)word[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        out[i / 2] = (unsigned char)(high << 4 | low);
    }
    return len / 2;
}

/* NULL, or what is wrong with the line. */
static const char *read_line(const char *line, struct sealfile_secret *out) {
    static const char blank[] = " \t\r";
    size_t id = strcspn(line, blank);
    const char *rest = line + id + strspn(line + id, blank);
    size_t key = strcspn(rest, blank);
    out->id_len = read_hex(line, id, out->id, sizeof(out->id));
    out->key_len = read_hex(rest, key, out->key, sizeof(out->key));
    if (rest[key + strspn(rest + key, blank)])
        return "more than a name and a secret";
    if (out->id_len == 0)
        return "the name is no hexadecimal of 1 to 64 bytes";
    return out->key_len == 16 || out->key_len == 32
               ? NULL
               : "the secret is no hexadecimal of 16 or 32 bytes";
}

/* --- all of them --- */

static bool has_name(const struct sealfile *file, const struct sealfile_secret *of) {
    for (size_t i = 0; i < file->n_secrets; i++)
        if (file->secrets[i].id_len == of->id_len &&
            memcmp(file->secrets[i].id, of->id, of->id_len) == 0)
            return true;
    return false;
}

/* Grows one by one and leaves no copy behind. */
static int add(struct sealfile *file, const struct sealfile_secret *secret) {
    size_t n = file->n_secrets;
    struct sealfile_secret *list = calloc(n + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    if (n > 0) {
        memcpy(list, file->secrets, n * sizeof(*list));
        explicit_bzero(file->secrets, n * sizeof(*list));
    }
    free(file->secrets);
    list[n] = *secret;
    file->secrets = list;
    file->n_secrets = n + 1;
    return 0;
}

static int read_text(const char *path, char *text, struct sealfile *out, struct estc_error *err) {
    unsigned number = 0;
    for (char *next = text; next;) {
        char *line = next, *end = strchr(line, '\n');
        next = end ? end + 1 : NULL;
        if (end)
            *end = '\0';
        number++;
        line += strspn(line, " \t\r");
        if (!*line || *line == '#')
            continue;
        struct sealfile_secret secret = {0};
        const char *fault = read_line(line, &secret);
        if (!fault && has_name(out, &secret))
            fault = "the name stands twice";
        int rc = fault ? 0 : add(out, &secret);
        explicit_bzero(&secret, sizeof(secret));
        if (fault)
            return estc_error_set(err, ESTC_E_CREDENTIAL, "secrets %s: line %u: %s", path, number,
                                  fault);
        if (rc)
            return estc_error_set(err, rc, "out of memory");
    }
    return out->n_secrets ? 0
                          : estc_error_set(err, ESTC_E_CREDENTIAL,
                                           "secrets %s: there is none: write NAME SECRET in "
                                           "hexadecimal",
                                           path);
}

static int hand_out(struct sealfile *made, struct sealfile *out) {
    *out = *made;
    *made = (struct sealfile){0};
    return 0;
}

int sealfile_read_secrets(const char *path, struct sealfile *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    _cleanup(sealfile_clear) struct sealfile file = {0};
    int rc = pem_read_private(path, &content, err);
    if (!rc && content.len == 0)
        rc = estc_error_set(err, ESTC_E_CREDENTIAL, "secrets %s: the file is empty", path);
    if (!rc)
        rc = read_text(path, (char *)content.data, &file, err);
    return rc ? rc : hand_out(&file, out);
}

/* --- a device's own --- */

static int read_pair(const char *path, const struct estc_buf *pem, struct sealfile *out,
                     struct estc_error *err) {
    _cleanup(sk_x509_freep) STACK_OF(X509) *certs = NULL;
    int rc = estc_certs_from_pem(pem->data, pem->len, &certs, err);
    if (!rc)
        rc = estc_key_from_pem(pem->data, pem->len, &out->key, err);
    if (rc)
        return estc_error_prefix(err, "%s", path);
    out->cert = sk_X509_shift(certs);
    return 0;
}

int sealfile_read_own(const char *path, struct sealfile *out, struct estc_error *err) {
    _cleanup(estc_buf_clear) struct estc_buf content = {0};
    _cleanup(sealfile_clear) struct sealfile file = {0};
    int rc = pem_read_private(path, &content, err);
    if (rc)
        return rc;
    bool pem = content.len > 0 && strstr((char *)content.data, "-----BEGIN ");
    rc = pem ? read_pair(path, &content, &file, err) : sealfile_read_secrets(path, &file, err);
    if (!rc && !pem && file.n_secrets != 1)
        rc =
            estc_error_set(err, ESTC_E_CREDENTIAL, "secrets %s: a device has one of its own", path);
    if (rc)
        return rc;
    const struct estc_seal seal = sealfile_seal(&file);
    rc = estc_seal_check(&seal, err);
    return rc ? estc_error_prefix(err, "%s", path) : hand_out(&file, out);
}
