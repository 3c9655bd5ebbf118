/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is answered to a stranger: links to those who ask for /.well-known/core, an error of a few
 * bytes to everybody else, and to a multicast nothing but links (RFC 7252 section 8.2). Bodies are
 * rationed, so that we are no lever against whomever a question claims to come from (section 11.3).
 * Touches no network.
 */
#include <errno.h>
#include <string.h>

#include <estc/discovery.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "coap/beacon_internal.h"
#include "coap/block.h"

#define BEACON_GET 1
#define BEACON_BUSY_SECONDS 10

/* RFC 7252 section 5.4.1: a critical option that is not understood; 0 when there is none. */
static unsigned find_unknown(const coap_pdu_t *pdu) {
    static const coap_option_num_t known[] = {
        COAP_OPTION_URI_HOST,  COAP_OPTION_URI_PORT, COAP_OPTION_URI_PATH,
        COAP_OPTION_URI_QUERY, COAP_OPTION_ACCEPT,   COAP_OPTION_BLOCK2,
    };
    coap_opt_iterator_t iter;
    coap_option_iterator_init(pdu, &iter, COAP_OPT_ALL);
    while (coap_option_next(&iter)) {
        bool fine = (iter.number & 1) == 0;
        for (size_t i = 0; !fine && i < sizeof(known) / sizeof(known[0]); i++)
            fine = iter.number == known[i];
        if (!fine)
            return iter.number;
    }
    return 0;
}

static void answer_links(struct beacon_answers *from, const struct beacon_question *question,
                         const struct message *m, struct reply *reply) {
    _cleanup(estc_buf_clear) struct estc_buf body = {0};
    unsigned long missed;
    if (!ration_allows(&from->ration, &missed)) {
        reply_error(reply, 503, "asked too often");
        reply->max_age = BEACON_BUSY_SECONDS;
        return;
    }
    if (missed > 0)
        log_notice("discovery: %lu questions were not answered, too many at a time", missed);
    if (from->links(from->arg, question->host, m->query, &body))
        return reply_error(reply, 500, "internal error");
    if (question->multicast && body.len == 0)
        return; /* nothing to say */
    struct block asked = m->has_block2 ? m->block2 : (struct block){.szx = BLOCK_SZX_MAX}, block;
    size_t offset, len;
    if (!block_page(body.len, &asked, &block, &offset, &len))
        return reply_error(reply, 400, "no such block");
    reply_init(reply, 205);
    reply->content_format = ESTC_FORMAT_LINK;
    reply->has_block2 = block.more || block.num > 0;
    reply->block2 = block;
    if (len > 0 && estc_buf_append(&reply->payload, body.data + offset, len) < 0)
        reply_init(reply, 500);
}

static void answer(struct beacon_answers *from, const struct beacon_question *question,
                   struct reply *reply) {
    struct message m;
    _cleanup(freep) char *path = message_path(question->pdu);
    _cleanup(freep) char *query = message_query(question->pdu);
    unsigned unknown = find_unknown(question->pdu);
    if (unknown == COAP_OPTION_PROXY_URI || unknown == COAP_OPTION_PROXY_SCHEME)
        return reply_error(reply, 505, "this is no proxy");
    if (unknown || message_read(question->pdu, &m))
        return reply_error(reply, 402, "bad option");
    m.query = query;
    if (!path || strcmp(path, ESTC_CORE_PATH) != 0)
        reply_error(reply, 404, "EST is served over coaps only");
    else if (m.code != BEACON_GET)
        reply_error(reply, 405, "use GET");
    else if (m.accept != ESTC_FORMAT_NONE && m.accept != ESTC_FORMAT_LINK)
        reply_error(reply, 406, "the content format here is 40");
    else
        answer_links(from, question, &m, reply);
}

void beacon_answer(struct beacon_answers *from, const struct beacon_question *question,
                   struct reply *reply) {
    reply_init(reply, 0);
    answer(from, question, reply);
    if (question->multicast && reply->code >= 400)
        reply_clear(reply);
}
