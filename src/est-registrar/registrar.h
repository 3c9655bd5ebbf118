/* SPDX-License-Identifier: BSD-2-Clause */
/* The answers of the registrar: who asks, may they, was it asked before, issue, record, answer. */
#pragma once

#include <estc/error.h>
#include <estc/server.h>
#include <estc/trust.h>

#include "ca.h"
#include "config.h"
#include "ledger.h"

struct registrar;

/* Opens CA, client CAs and ledger. config is borrowed. */
int registrar_open(const struct config *config, struct registrar **out, struct estc_error *err);
struct registrar *registrar_close(struct registrar *registrar);

/* The anchors of a client CA. issuing: our own CA, which is not to be one whose certificates count
 * after their end; NULL: not known. */
int registrar_open_client_ca(const struct config_client_ca *config, const struct ca *issuing,
                             struct estc_trust **out, struct estc_error *err);

/* Whom a handshake accepts: the issuing CA and all client CAs. */
const struct estc_trust *registrar_client_trust(const struct registrar *registrar);
/* False for a certificate that the ledger has as revoked, or when it cannot be asked. */
bool registrar_may_resume(struct registrar *registrar, X509 *cert);

/* Those of them below which a certificate may have expired (RFC 9148 section 3). */
const struct estc_trust *registrar_expired_trust(const struct registrar *registrar);

/* After the audit log was moved away. */
void registrar_reopen(struct registrar *registrar);

/* For estc_server; arg is the registrar. With /skg and /skc if the configuration wants them. */
const struct estc_server_ops *registrar_server_ops(const struct registrar *registrar);
