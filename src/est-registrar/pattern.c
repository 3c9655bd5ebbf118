/* SPDX-License-Identifier: BSD-2-Clause */
/* Matching without regular expressions: what is granted has to be plain to whoever reads a rule. */
#include "pattern.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/objects.h>

#include "base/cleanup_ossl.h"

#define PATTERN_STAR '\1' /* inside an expanded pattern; a text never has control characters */

static void openssl_freep(unsigned char **p) {
    OPENSSL_free(*p);
}

/* The one attribute of that name in the holder's subject as UTF-8; NULL unless exactly one. */
static unsigned char *attribute(const X509 *holder, const char *name, size_t name_len, int *len) {
    char type[32];
    if (name_len >= sizeof(type))
        return NULL;
    memcpy(type, name, name_len);
    type[name_len] = '\0';
    int nid = OBJ_txt2nid(type);
    const X509_NAME *subject = X509_get_subject_name(holder);
    int at = nid == NID_undef ? -1 : X509_NAME_get_index_by_NID(subject, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, nid, at) >= 0)
        return NULL;
    unsigned char *text = NULL;
    *len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    return *len > 0 ? text : NULL;
}

/* The pattern with "*" as PATTERN_STAR and every "${...}" replaced; NULL when that cannot be. */
static char *expand(const char *pattern, const X509 *holder) {
    _cleanup(freep) char *out = NULL;
    size_t used = 0;
    for (const char *p = pattern; *p;) {
        _cleanup(openssl_freep) unsigned char *value = NULL;
        const char star = PATTERN_STAR;
        const char *piece = *p == '*' ? &star : p;
        int len = 1;
        const char *next = p + 1;
        if (p[0] == '$' && p[1] == '{') {
            const char *end = strchr(p, '}');
            value = end ? attribute(holder, p + 2, (size_t)(end - p - 2), &len) : NULL;
            if (!value || memchr(value, '\0', (size_t)len) ||
                memchr(value, PATTERN_STAR, (size_t)len))
                return NULL;
            piece = (const char *)value;
            next = end + 1;
        }
        char *grown = realloc(out, used + (size_t)len + 1);
        if (!grown)
            return NULL;
        out = grown;
        memcpy(out + used, piece, (size_t)len);
        used += (size_t)len;
        out[used] = '\0';
        p = next;
    }
    return TAKE(out);
}

static bool same_letter(char a, char b) {
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* One star at a time, shortest first, and back to the last star when what follows does not fit. */
static bool match(const char *pattern, const char *text, const char *end) {
    const char *star = NULL, *resume = NULL;
    while (text < end || *pattern) {
        if (*pattern == PATTERN_STAR && text < end && !strchr("./@:", *text)) {
            star = pattern++;
            resume = ++text;
        } else if (*pattern && *pattern != PATTERN_STAR && text < end &&
                   same_letter(*pattern, *text)) {
            pattern++;
            text++;
        } else if (star && resume < end && !strchr("./@:", *resume)) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    return true;
}

bool pattern_matches(const char *pattern, const char *text, size_t len, const X509 *holder) {
    if (len == 0 || memchr(text, '\0', len))
        return false;
    _cleanup(freep) char *expanded = expand(pattern, holder);
    return expanded && match(expanded, text, text + len);
}

bool pattern_matches_ip(const char *pattern, const unsigned char *address, size_t len) {
    char text[INET6_ADDRSTRLEN];
    const char *slash = strchr(pattern, '/');
    size_t n = slash ? (size_t)(slash - pattern) : strlen(pattern);
    if (n >= sizeof(text) || (len != 4 && len != 16))
        return false;
    memcpy(text, pattern, n);
    text[n] = '\0';
    unsigned char wanted[16];
    if (inet_pton(len == 4 ? AF_INET : AF_INET6, text, wanted) != 1)
        return false;
    char *end = NULL;
    unsigned long bits = slash ? strtoul(slash + 1, &end, 10) : len * 8;
    if (bits > len * 8 || (slash && (end == slash + 1 || *end)))
        return false;
    if (memcmp(wanted, address, bits / 8) != 0)
        return false;
    unsigned rest = (unsigned)(bits % 8);
    return rest == 0 || (wanted[bits / 8] ^ address[bits / 8]) >> (8 - rest) == 0;
}
