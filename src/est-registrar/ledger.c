/* SPDX-License-Identifier: BSD-2-Clause */
/* What every ledger needs, whatever it is kept in. */
#include "ledger.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/cleanup_ossl.h"
#include "base/text.h"

void ledger_entry_clear(struct ledger_entry *entry) {
    char *const texts[] = {entry->serial,     entry->sha256, entry->subject_id,    entry->subject,
                           entry->key_sha256, entry->holder, entry->authenticator, entry->op,
                           entry->label,      entry->rule};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    estc_buf_clear(&entry->der);
    *entry = (struct ledger_entry){0};
}

static bool add(EVP_MD_CTX *md, const void *data, size_t len) {
    uint64_t n = len; /* lengths keep "a" "bc" from looking like "ab" "c" */
    return EVP_DigestUpdate(md, &n, sizeof(n)) && EVP_DigestUpdate(md, data, len);
}

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
    char type[80];
    int type_len = OBJ_obj2txt(type, sizeof(type), X509_NAME_ENTRY_get_object(entry), 1);
    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry));
    if (type_len <= 0 || len < 0) /* no character string: as it is */
        return add(md, ASN1_STRING_get0_data(X509_NAME_ENTRY_get_data(entry)),
                   (size_t)ASN1_STRING_length(X509_NAME_ENTRY_get_data(entry)));
    int set = X509_NAME_ENTRY_set(entry);
    bool ok = add(md, &set, sizeof(set)) && add(md, type, strlen(type)) &&
              add(md, text, fold(text, (size_t)len));
    OPENSSL_free(text);
    return ok;
}

char *ledger_subject_id(const X509_NAME *subject, const ASN1_OCTET_STRING *san) {
    _cleanup(md_ctx_freep) EVP_MD_CTX *md = EVP_MD_CTX_new();
    int n = X509_NAME_entry_count(subject);
    bool ok = md && EVP_DigestInit_ex(md, EVP_sha256(), NULL);
    for (int i = 0; ok && i < n; i++)
        ok = add_entry(md, X509_NAME_get_entry(subject, i));
    if (ok && n == 0 && san)
        ok = add(md, ASN1_STRING_get0_data(san), (size_t)ASN1_STRING_length(san));
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return ok && EVP_DigestFinal_ex(md, digest, &len) ? text_hex(digest, len) : NULL;
}
