/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of what is revoked (RFC 5280 section 5), in the file that ca.crl names. */
#pragma once

#include <stdint.h>

#include <systemd/sd-event.h>

#include <estc/error.h>

#include "ca.h"
#include "config.h"
#include "ledger.h"

struct crl;

/* All are borrowed. */
int crl_new(const struct config *config, const struct ca *ca, struct ledger *ledger,
            struct crl **out, struct estc_error *err);
struct crl *crl_free(struct crl *crl);

/* Writes it now, from then on regularly, and says in the log when it cannot. */
int crl_start(struct crl *crl, sd_event *event, struct estc_error *err);

/* Writes it now; the file is whole at any moment. */
int crl_write(struct crl *crl, struct estc_error *err);

/* Something was revoked on the way: it is written as soon as the loop has time. NULL is fine. */
void crl_soon(struct crl *crl);

/* "keyCompromise" and the like, of a certificate that is no CA's; -EINVAL for none of them. */
int crl_reason_parse(const char *name, int64_t *out);
const char *crl_reason_name(int64_t reason);
/* All their names, for people. */
extern const char crl_reasons_text[];
