/* SPDX-License-Identifier: BSD-2-Clause */
/* What every server socket begins with. */
#pragma once

#include <stdint.h>

#include <coap3/coap.h>

#include <estc/error.h>

/* A numeric address and a port to listen on; NULL: all addresses of this machine. -EINVAL,
 * -EAFNOSUPPORT. */
int endpoint_address(const char *address, uint16_t port, coap_address_t *out,
                     struct estc_error *err);

/* libcoap sets SO_REUSEADDR, with which a second server on the same port starts without a word and
 * takes all traffic of one that has it set as well. This tells first: -EADDRINUSE, -EADDRNOTAVAIL,
 * -EACCES. */
int endpoint_check_free(const coap_address_t *local, struct estc_error *err);

/* Has all methods on a path, or on all paths that are not named (NULL), answered by one function;
 * libcoap's own answers to /.well-known/core and DELETE are out of the way then. 0 or -ENOMEM. */
int endpoint_handle(coap_context_t *coap, const char *path, coap_method_handler_t handler);
