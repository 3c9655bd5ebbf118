/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's connection: what coaps.h promises, shared between session.c and exchange.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/coaps.h>
#include <estc/transport.h>

#include "coap/block.h"
#include "coap/dtls.h"
#include "coap/message.h"
#include "coap/resolve.h"

enum session_state {
    SESSION_DOWN,      /* no connection */
    SESSION_HANDSHAKE, /* the first datagram is out */
    SESSION_UP,        /* both ends are authenticated */
    SESSION_LOST,      /* it broke or was closed; libcoap would quietly connect anew, we never do */
};

/* One message that answered a request, copied out of libcoap's. */
struct session_answer {
    bool complete;  /* an answer is here */
    bool malformed; /* but its options are wrong */
    bool no_memory; /* or it could not be kept */
    bool nack;      /* there will be none, for this reason */
    coap_nack_reason_t nack_reason;
    struct message message; /* without the payload */
    struct estc_buf payload;
};

struct session {
    struct estc_transport transport; /* first: this is what the caller holds */

    char *host;
    uint16_t port;
    char *name;                                      /* "server est.example:5684", for texts */
    struct estc_credentials credentials;             /* our own references */
    const struct estc_trust *trust, *explicit_trust; /* or NULL */
    bool provisional;
    bool allow_rsa;
    unsigned szx; /* of the largest block wished for */
    size_t max_body;
    unsigned mtu, dtls_timeout, ack_timeout;
    char *source, *interface; /* NULL: what the routes say */
    int64_t now;

    enum session_state state;
    struct dtls *dtls;
    coap_session_t *coap; /* dtls's */
    int64_t began;        /* of the handshake, CLOCK_BOOTTIME */
    /* The last connection's DTLS session, to come back to: who vouched for the server then, and
     * until when (CLOCK_BOOTTIME) we ask; NULL: none. */
    SSL_SESSION *resume;
    enum estc_voucher resume_by;
    int64_t resume_until;
    uint64_t connection; /* counts them; 0 before the first */
    size_t room;         /* bytes of a CoAP message after its header that fit a datagram */
    unsigned szx_now;    /* largest block with which an answer fits */

    uint64_t token; /* of the request under way; counts up (RFC 9175 section 4.2) */
    coap_mid_t mid; /* and its message id */
    struct session_answer answer;
};

/* connect.c */
/* Whom we take for the server. */
struct judge session_judge(const struct session *s);

int session_connect(struct session *s, const struct estc_wait *wait, struct estc_error *err);
/* Ends the connection with a close_notify; the next request makes another. */
void session_disconnect(struct session *s);
/* Lets the next handshake be a full one. */
void session_forget(struct session *s);

/* session.c: lets the network work until something happened, or `until` (CLOCK_BOOTTIME) has come:
 * 0 then, too. ESTC_E_CANCELLED, or a negative errno. */
int session_pump(struct session *s, const struct estc_wait *wait, int64_t until,
                 struct estc_error *err);

/* exchange.c: one request on a connection that is up. */
int exchange_run(struct session *s, const struct estc_request *request,
                 const struct estc_wait *wait, struct estc_response *response,
                 struct estc_error *err);
/* libcoap's handlers for answers. */
coap_response_t exchange_on_response(coap_session_t *coap, const coap_pdu_t *sent,
                                     const coap_pdu_t *received, const coap_mid_t mid);
void exchange_on_nack(coap_session_t *coap, const coap_pdu_t *sent, const coap_nack_reason_t reason,
                      const coap_mid_t mid);
