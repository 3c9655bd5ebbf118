/* SPDX-License-Identifier: BSD-2-Clause */
/* Length and text, one after the other, and a hash over them. Knows no key. */
#include "agent/digest.h"

#include <stdint.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/text.h"

int digest_add(struct estc_buf *all, const char *text) {
    uint64_t len = text ? strlen(text) : 0;
    int rc = estc_buf_append(all, &len, sizeof(len));
    return rc || len == 0 ? rc : estc_buf_append(all, text, len);
}

char *digest_text(const struct estc_buf *all) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    return EVP_Digest(all->data, all->len, digest, &len, EVP_sha256(), NULL) ? text_hex(digest, len)
                                                                             : NULL;
}
