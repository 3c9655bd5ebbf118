/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket of a daemon in its sd-event loop: rights by group, limits on connections.
 * Connecting means reading (the socket is 0660 and belongs to read_group); changing needs uid 0,
 * the daemon's own uid, or membership of change_group, supplementary groups included
 * (SO_PEERGROUPS).
 */
#pragma once

#include <systemd/sd-event.h>

#include "ctl/ctl.h"

struct ctlserver;

/* Creates the socket at path (its folder must exist), or takes the one that systemd passed when
 * listen_fd >= 0. Refuses to replace a socket somebody still answers on. A missing group is no
 * error: then only root and the daemon's own user can change, and the socket stays ours. */
int ctlserver_new(sd_event *event, const char *path, int listen_fd,
                  const struct ctl_service *service, void *arg, struct ctlserver **out,
                  struct estc_error *err);
struct ctlserver *ctlserver_free(struct ctlserver *server);
