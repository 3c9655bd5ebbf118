/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that wait for somebody's word. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <openssl/x509.h>

#include <estc/error.h>

#include "audit.h"
#include "config.h"
#include "ledger.h"

/* A request that policy has granted, but for the approval. All borrowed. */
struct approval {
    struct ledger *ledger;
    struct audit *audit;
    const struct config_rule *rule;
    struct ledger_request kind;
    const char *subject, *names; /* for people */
    const char *device, *address;
    const unsigned char *csr;
    size_t csr_len;
    int64_t now;
    bool may_wait; /* the connection can stay open */
};

/* Whether a request by that rule needs one; renewal: it continues what was approved. */
bool approval_is_needed(const struct config_rule *rule, bool renewal);

/*
 * 0: approved. *issued is then NULL, or the certificate that was issued for it already and that its
 * holder has not used yet. ESTC_E_PENDING and -EINPROGRESS (only with may_wait) with *retry_after;
 * ESTC_E_REJECTED; a negative errno of the ledger. A request that is new is entered.
 */
int approval_judge(const struct approval *a, X509 **issued, int64_t *retry_after,
                   struct estc_error *err);
