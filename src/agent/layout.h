/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon and estcd-deploy both know of the state folder: how generations are named. */
#pragma once

#include <stdint.h>

#define LAYOUT_GENERATIONS "generations"

/* The number in a generation's name; 0 for what is none. */
int64_t layout_generation(const char *name);

/* The number of the generation that a link points at; 0 for none, and for anything else that stands
 * there. The link is read once, as a text; nothing is followed. */
int64_t layout_link_generation(int dirfd, const char *link);
