/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads media types and splits multipart bodies, line by line, inside what it is given. */
#include "upstream_media.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

#define BOUNDARY_MAX 70 /* RFC 2046 section 5.1.1 */

static const char *skip_space(const char *p) {
    return p + strspn(p, " \t\r\n");
}

bool media_is(const char *type, const char *wanted) {
    size_t len = strlen(wanted);
    if (!type)
        return false;
    type = skip_space(type);
    if (strncasecmp(type, wanted, len) != 0)
        return false;
    type = skip_space(type + len);
    return *type == ';' || !*type;
}

/* The value behind "name=", quotes taken away: its beginning and length. False without one. */
static bool parameter(const char *type, const char *name, const char **value, size_t *len) {
    size_t name_len = strlen(name);
    const char *p = type ? strchr(type, ';') : NULL;
    while (p) {
        p = skip_space(p + 1);
        const char *equals = p + strcspn(p, "=;\"");
        bool found = *equals == '=' && (size_t)(equals - p) == name_len &&
                     strncasecmp(p, name, name_len) == 0;
        bool quoted = *equals == '=' && equals[1] == '"';
        const char *begin = *equals == '=' ? equals + (quoted ? 2 : 1) : equals;
        size_t n = strcspn(begin, quoted ? "\"" : "; \t\r\n");
        if (found) {
            *value = begin;
            *len = n;
            return n > 0;
        }
        p = strchr(begin + n, ';');
    }
    return false;
}

enum media_smime media_smime(const char *type, const char *wanted) {
    const char *value = NULL;
    size_t len = 0;
    if (!parameter(type, "smime-type", &value, &len))
        return MEDIA_UNSAID;
    return len == strlen(wanted) && strncasecmp(value, wanted, len) == 0 ? MEDIA_NAMED
                                                                         : MEDIA_OTHER;
}

/* --- multipart --- */

struct lines {
    const unsigned char *at, *end;
};

/* The next line without its end; false behind the last. */
static bool next_line(struct lines *l, const char **line, size_t *len) {
    if (l->at == l->end)
        return false;
    const unsigned char *nl = memchr(l->at, '\n', (size_t)(l->end - l->at));
    const unsigned char *stop = nl ? nl : l->end;
    *line = (const char *)l->at;
    *len = (size_t)(stop - l->at);
    l->at = nl ? nl + 1 : l->end;
    if (*len > 0 && (*line)[*len - 1] == '\r')
        (*len)--;
    return true;
}

enum kind { CONTENT, DELIMITER, LAST };

static enum kind kind_of(const char *line, size_t len, const char *boundary, size_t boundary_len) {
    while (len > 0 && (line[len - 1] == ' ' || line[len - 1] == '\t'))
        len--;
    if (len < boundary_len + 2 || memcmp(line, "--", 2) != 0 ||
        memcmp(line + 2, boundary, boundary_len) != 0)
        return CONTENT;
    len -= boundary_len + 2;
    line += boundary_len + 2;
    return len == 0 ? DELIMITER : len == 2 && memcmp(line, "--", 2) == 0 ? LAST : CONTENT;
}

/* The header fields of a part, up to the empty line; *type is its Content-Type, unfolded. */
static int read_headers(struct lines *l, char **type, struct estc_error *err) {
    static const char field[] = "Content-Type:";
    const size_t field_len = sizeof(field) - 1;
    const char *line;
    size_t len;
    _cleanup(estc_buf_clear) struct estc_buf value = {0};
    bool ours = false, ended = false;
    int rc = 0;
    while (!rc && !ended && next_line(l, &line, &len)) {
        ended = len == 0;
        bool folded = len > 0 && (*line == ' ' || *line == '\t');
        if (!folded)
            ours = len >= field_len && strncasecmp(line, field, field_len) == 0;
        size_t skip = folded ? 0 : field_len;
        if (ours && !ended)
            rc = estc_buf_append(&value, line + skip, len - skip);
    }
    if (!rc && !ended)
        return estc_error_set(err, ESTC_E_MALFORMED, "a part of it has no body");
    free(*type);
    *type = rc ? NULL : strdup(value.data ? (const char *)value.data : "");
    return *type ? 0 : estc_error_set(err, -ENOMEM, "out of memory");
}

int media_split(const struct translate_body *body, struct translate_body part[MEDIA_PARTS],
                char *types[MEDIA_PARTS], struct estc_error *err) {
    const char *boundary = NULL, *line;
    size_t boundary_len = 0, len;
    if (!parameter(body->type, "boundary", &boundary, &boundary_len) || boundary_len > BOUNDARY_MAX)
        return estc_error_set(err, ESTC_E_MALFORMED, "it has no boundary");
    struct lines l = {.at = body->data, .end = body->data + body->len};
    int n = 0;
    for (;;) {
        const unsigned char *begin = l.at;
        if (!next_line(&l, &line, &len))
            return estc_error_set(err, ESTC_E_MALFORMED, "its last boundary is missing");
        enum kind kind = kind_of(line, len, boundary, boundary_len);
        if (kind == CONTENT)
            continue;
        if (n > 0)
            part[n - 1].len = (size_t)(begin - part[n - 1].data);
        if (kind == LAST)
            break;
        if (n == MEDIA_PARTS)
            return estc_error_set(err, ESTC_E_MALFORMED, "it has more than two parts");
        int rc = read_headers(&l, &types[n], err);
        if (rc)
            return rc;
        part[n] = (struct translate_body){.type = types[n], .data = l.at};
        n++;
    }
    return n == MEDIA_PARTS ? 0 : estc_error_set(err, ESTC_E_MALFORMED, "it has not two parts");
}
