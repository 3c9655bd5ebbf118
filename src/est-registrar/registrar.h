/* SPDX-License-Identifier: BSD-2-Clause */
/* The answers of the registrar: who asks, may they, was it asked before, issue, record, answer. */
#pragma once

#include <systemd/sd-event.h>

#include <estc/error.h>
#include <estc/server.h>
#include <estc/trust.h>

#include "ca.h"
#include "config.h"
#include "ledger.h"

struct registrar;

/* Opens CA, client CAs and ledger. config is borrowed. */
int registrar_open(const struct config *config, struct registrar **out, struct estc_error *err);
/* Begins what needs the loop. decided() is called from it when something has come that a request
 * may have been waiting for. */
int registrar_start(struct registrar *registrar, sd_event *event, void (*decided)(void *arg),
                    void *arg, struct estc_error *err);
/* True while the first answers from upstream, which /crts needs, are neither there nor missing. */
bool registrar_is_starting(const struct registrar *registrar);
struct registrar *registrar_close(struct registrar *registrar);

/* The certificates that are issued with here or upstream: what was issued under them is ours. Opens
 * the CA on the way, if there is one; both are the caller's. */
int registrar_open_issuers(const struct config *config, struct ca **ca, STACK_OF(X509) * *out,
                           struct estc_error *err);

/* The same and what a client's chain may go through above them. Owned by ca or ours. */
const STACK_OF(X509) * registrar_ours_and_above(const struct ca *ca, const STACK_OF(X509) * ours);

/* The anchors of a client CA. ours: the above, none of which may be one whose certificates count
 * after their end; NULL: not known. */
int registrar_open_client_ca(const struct config_client_ca *config, const STACK_OF(X509) * ours,
                             struct estc_trust **out, struct estc_error *err);

/* Whom a handshake accepts: the issuing CA and all client CAs. */
const struct estc_trust *registrar_client_trust(const struct registrar *registrar);
/* Whether ledger or CRL have it as revoked: 0, 1, or a negative errno when they cannot be asked. */
int registrar_is_revoked(struct registrar *registrar, X509 *cert);

/* Those of them below which a certificate may have expired (RFC 9148 section 3). */
const struct estc_trust *registrar_expired_trust(const struct registrar *registrar);

/* After the audit log was moved away. */
void registrar_reopen(struct registrar *registrar);

/* Readable when something was made that requests may wait for, until registrar_seen(); -1: nothing
 * ever is. */
int registrar_fd(const struct registrar *registrar);
void registrar_seen(struct registrar *registrar);

/* For estc_server; arg is the registrar. With /skg and /skc if the configuration wants them. */
const struct estc_server_ops *registrar_server_ops(const struct registrar *registrar);
