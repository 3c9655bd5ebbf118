/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The answering side of EST-coaps: from a request of an authenticated peer to a response, by
 * asking the program's operations. It touches no network; <estc/listener.h> does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>
#include <estc/keypackage.h>
#include <estc/op.h>
#include <estc/transport.h>

/* The client as the handshake has shown it; valid during the call only. */
struct estc_peer {
    X509 *cert;
    const char *address;                /* "[2001:db8::1]:40000", for logs */
    const struct estc_binding *binding; /* of its connection; NULL: not known */
};

/* Whether a request proves that it was made for the connection that it came on (RFC 7030 section
 * 3.5). One that fails to prove what it claims never reaches the program. */
enum estc_pop {
    ESTC_POP_NONE,    /* it claims nothing: there is no challengePassword */
    ESTC_POP_BOUND,   /* it carries this connection's channel binding */
    ESTC_POP_VOUCHED, /* another binding; the peer is an RA of the EST CA, which has checked it */
};

struct estc_enroll_request {
    enum estc_op op;   /* ESTC_OP_SEN, _SREN, _SKG or _SKC */
    const char *label; /* "" without one */
    X509_REQ *csr;     /* decoded, its self-signature checked; for _SKG and _SKC its public key and
                          its signature may be anything and count for nothing */
    const unsigned char *der;
    size_t der_len;
    enum estc_pop pop;
    bool may_wait;                     /* the answer may come later, while the connection stays */
    const struct estc_seal_wish *seal; /* _SKG and _SKC only: what the key has to be sealed with */
};

/* What /skg and /skc bring about. */
struct estc_generated {
    struct estc_buf key; /* PKCS#8, or sealed if that was wished for: see <estc/keypackage.h> */
    X509 *cert;
};
void estc_generated_clear(struct estc_generated *generated); /* wipes */

struct estc_server_ops {
    /*
     * The program's part. 0 and an output that the server frees, or
     *   ESTC_E_NOT_FOUND unknown label                      4.04
     *   ESTC_E_REJECTED  policy says no                     4.03
     *   ESTC_E_MALFORMED the request is wrong               4.00
     *   ESTC_E_PENDING   decided later, with *retry_after   5.03, Max-Age
     *   ESTC_E_TIMEOUT   overloaded or storage unavailable  5.03, Max-Age from *retry_after
     *   -EINPROGRESS     decided within *retry_after seconds; only where request->may_wait
     *   400 to 599       that code, for who passes on the answer of another server
     *   anything else                                       5.00, the text is not sent
     * The text of the error becomes the diagnostic payload, except for the last.
     * A request may want other names than it has (estc_csr_new_names()): they are granted, or the
     * request is refused, but never passed over.
     */
    /* Whether the peer may ask for anything at all; asked before each of the others. NULL: yes. */
    int (*admit)(void *arg, const struct estc_peer *peer, int64_t *retry_after,
                 struct estc_error *err);
    int (*cacerts)(void *arg, const struct estc_peer *peer, const char *label,
                   STACK_OF(X509) * *out, struct estc_error *err);
    int (*enroll)(void *arg, const struct estc_peer *peer,
                  const struct estc_enroll_request *request, X509 **issued, int64_t *retry_after,
                  struct estc_error *err);
    /* A new key for the request and a certificate for it, neither of which was ever sent before.
     * Results as above. Where a seal is wished for, a bare key is no answer: ESTC_E_REJECTED when
     * there is nothing to seal it with (RFC 7030 section 4.4.1). NULL: no keys are made here, 4.04.
     */
    int (*generate)(void *arg, const struct estc_peer *peer,
                    const struct estc_enroll_request *request, struct estc_generated *out,
                    int64_t *retry_after, struct estc_error *err);
    /* Appends a CsrAttrs in DER (RFC 8951 section 4, RFC 9908) to *der. Nothing: 4.04. The function
     * may be NULL, which means the same for everybody. */
    int (*csrattrs)(void *arg, const struct estc_peer *peer, const char *label,
                    struct estc_buf *der, struct estc_error *err);
    /* Whether the EST CA itself has issued the peer's certificate: an id-kp-cmcRA in it then counts
     * (RFC 7030 section 3.7), and its holder may send requests that are bound to another
     * connection, which it has checked. NULL: nobody may. */
    bool (*issued)(void *arg, const struct estc_peer *peer);
};

struct estc_server {
    const struct estc_server_ops *ops;
    void *arg;
    const char *root; /* a second root besides ESTC_DEFAULT_ROOT, which always answers; or NULL */
    const char *const *labels; /* that discovery lists, NULL-ended; or NULL */
};

/*
 * Never fails: whatever goes wrong becomes a response code. Clear the response afterwards.
 * A request without a content format is read as application/pkcs10. Before ops->enroll() is asked,
 * a challengePassword has been held against the peer's channel binding (4.03 when it is another)
 * and, for an /sren, estc_reenroll_check() has passed.
 *
 * When an operation returns -EINPROGRESS, response->later is set and response->max_age says for how
 * many seconds at most; nothing else is. The program then keeps peer and request, and calls this
 * again once the decision is there. At the latest when the time is over it does so with the ticket
 * 0, which is answered in any case, and hands the response to estc_listener_respond().
 */
void estc_server_answer(const struct estc_server *server, const struct estc_peer *peer,
                        const struct estc_request *request, struct estc_response *response);

/*
 * RFC 7030 section 4.2.2: a re-enrolment asks for the subject and subjectAltName of the certificate
 * that authenticated it, DER for DER. ESTC_E_REJECTED when it does not; the criticality of the
 * extension is not compared.
 */
int estc_reenroll_check(const X509_REQ *csr, X509 *peer, struct estc_error *err);
