/* SPDX-License-Identifier: BSD-2-Clause */
/* Being found: what the registrar lists of itself, and where it does so without authentication. */
#pragma once

#include <systemd/sd-event.h>

#include <estc/server.h>

#include "config.h"

struct discover;

/* The labels of the rules, each once: NULL-ended, to be freed with text_list_free(). NULL with
 * -ENOMEM only. */
int discover_labels(const struct config *config, char ***out);

/* Opens what config->discovery_* asks for and has it run in the loop; NULL in *out when that is
 * nothing. config and server are borrowed. */
int discover_open(const struct config *config, const struct estc_server *server, sd_event *event,
                  struct discover **out, struct estc_error *err);
struct discover *discover_close(struct discover *discover); /* takes NULL, returns NULL */

/* What can be told without opening: the interfaces are there. */
int discover_check(const struct config *config, struct estc_error *err);
