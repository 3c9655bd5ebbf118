/* SPDX-License-Identifier: BSD-2-Clause */
/* What /att says, by rule, and whether a request does as it was told. */
#pragma once

#include <stdbool.h>

#include <openssl/x509.h>

#include <estc/csrattrs.h>
#include <estc/error.h>
#include <estc/op.h>

#include "config.h"

/*
 * What a rule wishes to see: the channel binding and the kind of key that it demands (RFC 8951
 * section 4 wants those listed), and what its attributes say besides. ESTC_E_CONFIG, naming the
 * setting, when they say what cannot be or what their form has no words for.
 */
int attributes_of(const struct config_rule *rule, struct estc_csrattrs *out,
                  struct estc_error *err);

/* Whether a request has what the attributes of a rule demand; a renewal, by whatever operation,
 * keeps its names, so none are demanded of it. ESTC_E_REJECTED with what is missing. */
int attributes_judge(const struct config_rule *rule, enum estc_op op, bool renewal,
                     const X509_REQ *csr, struct estc_error *err);
