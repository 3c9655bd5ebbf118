/* SPDX-License-Identifier: BSD-2-Clause */
/* Matching without regular expressions: what is granted has to be plain to whoever reads a rule. */
#include "pattern.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/objects.h>

#include "base/cleanup_ossl.h"
#include "config.h"

#define PATTERN_STAR '\1' /* inside an expanded pattern; a text never has control characters */
/* What a star never stands for. With the star itself among them, nobody who may have any one name
 * "*.example" gets the certificate for all of them. */
#define PATTERN_BORDERS "./@:*"
#define PREFIX_DIGITS 3

static void openssl_freep(unsigned char **p) {
    OPENSSL_free(*p);
}

/* --- variables --- */

#define VARIABLE(key, member, object, what) {key, NID_##object},
#define VARIABLE_NAME(key, member, object, what) ", " key
/* For messages; it begins with a comma. */
static const char variable_names[] = CONFIG_SUBJECT_TABLE(VARIABLE_NAME);
static const struct {
    const char *name;
    int nid;
} variables[] = {CONFIG_SUBJECT_TABLE(VARIABLE)};
#undef VARIABLE
#undef VARIABLE_NAME

static int variable_nid(const char *name, size_t len) {
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        if (strlen(variables[i].name) == len && memcmp(variables[i].name, name, len) == 0)
            return variables[i].nid;
    return NID_undef;
}

static bool has_control(const void *text, size_t len) {
    const unsigned char *p = text;
    for (size_t i = 0; i < len; i++)
        if (iscntrl(p[i]))
            return true;
    return false;
}

/* The one attribute of that kind in the holder's subject as UTF-8; NULL unless there is exactly
 * one, with something in it. */
static unsigned char *attribute(const X509 *holder, int nid, int *len) {
    const X509_NAME *subject = X509_get_subject_name(holder);
    int at = nid == NID_undef ? -1 : X509_NAME_get_index_by_NID(subject, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, nid, at) >= 0)
        return NULL;
    _cleanup(openssl_freep) unsigned char *text = NULL;
    *len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    return *len > 0 && !has_control(text, (size_t)*len) ? TAKE(text) : NULL;
}

/* --- names --- */

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
            int nid = end ? variable_nid(p + 2, (size_t)(end - p - 2)) : NID_undef;
            value = holder ? attribute(holder, nid, &len) : NULL;
            if (!value)
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
        if (*pattern == PATTERN_STAR && text < end && !strchr(PATTERN_BORDERS, *text)) {
            star = pattern++;
            resume = ++text;
        } else if (*pattern && *pattern != PATTERN_STAR && text < end &&
                   same_letter(*pattern, *text)) {
            pattern++;
            text++;
        } else if (star && resume < end && !strchr(PATTERN_BORDERS, *resume)) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    return true;
}

bool pattern_matches(const char *pattern, const char *text, size_t len, const X509 *holder) {
    if (len == 0 || has_control(text, len))
        return false;
    _cleanup(freep) char *expanded = expand(pattern, holder);
    return expanded && match(expanded, text, text + len);
}

int pattern_check(const char *pattern, struct estc_error *err) {
    if (has_control(pattern, strlen(pattern)))
        return estc_error_set(err, ESTC_E_CONFIG, "pattern '%s' has a control character", pattern);
    for (const char *p = strstr(pattern, "${"); p; p = strstr(p + 2, "${")) {
        const char *end = strchr(p, '}');
        if (!end)
            return estc_error_set(err, ESTC_E_CONFIG, "pattern '%s': '${' without '}'", pattern);
        if (variable_nid(p + 2, (size_t)(end - p - 2)) == NID_undef)
            return estc_error_set(err, ESTC_E_CONFIG,
                                  "pattern '%s': there is no '%.*s': use one of %s", pattern,
                                  (int)(end + 1 - p), p, variable_names + 2);
    }
    return 0;
}

/* --- addresses --- */

struct prefix {
    unsigned char address[16];
    size_t len; /* 4 or 16 */
    unsigned bits;
};

static bool parse_bits(const char *text, unsigned max, unsigned *out) {
    size_t n = strspn(text, "0123456789");
    if (n == 0 || n > PREFIX_DIGITS || text[n])
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= max;
}

static bool parse_prefix(const char *pattern, struct prefix *out) {
    char text[INET6_ADDRSTRLEN];
    size_t n = strcspn(pattern, "/");
    if (n >= sizeof(text))
        return false;
    memcpy(text, pattern, n);
    text[n] = '\0';
    bool v6 = strchr(text, ':') != NULL;
    out->len = v6 ? 16 : 4;
    out->bits = (unsigned)out->len * 8;
    return inet_pton(v6 ? AF_INET6 : AF_INET, text, out->address) == 1 &&
           (!pattern[n] || parse_bits(pattern + n + 1, out->bits, &out->bits));
}

bool pattern_matches_ip(const char *pattern, const unsigned char *address, size_t len) {
    struct prefix prefix;
    if (!parse_prefix(pattern, &prefix) || prefix.len != len)
        return false;
    size_t whole = prefix.bits / 8;
    unsigned rest = prefix.bits % 8;
    if (memcmp(prefix.address, address, whole) != 0)
        return false;
    return rest == 0 || (prefix.address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

int pattern_check_ip(const char *pattern, struct estc_error *err) {
    struct prefix prefix;
    if (parse_prefix(pattern, &prefix))
        return 0;
    return estc_error_set(err, ESTC_E_CONFIG,
                          "'%s' is no address or prefix, like \"192.0.2.1\" or \"2001:db8::/32\"",
                          pattern);
}
