/* SPDX-License-Identifier: BSD-2-Clause */
/* The EST servers upstream: which of them is asked, and who the registrar is there. */
#pragma once

#include <stdint.h>

#include <openssl/x509.h>
#include <systemd/sd-event.h>

#include <estc/op.h>

#include "config.h"
#include "upstream_http.h"

struct upstream;

/* What is asked: a GET, or a POST with a request in DER. All borrowed. */
struct upstream_question {
    enum estc_op op;
    const char *label; /* "" without one */
    const void *der;
    size_t len;
};

int upstream_new(sd_event *event, const struct config *config, struct upstream **out,
                 struct estc_error *err);
struct upstream *upstream_free(struct upstream *upstream);

/*
 * done is called once, and not before this returns 0, with the last server's reply. Another server
 * is asked where the first has not got the request, or has refused the registrar itself; after a
 * GET also where it failed. A request that one of them may have got goes to no other.
 */
int upstream_ask(struct upstream *upstream, const struct upstream_question *question,
                 http_done_fn done, void *arg, struct estc_error *err);

/* Key, certificate and trust that the configuration names: they can be read and fit together. */
int upstream_check(const struct config *config, struct estc_error *err);
/* Logs what speaks against the registrar's certificate, once for each certificate. */
void upstream_look_at_self(struct upstream *upstream);
