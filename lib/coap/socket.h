/* SPDX-License-Identifier: BSD-2-Clause */
/* libcoap makes its sockets itself and shows none of them. */
#pragma once

#include <coap3/coap.h>

/* The descriptor of this process with these two ends, borrowed; peer NULL: with none. -1: there is
 * none. */
int socket_find(const coap_address_t *local, const coap_address_t *peer);
