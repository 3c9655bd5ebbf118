/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The client's side of the enrolment conversation (RFC 9148, RFC 7030 section 4), synchronous: each
 * call returns when it is done, when the deadline of its wait has passed, or when its cancel
 * descriptor becomes readable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <estc/buf.h>
#include <estc/error.h>
#include <estc/keypackage.h>
#include <estc/op.h>
#include <estc/transport.h>
#include <estc/trust.h>

struct estc_client;

struct estc_client_options {
    struct estc_transport *transport; /* borrowed; must outlive the client */
    const char *root;                 /* NULL: ESTC_DEFAULT_ROOT */
    const char *label;                /* NULL or "": none */
    /*
     * The root is a guess: if the first request is answered by 4.04, the server's /.well-known/core
     * is asked for another one, on the same connection (RFC 9148 section 4.1). host and port are
     * those of the transport: links to anybody else are ignored.
     */
    bool discover;
    const char *host; /* NULL: only links relative to the server count */
    uint16_t port;
};

int estc_client_new(const struct estc_client_options *options, struct estc_client **out,
                    struct estc_error *err);
struct estc_client *estc_client_free(struct estc_client *client); /* takes NULL, returns NULL */

int estc_client_connect(struct estc_client *client, const struct estc_wait *wait,
                        struct estc_error *err);

/*
 * /crts. The list is what the server sent, checked for form only: at least one certificate.
 * estc_cacerts_accept() says which of them may be believed.
 */
int estc_client_cacerts(struct estc_client *client, const struct estc_wait *wait,
                        STACK_OF(X509) * *out, struct estc_error *err);

/*
 * /att. Appends what the server wishes to see in a request, a CsrAttrs in DER, to *der; nothing
 * when it has no wish (4.04, RFC 9148 section 4.5). <estc/csrattrs.h> decodes it.
 */
int estc_client_csrattrs(struct estc_client *client, const struct estc_wait *wait,
                         struct estc_buf *der, struct estc_error *err);

/*
 * The binding of the connection as it stands in a request (struct estc_csr_spec, challenge):
 * base64, to be freed by the caller. Connects first when there is no connection. From then on
 * estc_client_enroll() sends a request with a challengePassword on this very connection, or returns
 * ESTC_E_STALE without having sent it: take the binding again and build a new request, with the
 * same key (RFC 9148 section 4.7). ESTC_E_PROTOCOL: the connection has none that proves anything.
 */
int estc_client_challenge(struct estc_client *client, const struct estc_wait *wait,
                          char **challenge, struct estc_error *err);

/*
 * Sorts the certificates of an authenticated /crts answer (RFC 7030 section 4.1.3): of its
 * self-signed CA certificates the one that ends last becomes the anchor, and all others are
 * intermediates if they lead to it, and nothing if they do not. They are the anchors' helpers
 * already (<estc/trust.h>). Without any self-signed certificate the set is believed only as far as
 * it leads to `configured` (may be NULL). ESTC_E_UNTRUSTED when nothing is left. The set is to be
 * put in force only when the server has passed by it (estc_coaps_set_explicit()).
 */
int estc_cacerts_accept(const STACK_OF(X509) * received, const struct estc_trust *configured,
                        int64_t now, struct estc_trust **anchors, STACK_OF(X509) * *intermediates,
                        struct estc_error *err);

/*
 * From a /crts answer that nobody vouches for (RFC 7030 section 4.1.1): the self-signed CA
 * certificate with this fingerprint, as an explicit anchor for a new connection. Nothing else of
 * the answer may be used. ESTC_E_UNTRUSTED without it.
 */
int estc_cacerts_confirm(const STACK_OF(X509) * received,
                         const struct estc_fingerprint *fingerprint, int64_t now,
                         struct estc_trust **anchor, struct estc_error *err);

/*
 * /sen or /sren with a DER request. ESTC_E_PENDING sets *retry_after (seconds, at least 1).
 * ESTC_E_REJECTED carries the server's diagnostic. A request with a challengePassword needs
 * estc_client_challenge() before. On success *issued is the one certificate of
 * the answer, and its public key is that of the request (ESTC_E_MISMATCH otherwise).
 */
int estc_client_enroll(struct estc_client *client, enum estc_op op, const void *csr, size_t csr_len,
                       const struct estc_wait *wait, X509 **issued, int64_t *retry_after,
                       struct estc_error *err);

/*
 * After a renewal that asked for other names (struct estc_csr_spec, rename): ESTC_E_MISMATCH when
 * the certificate has those that stand in the request instead, as from a server that knows no
 * ChangeSubjectName. Names that are neither are the CA's to choose (RFC 7030 section 4.2.3).
 */
int estc_client_check_names(const void *csr, size_t csr_len, X509 *issued, struct estc_error *err);

/* What /skg and /skc bring: a key pair that the server has made, and its certificate. */
struct estc_server_key {
    EVP_PKEY *key;
    X509 *cert;
};
void estc_server_key_clear(struct estc_server_key *pair);

/*
 * /skg or /skc (RFC 9148 section 4.8) with a DER request whose own key is thrown away. With an
 * opener the request was built with its seal (struct estc_csr_spec), and a key that comes without
 * is refused; without one it is the other way round. Errors as above; the two of the pair belong
 * together and the key is not that of the request (ESTC_E_MISMATCH).
 */
int estc_client_server_key(struct estc_client *client, enum estc_op op, const void *csr,
                           size_t csr_len, const struct estc_opener *opener,
                           const struct estc_wait *wait, struct estc_server_key *pair,
                           int64_t *retry_after, struct estc_error *err);
