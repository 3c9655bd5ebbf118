/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that are upstream: who waits for which, and what has come. */
#pragma once

#include <systemd/sd-event.h>

#include "registrar.h"

struct forward;

/* decided(arg) is called from the loop when one or more have been answered. */
int forward_new(sd_event *event, struct registrar *registrar, void (*decided)(void *arg), void *arg,
                struct forward **out, struct estc_error *err);
struct forward *forward_free(struct forward *forward);
