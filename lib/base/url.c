/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coaps URLs out of a configuration. Strict on purpose: what is refused here with a reason would
 * otherwise fail in a handshake, hours later, without one. Resolves nothing.
 */
#include <estc/url.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define URL_SCHEME "coaps://"
#define URL_NAME_MAX 253    /* RFC 1035 section 2.3.4 as text */
#define URL_LABEL_MAX 63    /* the same */
#define URL_ZONE_MAX 15     /* IFNAMSIZ less its NUL */
#define URL_SEGMENT_MAX 255 /* one Uri-Path option, RFC 7252 section 5.10 */

static int url_bad(const char *text, const char *why, struct estc_error *err) {
    return estc_error_set(err, ESTC_E_CONFIG,
                          "URL '%s': %s; write it as coaps://HOST[:PORT][/PATH]", text, why);
}

static bool is_digits(const char *text, size_t len) {
    for (size_t i = 0; i < len; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return len > 0;
}

/* NULL for a host name or IPv4 address that can be used, else the reason why not. */
static const char *name_fault(const char *host) {
    size_t len = strlen(host);
    if (len == 0)
        return "the host is empty";
    if (len > URL_NAME_MAX)
        return "the host name is longer than 253 characters";
    const char *label = host;
    for (const char *p = host;; p++) {
        if (*p && *p != '.') {
            if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
                return "the host name has a character that no host name has";
            continue;
        }
        size_t n = (size_t)(p - label);
        if (n == 0 || n > URL_LABEL_MAX || label[0] == '-' || label[n - 1] == '-')
            return "the host name has an empty, too long or hyphen-ended part";
        if (!*p)
            break;
        label = p + 1;
    }
    /* A last part of digits can only be an address (RFC 1123 section 2.1). */
    struct in_addr v4;
    if (is_digits(label, strlen(label)) && inet_pton(AF_INET, host, &v4) != 1)
        return "the host looks like an IPv4 address but is none";
    return NULL;
}

/* The inside of brackets to a host: an IPv6 address, with a zone as "%eth0" or, as RFC 6874 wants
 * it in URLs, "%25eth0". */
static int url_literal(const char *in, size_t len, char **host) {
    _cleanup(freep) char *address = strndup(in, len);
    if (!address)
        return -ENOMEM;
    char *zone = strchr(address, '%');
    if (zone) {
        *zone++ = '\0';
        if (strncmp(zone, "25", 2) == 0 && zone[2])
            zone += 2;
        size_t n = strlen(zone);
        if (n == 0 || n > URL_ZONE_MAX)
            return -EINVAL;
        for (size_t i = 0; i < n; i++)
            if (!isalnum((unsigned char)zone[i]) && !strchr("-._~", zone[i]))
                return -EINVAL;
    }
    struct in6_addr v6;
    if (inet_pton(AF_INET6, address, &v6) != 1)
        return -EINVAL;
    char *out = malloc(len + 1);
    if (!out)
        return -ENOMEM;
    strcpy(out, address);
    if (zone) {
        strcat(out, "%");
        strcat(out, zone);
    }
    *host = out;
    return 0;
}

static int url_port(const char *text, const char *digits, size_t len, uint16_t *port,
                    struct estc_error *err) {
    long value = 0;
    if (is_digits(digits, len) && len <= 5)
        value = strtol(digits, NULL, 10);
    if (value < 1 || value > UINT16_MAX)
        return url_bad(text, "the port is not a number from 1 to 65535", err);
    *port = (uint16_t)value;
    return 0;
}

/* NULL for a path that can be sent as Uri-Path options as it stands, else the reason why not. */
static const char *path_fault(const char *path) {
    for (const char *segment = path; *segment == '/';) {
        const char *start = ++segment;
        for (; *segment && *segment != '/'; segment++) {
            if (*segment == '?' || *segment == '#')
                return "a query or fragment has no meaning here";
            if (!isalnum((unsigned char)*segment) && !strchr("-._~!$&'()*+,;=:@", *segment))
                return "the path has a character (or percent-encoding) that is not taken here";
        }
        size_t n = (size_t)(segment - start);
        if (n == 0)
            return "the path has an empty part";
        if (n > URL_SEGMENT_MAX)
            return "the path has a part longer than 255 characters";
        if ((n == 1 && start[0] == '.') || (n == 2 && start[0] == '.' && start[1] == '.'))
            return "the path has '.' or '..' in it";
    }
    return NULL;
}

static int url_root(const char *text, const char *path, char **root, struct estc_error *err) {
    _cleanup(freep) char *copy = strdup(path);
    if (!copy)
        return estc_error_set(err, -ENOMEM, "out of memory");
    size_t len = strlen(copy);
    if (len > 0 && copy[len - 1] == '/')
        copy[--len] = '\0';
    const char *fault = path_fault(copy);
    if (fault)
        return url_bad(text, fault, err);
    if (len == 0) {
        free(copy);
        copy = strdup(ESTC_DEFAULT_ROOT);
        if (!copy)
            return estc_error_set(err, -ENOMEM, "out of memory");
    }
    *root = TAKE(copy);
    return 0;
}

/* HOST[:PORT] in text[0..len). */
static int url_authority(const char *text, const char *at, size_t len, struct estc_url *out,
                         struct estc_error *err) {
    const char *end = at + len;
    const char *colon;
    if (memchr(at, '@', len))
        return url_bad(text, "a user name has no meaning here", err);
    if (len > 0 && *at == '[') {
        const char *close = memchr(at, ']', len);
        if (!close)
            return url_bad(text, "the bracket of the address is not closed", err);
        int rc = url_literal(at + 1, (size_t)(close - at - 1), &out->host);
        if (rc == -ENOMEM)
            return estc_error_set(err, rc, "out of memory");
        if (rc)
            return url_bad(text, "what stands in brackets is no IPv6 address", err);
        colon = close + 1;
        if (colon < end && *colon != ':')
            return url_bad(text, "there is something between the address and the port", err);
    } else {
        colon = memchr(at, ':', len);
        if (!colon)
            colon = end;
        out->host = strndup(at, (size_t)(colon - at));
        if (!out->host)
            return estc_error_set(err, -ENOMEM, "out of memory");
        const char *fault = name_fault(out->host);
        if (fault)
            return url_bad(text, fault, err);
    }
    if (colon == end)
        return 0;
    return url_port(text, colon + 1, (size_t)(end - colon - 1), &out->port, err);
}

int estc_url_parse(const char *text, struct estc_url *out, struct estc_error *err) {
    if (!text_same(text, URL_SCHEME, strlen(URL_SCHEME)))
        return url_bad(text, "it does not begin with coaps://", err);
    const char *authority = text + strlen(URL_SCHEME);
    const char *path = authority + strcspn(authority, "/?#");
    if (*path == '?' || *path == '#')
        return url_bad(text, "a query or fragment has no meaning here", err);
    _cleanup(estc_url_clear) struct estc_url url = {.port = ESTC_DEFAULT_PORT};
    int rc = url_authority(text, authority, (size_t)(path - authority), &url, err);
    url.has_root = path[0] && path[1];
    if (!rc)
        rc = url_root(text, path, &url.root, err);
    if (rc)
        return rc;
    *out = url;
    url = (struct estc_url){0};
    return 0;
}

void estc_url_clear(struct estc_url *url) {
    if (!url)
        return;
    free(url->host);
    free(url->root);
    *url = (struct estc_url){0};
}
