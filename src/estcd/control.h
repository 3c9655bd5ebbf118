/* SPDX-License-Identifier: BSD-2-Clause */
/* The control interface org.estcd.control: what `estc` and any other Varlink client can ask. */
#pragma once

#include <systemd/sd-event.h>

#include <estc/error.h>

#include "ctl/ctl.h"
#include "manager.h"

struct control;

/* For the tests: the tables behind it. */
extern const struct ctl_interface control_interface;

/* Becomes the manager's observer. listen_fd: the socket from systemd, or -1. */
int control_new(sd_event *event, struct manager *manager, int listen_fd, struct control **out,
                struct estc_error *err);
struct control *control_free(struct control *control);
