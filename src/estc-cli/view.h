/* SPDX-License-Identifier: BSD-2-Clause */
/* An Identity of org.estcd.control in words. Pure: reads no clock, writes nowhere by itself. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "print.h"

/* Every text is malloc'd, clean, "-" where there is nothing to say; NULL: out of memory. */

/* "61d", "7h", "38m", "20s"; "-3d" for what lies behind. */
char *view_span(int64_t seconds);
/* "2027-03-01 12:00Z" from RFC 3339; "never" for the end of time. */
char *view_time(const char *rfc3339);
/* "renew 2027-02-09", "poll in 4m (Max-Age)", "retry in 38m (try 6)". */
char *view_next(json_t *identity, int64_t now);
/* The same with another text for the time. */
char *view_next_at(json_t *identity, const char *due);

/* The table of `estc list`, headings included unless bare. NULL: out of memory. */
struct table *view_list(json_t *identities, int64_t now, bool bare);
/* "3 identities, 1 needs attention." */
char *view_footer(json_t *identities);

/* The block of `estc show`; 0 or -ENOMEM. */
int view_show(json_t *identity, int64_t now, FILE *out, const struct print_style *style);

/* An attempt is under way. */
bool view_working(json_t *identity);
/* The certificate in force could not be installed elsewhere, as far as is known. */
bool view_undeployed(json_t *identity);
/* How a state looks. */
enum tint view_tint(json_t *identity);

/* Member of an object as clean text: a string itself, a number in digits. */
char *view_text(json_t *object, const char *member);
