/* SPDX-License-Identifier: BSD-2-Clause */
/* The local CA: its certificate, key and chain, and the one way to issue with them. */
#pragma once

#include <stdint.h>

#include <openssl/x509.h>

#include <estc/error.h>

#include "config.h"

struct ca;

/* Opens what the configuration names: the pair must match and be a CA's, in force now, and the
 * chain must lead from it to a root, if there is a root in it. */
int ca_open(const struct config *config, struct ca **out, struct estc_error *err);
struct ca *ca_close(struct ca *ca);

X509 *ca_certificate(const struct ca *ca);
/* The earlier ones of the same CA, before it got another key; empty without any. Owned by ca. */
const STACK_OF(X509) * ca_previous(const struct ca *ca);
/* What /crts answers: the issuing certificate, the previous ones and all above. Owned by ca. */
const STACK_OF(X509) * ca_certificates(const struct ca *ca);

/* Gives a CRL its issuer, the identifier of its key, and its signature. */
int ca_sign_crl(const struct ca *ca, X509_CRL *crl, struct estc_error *err);

/*
 * Issues for a request that has been judged. The floor holds whatever the rule says: CA:FALSE,
 * usages from a fixed list, names as requested, never longer than the CA itself. The lifetime is
 * the rule's or the configuration's.
 */
int ca_issue(const struct ca *ca, const struct config *config, const struct config_rule *rule,
             const X509_REQ *csr, int64_t now, X509 **out, struct estc_error *err);
