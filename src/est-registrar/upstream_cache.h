/* SPDX-License-Identifier: BSD-2-Clause */
/* What upstream says to everybody alike: CA certificates and CSR attributes, for each label. */
#pragma once

#include <openssl/x509.h>
#include <systemd/sd-event.h>

#include <estc/buf.h>
#include <estc/error.h>

#include "upstream.h"

struct upstream_cache;

/* Asks at once, and again when `refresh` is over. labels: NULL-ended, the empty one is always
 * there. All borrowed. */
int upstream_cache_new(sd_event *event, const struct config *config, struct upstream *upstream,
                       char *const *labels, struct upstream_cache **out, struct estc_error *err);
struct upstream_cache *upstream_cache_free(struct upstream_cache *cache);

/* True as long as there is something that was never answered and never failed. */
bool upstream_cache_is_starting(const struct upstream_cache *cache);

/* Both: ESTC_E_NOT_FOUND for an unknown label; ESTC_E_TIMEOUT when nothing is known, or for longer
 * than `keep`. */
int upstream_cache_certs(const struct upstream_cache *cache, const char *label,
                         STACK_OF(X509) * *out, struct estc_error *err);
/* Appends; nothing where upstream wishes for nothing. */
int upstream_cache_attrs(const struct upstream_cache *cache, const char *label,
                         struct estc_buf *out, struct estc_error *err);
