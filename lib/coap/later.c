/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answers that are due: from the empty acknowledgement of a request to the message that brings its
 * answer. libcoap acknowledges at once, without a moment's grace for a piggybacked answer: what is
 * left for later waits for people or other machines, so the grace would seldom serve, and each of
 * the client's retransmissions is saved for certain.
 *
 * A ticket is a number, never a pointer: one that has been outlived by its connection is not found.
 * libcoap would send a ClientHello to a client that has gone, so nothing is sent to a session whose
 * DTLS connection is not up; and it would forget a silent session, so one with an answer due is
 * held by a reference until the answer is there or the connection is not.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "coap/listener_internal.h"

uint64_t later_ticket(const struct estc_listener *l, const struct peer *peer) {
    return peer->waiting.ticket || l->waiting >= l->max_waiting ? 0 : l->tickets + 1;
}

void later_begin(struct estc_listener *l, struct peer *peer, const coap_pdu_t *request) {
    struct peer_waiting *w = &peer->waiting;
    if (w->ticket <= l->tickets)
        return;
    l->tickets = w->ticket;
    l->waiting++;
    coap_bin_const_t token = coap_pdu_get_token(request);
    w->confirmable = coap_pdu_get_type(request) == COAP_MESSAGE_CON;
    w->token_len = token.length < sizeof(w->token) ? token.length : sizeof(w->token);
    memcpy(w->token, token.s, w->token_len);
    coap_session_reference(peer->session);
}

void later_drop(struct estc_listener *l, struct peer *peer) {
    if (!peer->waiting.ticket)
        return;
    peer_forget(peer);
    l->waiting--;
    coap_session_release(peer->session);
}

static struct peer *later_find(const struct estc_listener *l, uint64_t ticket) {
    struct peer *peer = ticket ? l->peers : NULL;
    while (peer && peer->waiting.ticket != ticket)
        peer = peer->next;
    return peer;
}

static int later_send(coap_session_t *session, const struct peer_waiting *w,
                      const struct reply *reply) {
    coap_pdu_t *pdu = coap_new_pdu(w->confirmable ? COAP_MESSAGE_CON : COAP_MESSAGE_NON,
                                   message_wire_code(reply->code), session);
    if (!pdu)
        return -ENOMEM;
    if (!coap_add_token(pdu, w->token_len, w->token) || !reply_write(reply, pdu)) {
        coap_delete_pdu(pdu);
        return -EMSGSIZE;
    }
    return dtls_send(session, pdu) == COAP_INVALID_MID ? -ENOENT : 0;
}

int estc_listener_respond(struct estc_listener *l, uint64_t ticket,
                          struct estc_response *response) {
    struct peer *peer = later_find(l, ticket);
    if (!peer) {
        estc_response_clear(response);
        return -ENOENT;
    }
    struct peer_waiting w = peer->waiting; /* but for its key, which stays with the peer */
    coap_session_t *session = peer->session;
    struct reply reply;
    int rc = -ENOENT;
    peer_resume(peer, response, &reply);
    if (coap_session_get_state(session) == COAP_SESSION_STATE_ESTABLISHED)
        rc = later_send(session, &w, &reply);
    /* A connection that ends with the sending has taken the peer along, and is -ENOENT. */
    if (rc && rc != -ENOENT)
        log_error("client %s: an answer could not be sent: %s", peer->address, strerror(-rc));
    reply_clear(&reply);
    l->waiting--;
    coap_session_release(session);
    return rc;
}
