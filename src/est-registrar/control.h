/* SPDX-License-Identifier: BSD-2-Clause */
/* The registrar's control socket: what waits for approval, and the decision about it. */
#pragma once

#include <systemd/sd-event.h>

#include <estc/error.h>

#include "ctl/ctl.h"
#include "hold.h"
#include "registrar.h"

/* org.estcd.registrar */
extern const struct ctl_interface registrar_interface;

struct control;

/* Opens the configured socket. All are borrowed and end later. */
int control_new(sd_event *event, struct registrar *registrar, struct estc_listener *listener,
                struct hold *hold, struct control **out, struct estc_error *err);
struct control *control_free(struct control *control);
