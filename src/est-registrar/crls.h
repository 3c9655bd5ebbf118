/* SPDX-License-Identifier: BSD-2-Clause */
/* What others say is revoked: the CRLs (RFC 5280 section 5) of client CAs, from their files. */
#pragma once

#include <stdint.h>

#include <openssl/x509.h>

#include <estc/error.h>
#include <estc/trust.h>

#include "config.h"

struct crls;

/* Reads all that are configured. anchors: those of each client CA, which a CRL has to be signed by.
 * Both are borrowed. A file that is missing or unfit is an error; one that is out of date is not.
 */
int crls_open(const struct config *config, struct estc_trust *const *anchors, struct crls **out,
              struct estc_error *err);
/* Whether that would succeed for this client CA, if it has one. */
int crls_check(const struct config_client_ca *ca, const struct estc_trust *anchors,
               struct estc_error *err);
struct crls *crls_close(struct crls *crls); /* takes NULL, returns NULL */

/*
 * 0: nothing is said against it. ESTC_E_REJECTED: it is revoked. ESTC_E_TIMEOUT: nobody knows,
 * because the CRL of its CA is out of date and the configuration says to refuse then. Files that
 * have changed are read again; one that is unfit leaves what was there before.
 */
int crls_ask(struct crls *crls, X509 *cert, int64_t now, struct estc_error *err);
