/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the checks share; nobody else includes this. */
#pragma once

#include <estc/estc.h>

#include "attempt_internal.h"
#include "check.h"
#include "coap/survey.h"

/* What was found; texts are malloc'd. */
struct finding {
    enum check_result result;
    int code; /* exit code of a failure */
    char *text, *remedy;
};

struct checking {
    const struct check_task *task;
    const struct config_identity *identity;
    struct estc_wait wait;
    struct attempt attempt;           /* never run: who vouches for the server, and the way there */
    struct estc_credentials birth;    /* empty: unfit */
    struct estc_credentials current;  /* empty: none */
    struct estc_transport *transport; /* once it stands */
    struct resolve_list addresses;    /* none: not reachable */
    const char *server;               /* which of several it is; NULL: there is one */
};

/* Sets a finding; the texts are taken. */
void finding_set(struct finding *out, enum check_result result, char *text, char *remedy);
void finding_fail(struct finding *out, int code, char *text, char *remedy);

#define CHECK_FN(name) void name(struct checking *c, struct finding *out)
CHECK_FN(check_config); /* check.c */
CHECK_FN(check_clock);
CHECK_FN(check_deploy);
CHECK_FN(check_files); /* check_certs.c */
CHECK_FN(check_usage);
CHECK_FN(check_dates);
CHECK_FN(check_chain);
CHECK_FN(check_name); /* check_network.c */
CHECK_FN(check_route);
CHECK_FN(check_mtu);
CHECK_FN(check_handshake);
#undef CHECK_FN
