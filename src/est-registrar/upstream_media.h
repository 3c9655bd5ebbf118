/* SPDX-License-Identifier: BSD-2-Clause */
/* Media types and multipart bodies as far as EST over HTTPS needs them. */
#pragma once

#include "upstream_translate.h"

/* Whether a Content-Type (NULL: none) is of that type, whatever its parameters and its case. */
bool media_is(const char *type, const char *wanted);

/* Whether its smime-type, in any case and order, is that. It may be absent, which only says that
 * nothing speaks against it. */
enum media_smime { MEDIA_OTHER, MEDIA_UNSAID, MEDIA_NAMED };
enum media_smime media_smime(const char *type, const char *wanted);

/*
 * The two parts of a multipart/mixed body, whatever stands before and behind them (RFC 2046 section
 * 5.1.1). They point into body; types[] is what their type members point to and the caller's to
 * free, in any case. ESTC_E_MALFORMED, also for a body without its last delimiter.
 */
#define MEDIA_PARTS 2
int media_split(const struct translate_body *body, struct translate_body part[MEDIA_PARTS],
                char *types[MEDIA_PARTS], struct estc_error *err);
