/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the control interface share; nobody else includes this. */
#pragma once

#include <jansson.h>

#include "common/ctlserver.h"
#include "ctl/ctl.h"
#include "manager.h"

struct follower;
struct inspection;

struct control {
    struct manager *manager;
    struct ctlserver *server;
    struct follower *followers;
    sd_event *event;
    struct inspection *inspections;
};

/* control.c: the member that a call names, or NULL and the call is answered. */
struct member *control_member(struct control *control, struct ctl_call *call, const json_t *params);
/* How somebody wants something done. */
enum control_way { CONTROL_WHEN_DUE, CONTROL_FORCED, CONTROL_RETRIED, CONTROL_REKEYED };

/* control_ask.c: asks the manager and answers. With `more` the caller hears everything, the end
 * included. The action counts for the first two ways. */
void control_ask(struct control *control, struct ctl_call *call, const json_t *params,
                 enum schedule_action action, enum control_way way);

/* The same with what somebody has brought. */
struct bootstrap_offer;
void control_ask_with(struct control *control, struct ctl_call *call, const json_t *params,
                      const struct bootstrap_offer *offer);

void control_enroll(struct ctl_call *call, json_t *params, void *arg);
void control_renew(struct ctl_call *call, json_t *params, void *arg);
void control_rollback(struct ctl_call *call, json_t *params, void *arg);

/* control_operate.c: what concerns the daemon as a whole, or an identity but for its enrolment. */
void control_status(struct ctl_call *call, json_t *params, void *arg);
void control_needs_renewal(struct ctl_call *call, json_t *params, void *arg);
void control_metrics(struct ctl_call *call, json_t *params, void *arg);
void control_retry(struct ctl_call *call, json_t *params, void *arg);
void control_rekey(struct ctl_call *call, json_t *params, void *arg);
void control_pause(struct ctl_call *call, json_t *params, void *arg);
void control_resume(struct ctl_call *call, json_t *params, void *arg);
void control_cacerts(struct ctl_call *call, json_t *params, void *arg);
void control_deployed(struct ctl_call *call, json_t *params, void *arg);
void control_history(struct ctl_call *call, json_t *params, void *arg);

/* control_check.c */
void control_check(struct ctl_call *call, json_t *params, void *arg);
void control_check_end(struct control *control); /* all that are under way */

/* control_bootstrap.c */
void control_bootstrap(struct ctl_call *call, json_t *params, void *arg);

/* control_config.c */
void control_config(struct ctl_call *call, json_t *params, void *arg);

/* control_request.c */
void control_request(struct ctl_call *call, json_t *params, void *arg);
void control_forget(struct ctl_call *call, json_t *params, void *arg);

/* control_follow.c: id NULL: everything. 0 or -ENOMEM. */
int control_follow(struct control *control, struct ctl_call *call, const char *id);
void control_unfollow(struct control *control, const struct ctl_call *call);
/* control_follow.c: the manager's observer; arg is the control. */
void control_tell(const struct manager_event *event, void *arg);
json_t *control_event_and_identity(const struct control *control,
                                   const struct manager_event *event);
