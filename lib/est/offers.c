/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From links to places where EST is offered. The text comes from anybody: what has no use is
 * counted and left out, what is kept is bounded, and every path and host that comes out of here has
 * passed the same checks as one of our own configuration.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <estc/discovery.h>
#include <estc/url.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "est/linkformat.h"

#define OFFERS_MAX 64
#define TARGET_MAX 1024
#define TYPE_PREFIX "ace.est."
#define SCHEME "coaps://"

void estc_offers_clear(struct estc_offers *offers) {
    if (!offers)
        return;
    for (size_t i = 0; i < offers->n; i++) {
        free(offers->items[i].host);
        free(offers->items[i].root);
        free(offers->items[i].label);
    }
    free(offers->items);
    *offers = (struct estc_offers){0};
}

/* --- targets --- */

static bool has_scheme(struct span target) {
    for (size_t i = 0; i < target.len && !strchr("/?#", target.at[i]); i++)
        if (target.at[i] == ':')
            return true;
    return false;
}

/* Where a target is; out->host is NULL for a relative one. ESTC_E_CONFIG for one without a use. */
static int resolve(struct span target, struct estc_url *out) {
    bool absolute = has_scheme(target);
    bool elsewhere = target.len >= 2 && target.at[0] == '/' && target.at[1] == '/';
    if (target.len == 0 || target.len > TARGET_MAX || elsewhere)
        return ESTC_E_CONFIG;
    /* A relative one begins at the root, whatever document it stands in (RFC 6690 section 2.1);
     * "h" stands for whoever answered. */
    _cleanup(freep) char *text =
        text_format("%s%s%.*s", absolute ? "" : SCHEME "h",
                    absolute || target.at[0] == '/' ? "" : "/", (int)target.len, target.at);
    if (!text)
        return -ENOMEM;
    int rc = estc_url_parse(text, out, NULL);
    if (!rc && !absolute) {
        free(out->host);
        out->host = NULL;
        out->port = 0;
    }
    return rc;
}

/* Cuts "/ROOT/op" into root and operation. */
static bool split_path(char *path, enum estc_op *op) {
    char *slash = strrchr(path, '/');
    if (!slash || slash == path || estc_op_parse(slash + 1, op))
        return false;
    *slash = '\0';
    return true;
}

/* --- offers --- */

static bool same_host(const char *a, const char *b) {
    return a && b ? text_same(a, b, strlen(a) + 1) : a == b;
}

/* The offer at this place, made if need be; url's texts go over to a new one. */
static int offer_at(struct estc_offers *offers, struct estc_url *url, struct estc_offer **out) {
    for (size_t i = 0; i < offers->n; i++) {
        struct estc_offer *offer = &offers->items[i];
        if (strcmp(offer->root, url->root) == 0 && offer->port == url->port &&
            same_host(offer->host, url->host)) {
            *out = offer;
            return 0;
        }
    }
    if (offers->n == OFFERS_MAX)
        return ESTC_E_TOO_LARGE;
    struct estc_offer *grown = realloc(offers->items, (offers->n + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    offers->items = grown;
    *out = &grown[offers->n++];
    **out = (struct estc_offer){.host = url->host, .port = url->port, .root = url->root};
    *url = (struct estc_url){0};
    return 0;
}

/* One of the numbers of a ct; -1 for what is none. */
static int format_of(struct span word) {
    int format = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (word.at[i] < '0' || word.at[i] > '9' || format > UINT16_MAX)
            return -1;
        format = format * 10 + (word.at[i] - '0');
    }
    return word.len > 0 && format <= UINT16_MAX ? format : -1;
}

static void add_operation(struct estc_offer *offer, enum estc_op op, struct span ct) {
    struct estc_offer_op *to = &offer->ops[op];
    const size_t max = sizeof(to->formats) / sizeof(to->formats[0]) - 1;
    size_t n = 0;
    if (to->offered)
        return;
    to->offered = true;
    for (struct span word = linkformat_word(&ct); word.at && n < max; word = linkformat_word(&ct)) {
        int format = format_of(word);
        if (format >= 0)
            to->formats[n++] = format;
    }
    to->formats[n] = ESTC_FORMAT_NONE;
}

static bool has_type(const struct linkformat_link *link, const char *type) {
    struct span rt = linkformat_param(link, "rt");
    for (struct span word = linkformat_word(&rt); word.at; word = linkformat_word(&rt))
        if (span_is(word, type))
            return true;
    return false;
}

/* One link that has a resource type of EST. */
static int add_link(struct estc_offers *offers, const struct linkformat_link *link) {
    _cleanup(estc_url_clear) struct estc_url url = {0};
    enum estc_op op = ESTC_OP_MAX_;
    int rc = resolve(link->target, &url);
    if (rc == -ENOMEM)
        return rc;
    bool good = !rc && split_path(url.root, &op);
    char type[32] = TYPE_PREFIX;
    if (good)
        strncat(type, estc_op_info(op)->name, sizeof(type) - sizeof(TYPE_PREFIX));
    /* An anchor would say that the link is about something else than the server. */
    if (!good || !has_type(link, type) || linkformat_param(link, "anchor").at) {
        offers->ignored++;
        return 0;
    }
    struct estc_offer *offer = NULL;
    rc = offer_at(offers, &url, &offer);
    if (!rc)
        add_operation(offer, op, linkformat_param(link, "ct"));
    return rc;
}

/* --- labels --- */

static bool is_root(const struct estc_offers *offers, const struct estc_offer *of, const char *root,
                    size_t len) {
    if (strlen(ESTC_DEFAULT_ROOT) == len && memcmp(root, ESTC_DEFAULT_ROOT, len) == 0)
        return true;
    for (size_t i = 0; i < offers->n; i++) {
        const struct estc_offer *other = &offers->items[i];
        if (other != of && strlen(other->root) == len && memcmp(other->root, root, len) == 0 &&
            other->port == of->port && same_host(other->host, of->host))
            return true;
    }
    return false;
}

/* "/est/label" is a label below "/est" if that is offered, too; alone it is a root. The label
 * stays behind the root's end until all are found, since each root is looked up by the others. */
static int split_labels(struct estc_offers *offers) {
    bool labelled[OFFERS_MAX] = {false};
    for (size_t i = 0; i < offers->n; i++) {
        const struct estc_offer *offer = &offers->items[i];
        const char *slash = strrchr(offer->root, '/');
        labelled[i] = slash && is_root(offers, offer, offer->root, (size_t)(slash - offer->root)) &&
                      estc_label_check(slash + 1, NULL) == 0;
    }
    for (size_t i = 0; i < offers->n; i++) {
        struct estc_offer *offer = &offers->items[i];
        char *slash = labelled[i] ? strrchr(offer->root, '/') : NULL;
        offer->label = text_format("%s", slash ? slash + 1 : "");
        if (!offer->label)
            return -ENOMEM;
        if (slash)
            *slash = '\0';
    }
    return 0;
}

static int offers_error(int rc, struct estc_error *err) {
    if (rc == ESTC_E_MALFORMED)
        return estc_error_set(err, rc, "it is no CoRE link format (RFC 6690)");
    if (rc == ESTC_E_TOO_LARGE)
        return estc_error_set(err, rc, "it offers EST in more than %d places", OFFERS_MAX);
    return estc_error_set(err, rc, "out of memory");
}

int estc_offers_read(const void *text, size_t len, struct estc_offers *out,
                     struct estc_error *err) {
    _cleanup(estc_offers_clear) struct estc_offers offers = {0};
    struct linkformat_reader reader = linkformat_read(text, len);
    struct linkformat_link link;
    int rc;
    while ((rc = linkformat_next(&reader, &link)) == 1) {
        if (!linkformat_matches(&link, ESTC_CORE_QUERY)) /* again: it may not have been asked */
            continue;
        rc = add_link(&offers, &link);
        if (rc)
            break;
    }
    if (!rc)
        rc = split_labels(&offers);
    if (rc)
        return offers_error(rc, err);
    *out = offers;
    offers = (struct estc_offers){0};
    return 0;
}
