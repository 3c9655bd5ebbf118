/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /.well-known/core: the links of what this server offers (RFC 9148 section 4.1). They follow from
 * the table of operations, the program's functions, the roots and the labels, so nothing is listed
 * that is not served. Owns nothing.
 */
#include <errno.h>
#include <string.h>

#include <estc/discovery.h>
#include <estc/url.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "est/answer.h"
#include "est/linkformat.h"

/* What an Accept may ask for (RFC 9148 section 4.1: ct is of the response). */
static const char *link_formats(const struct estc_op_info *op) {
    switch ((enum estc_format)op->response_format) {
    case ESTC_FORMAT_CERTS_ONLY:
        return "\"281 287\"";
    case ESTC_FORMAT_CSRATTRS:
        return "285";
    case ESTC_FORMAT_MULTIPART:
        return "62";
    case ESTC_FORMAT_NONE:
    case ESTC_FORMAT_LINK:
    case ESTC_FORMAT_SERVER_KEY:
    case ESTC_FORMAT_PKCS8:
    case ESTC_FORMAT_PKCS10:
    case ESTC_FORMAT_CERT:
        break; /* no operation answers with these */
    }
    return "\"\"";
}

/* The links below one root and label. */
static int links_below(const struct estc_server *server, const char *authority, const char *root,
                       const char *label, struct estc_buf *out) {
    for (int i = 0; i < ESTC_OP_MAX_; i++) {
        const struct estc_op_info *op = estc_op_info((enum estc_op)i);
        if (!server_offers(server, (enum estc_op)i))
            continue;
        _cleanup(freep) char *link = text_format(
            "%s<%s%s%s%s/%s>;rt=\"ace.est.%s\";ct=%s", out->len > 0 ? "," : "", authority, root,
            *label ? "/" : "", label, op->name, op->name, link_formats(op));
        if (!link || estc_buf_append(out, link, strlen(link)))
            return -ENOMEM;
    }
    return 0;
}

static int links_all(const struct estc_server *server, const char *authority,
                     struct estc_buf *out) {
    const char *const roots[] = {server->root, ESTC_DEFAULT_ROOT};
    int rc = 0;
    for (size_t i = 0; i < 2 && !rc; i++) {
        if (!roots[i] || (i == 0 && strcmp(roots[0], roots[1]) == 0))
            continue;
        rc = links_below(server, authority, roots[i], "", out);
        for (const char *const *label = server->labels; !rc && label && *label; label++)
            rc = links_below(server, authority, roots[i], *label, out);
    }
    return rc;
}

int estc_server_links(const struct estc_server *server, const char *authority, const char *query,
                      struct estc_buf *out) {
    _cleanup(estc_buf_clear) struct estc_buf all = {0};
    int rc = links_all(server, authority, &all);
    return rc ? rc : linkformat_filter(all.data, all.len, query, out);
}

void answer_core(const struct estc_server *server, const struct estc_request *request,
                 struct estc_response *response) {
    _cleanup(estc_buf_clear) struct estc_buf links = {0};
    if (request->method != ESTC_GET) {
        answer_error(response, 405, "use GET");
    } else if (request->accept != ESTC_FORMAT_NONE && request->accept != ESTC_FORMAT_LINK) {
        answer_error(response, 406, "the content format here is 40");
    } else if (estc_server_links(server, "", request->query, &links)) {
        answer_error(response, 500, "internal error");
    } else {
        response->code = 205;
        response->content_format = ESTC_FORMAT_LINK;
        response->payload = links;
        links = (struct estc_buf){0};
    }
}
