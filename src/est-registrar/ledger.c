/* SPDX-License-Identifier: BSD-2-Clause */
/* What every ledger needs, whatever it is kept in. */
#include "ledger.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"
#include "pkix/ossl.h"

void ledger_entry_clear(struct ledger_entry *entry) {
    char *const texts[] = {entry->serial,  entry->sha256,        entry->subject_id, entry->names_id,
                           entry->subject, entry->key_sha256,    entry->holder,     entry->op,
                           entry->label,   entry->authenticator, entry->rule};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    estc_buf_clear(&entry->der);
    *entry = (struct ledger_entry){0};
}

int ledger_entry_decode(const struct ledger_entry *entry, X509 **out, struct estc_error *err) {
    const unsigned char *p = entry->der.data;
    X509 *cert = d2i_X509(NULL, &p, (long)entry->der.len);
    ossl_forget();
    if (!cert)
        return estc_error_set(err, -EUCLEAN,
                              "ledger: certificate %s cannot be decoded: restore the ledger from a "
                              "backup",
                              entry->serial);
    *out = cert;
    return 0;
}

const char *const ledger_state_names[] = {
    [LEDGER_PENDING] = "pending",   [LEDGER_APPROVED] = "approved",
    [LEDGER_REJECTED] = "rejected", [LEDGER_FORWARDED] = "forwarded",
    [LEDGER_REPEATED] = "repeated", [LEDGER_STATE_MAX_] = NULL,
};

void ledger_pending_clear(struct ledger_pending *p) {
    char *const texts[] = {p->authenticator, p->op,      p->label,  p->names_id,
                           p->key_sha256,    p->subject, p->names,  p->device,
                           p->address,       p->rule,    p->reason, p->certificate};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    estc_buf_clear(&p->csr);
    *p = (struct ledger_pending){0};
}

/* With its length in front, which keeps "a" "bc" from looking like "ab" "c". */
static bool add(EVP_MD_CTX *md, const void *data, size_t len) {
    unsigned char size[8];
    for (size_t i = 0; i < sizeof(size); i++)
        size[i] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
    return EVP_DigestUpdate(md, size, sizeof(size)) && EVP_DigestUpdate(md, data, len);
}

static char *finish(EVP_MD_CTX *md, bool ok) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return ok && EVP_DigestFinal_ex(md, digest, &len) ? text_hex(digest, len) : NULL;
}

/* --- the subject --- */

/* Lower case, inner runs of spaces as one, none at the ends; in place. */
static size_t fold(unsigned char *text, size_t len) {
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        bool space = isspace(text[i]) != 0;
        if (space && (used == 0 || text[used - 1] == ' '))
            continue;
        text[used++] = space ? ' ' : (unsigned char)tolower(text[i]);
    }
    return used > 0 && text[used - 1] == ' ' ? used - 1 : used;
}

static bool add_entry(EVP_MD_CTX *md, const X509_NAME_ENTRY *entry) {
    const ASN1_STRING *value = X509_NAME_ENTRY_get_data(entry);
    char type[80];
    int type_len = OBJ_obj2txt(type, sizeof(type), X509_NAME_ENTRY_get_object(entry), 1);
    const unsigned char set = (unsigned char)X509_NAME_ENTRY_set(entry);
    if (type_len <= 0 || !add(md, &set, 1) || !add(md, type, strlen(type)))
        return false;
    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, value);
    bool ok = len >= 0 ? add(md, text, fold(text, (size_t)len))
                       : add(md, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    OPENSSL_free(text);
    return ok;
}

/* --- the subjectAltName --- */

#define NAME_DIGEST 32
typedef unsigned char name_digest[NAME_DIGEST];

static int by_bytes(const void *a, const void *b) {
    return memcmp(a, b, NAME_DIGEST);
}

/* Of one name. Letters of text count as lower case; those of tag and length are folded along with
 * them, which at worst makes two names one. An address is taken as it is. */
static bool digest_name(const GENERAL_NAME *name, name_digest out) {
    unsigned char *der = NULL;
    int len = i2d_GENERAL_NAME(name, &der);
    if (len <= 0)
        return false;
    for (int i = 0; name->type != GEN_IPADD && i < len; i++)
        der[i] = (unsigned char)tolower(der[i]);
    bool ok = EVP_Digest(der, (size_t)len, out, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

static bool add_names(EVP_MD_CTX *md, const GENERAL_NAMES *names) {
    size_t n = names ? (size_t)sk_GENERAL_NAME_num(names) : 0;
    _cleanup(freep) name_digest *digests = calloc(n + 1, sizeof(*digests));
    bool ok = digests != NULL;
    for (size_t i = 0; ok && i < n; i++)
        ok = digest_name(sk_GENERAL_NAME_value(names, (int)i), digests[i]);
    if (ok)
        qsort(digests, n, sizeof(*digests), by_bytes);
    return ok && add(md, digests, n * sizeof(*digests));
}

char *ledger_subject_id(const X509_NAME *subject, const GENERAL_NAMES *names) {
    _cleanup(md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
    int n = X509_NAME_entry_count(subject);
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    for (int i = 0; ok && i < n; i++)
        ok = add_entry(md, X509_NAME_get_entry(subject, i));
    if (ok && n == 0)
        ok = add_names(md, names);
    ossl_forget();
    return finish(md, ok);
}

/* --- all of it --- */

char *ledger_names_id(const X509_NAME *subject, const GENERAL_NAMES *names) {
    _cleanup(md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
    const unsigned char *subject_der = NULL;
    unsigned char *names_der = NULL;
    size_t subject_len = 0;
    int names_len = names ? i2d_GENERAL_NAMES(names, &names_der) : 0;
    bool ok = names_len >= 0 && md && EVP_DigestInit_ex(md, EVP_sha256(), NULL) &&
              X509_NAME_get0_der(subject, &subject_der, &subject_len) &&
              add(md, subject_der, subject_len) &&
              add(md, names_der ? (const void *)names_der : "", (size_t)names_len);
    OPENSSL_free(names_der);
    return finish(md, ok);
}
