/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys that the registrar makes for others, and with what they are sealed. */
#pragma once

#include <estc/coaps.h>
#include <estc/error.h>
#include <estc/keypackage.h>

#include "config.h"

struct keygen;

/* Reads the secrets and certificates that the configuration names, and who the registrar is: it
 * signs what it seals. */
int keygen_open(const struct config *config, struct keygen **out, struct estc_error *err);
struct keygen *keygen_close(struct keygen *keygen); /* wipes */

/* What a wish names. peer is who asks: its own certificate may be meant. ESTC_E_REJECTED when there
 * is no such thing here (RFC 7030 section 4.4.1); without a wish *out stays zeroed. It points into
 * keygen and peer. */
int keygen_find_seal(const struct keygen *keygen, const struct estc_seal_wish *wish, X509 *peer,
                     struct estc_seal *out, struct estc_error *err);

/*
 * A request with the same names for a key that has just been made, of the kind of the one in csr
 * (P-256 when that is of no known kind), and the key as it is sent. ESTC_E_REJECTED for a bare key
 * that is stronger than every handshake here. -EINPROGRESS: the key takes its time; ask again when
 * the descriptor says that one was made.
 */
int keygen_make(const struct keygen *keygen, const struct estc_seal_wish *wish,
                const struct estc_seal *seal, const X509_REQ *csr, X509_REQ **out,
                struct estc_buf *key, struct estc_error *err);

/* Readable when a key was made, until keygen_seen(). */
int keygen_fd(const struct keygen *keygen);
void keygen_seen(struct keygen *keygen);

/* The request as policy can judge it: csr itself, or a copy with a key of the kind that would be
 * made where its own is of no known kind. Free it. */
int keygen_judgeable(const X509_REQ *csr, X509_REQ **out, struct estc_error *err);
