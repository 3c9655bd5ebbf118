/* SPDX-License-Identifier: BSD-2-Clause */
/* estc's way to the daemon: connects, calls, and turns what goes wrong into words and exit codes.
 */
#pragma once

#include "cli.h"
#include "ctl/client.h"

#define DAEMON_INTERFACE "org.estcd.control"
#define DAEMON_METHOD(name) DAEMON_INTERFACE "." name
#define REGISTRAR_INTERFACE "org.estcd.registrar"
#define REGISTRAR_METHOD(name) REGISTRAR_INTERFACE "." name

#define DAEMON_ANSWER_MS 30000 /* how long the daemon may take to answer what is no attempt */

/* To the daemon that the command is for: estcd, or est-registrar for `registrar`. EXIT_DONE, or the
 * exit code of what has been said on stderr. */
int daemon_connect(const struct cli *cli, struct ctl_client **out);

/* One call of a method (full name) without `more`, and its answer: EXIT_DONE means a reply that is
 * no error. params may be NULL and is taken. An error reply is handed out as well, for --json. id:
 * what it was about, or NULL. */
int daemon_call(const struct cli *cli, const char *method, json_t *params, const char *id,
                struct ctl_reply *out);

/* The member that an answer is about; NULL, with an error said, when it is missing. */
json_t *daemon_member(const struct ctl_reply *reply, const char *member, json_type type);

/* The time that the daemon goes by, as an answer says it; our own where it does not. */
int64_t daemon_time(json_t *answer, const char *member);

/* Says what an error reply means; its exit code. */
int daemon_refused(const struct cli *cli, const struct ctl_reply *reply, const char *id);
/* The same for a failure (negative errno or ESTC_E_*) of ctl_client_send() or _receive(). */
int daemon_failed(int rc, const struct estc_error *err);
