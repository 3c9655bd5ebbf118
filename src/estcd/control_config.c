/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon runs with, and where it stands. The files are read again for that, in a process
 * of its own, which a fork gives everything that runs and nothing of which comes back but a text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_report.h"
#include "base/cleanup.h"
#include "common/apart.h"
#include "control_internal.h"
#include "ctl/json.h"

#define REPORT_MAX (512 * 1024)

static int report(struct estc_buf *out, void *arg) {
    _cleanup(json_freep) json_t *json = config_report(arg);
    _cleanup(freep) char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    return text ? estc_buf_append(out, text, strlen(text)) : -ENOMEM;
}

static json_t *ask_child(const struct control *control, const struct member *member,
                         struct estc_error *err) {
    struct config_running running = {
        .path = manager_config_path(control->manager),
        .config = manager_config(control->manager),
        .identity = member ? member_identity(member)->config : NULL,
        .requested = member && member_requested(member),
    };
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    int rc = apart_run(report, &running, REPORT_MAX, &text, err);
    json_t *json = rc ? NULL : ctl_json_object((const char *)text.data, text.len);
    if (!rc && !json)
        estc_error_set(err, -EIO, "the report of a child process cannot be read");
    return json;
}

void control_config(struct ctl_call *call, json_t *params, void *arg) {
    const struct control *control = arg;
    const struct member *member = NULL;
    struct estc_error err = {0};
    if (json_object_get(params, "id") && !(member = control_member(arg, call, params)))
        return;
    json_t *json = ask_child(control, member, &err);
    if (json)
        ctl_call_reply(call, json, false);
    else
        ctl_call_error(call, "Failed", json_pack("{s:s}", "text", err.text));
}
