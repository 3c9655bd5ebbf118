/* SPDX-License-Identifier: BSD-2-Clause */
/* Scope cleanup for the types of the public headers. */
#pragma once

#include <estc/client.h>
#include <estc/transport.h>
#include <estc/trust.h>

#include "base/cleanup.h"

CLEANUP_DEFINE(struct estc_client *, client_freep, estc_client_free);
CLEANUP_DEFINE(struct estc_transport *, transport_freep, estc_transport_free);
CLEANUP_DEFINE(struct estc_trust *, trust_freep, estc_trust_free);
