/* SPDX-License-Identifier: BSD-2-Clause */
/* Telling a server which anchors we have. */
#pragma once

#include <openssl/ssl.h>

#include <estc/error.h>
#include <estc/trust.h>

/* Has every ClientHello of ctx carry trusted_ca_keys; trust must outlive ctx. */
int anchors_announce(SSL_CTX *ctx, const struct estc_trust *trust, struct estc_error *err);
