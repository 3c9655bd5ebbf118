/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods for identities that come and go at run time. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "control_internal.h"
#include "request.h"

static void refuse(struct ctl_call *call, const struct conf_errors *errors) {
    json_t *lines = json_array();
    for (char *const *line = errors->lines; line && *line; line++)
        json_array_append_new(lines, json_string(*line));
    ctl_call_error(call, "RequestInvalid", json_pack("{s:o}", "errors", lines));
}

void control_request(struct ctl_call *call, json_t *params, void *arg) {
    struct control *control = arg;
    const char *id = json_string_value(json_object_get(params, "id"));
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    struct estc_error err = {.text = "out of memory"};
    _cleanup(freep) char *text = request_text(params, &errors);
    int rc = text ? manager_request(control->manager, id, text, &errors, &err) : ESTC_E_CONFIG;
    if (conf_errors_any(&errors)) {
        refuse(call, &errors);
    } else if (rc) {
        ctl_call_error(call, "StoreFailed", json_pack("{s:s}", "text", err.text));
    } else {
        control_ask(control, call, params, SCHEDULE_ENROLL, CONTROL_WHEN_DUE);
        manager_schedule(control->manager);
    }
}

void control_forget(struct ctl_call *call, json_t *params, void *arg) {
    struct control *control = arg;
    struct member *member = control_member(control, call, params);
    _cleanup(freep) char *kept = NULL;
    struct estc_error err = {0};
    if (!member)
        return;
    bool purge = json_is_true(json_object_get(params, "purge"));
    int rc = manager_forget(control->manager, member, purge, &kept, &err);
    if (rc)
        ctl_call_error(call, rc == ESTC_E_CONFIG ? "NotRequested" : "StoreFailed",
                       json_pack("{s:s}", "text", err.text));
    else
        ctl_call_reply(call, json_pack("{s:s*}", "kept", kept), false);
}
