/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control interface: one table of methods, and what answers the simplest of them.
 * Decides nothing: it asks the manager.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/ctlserver.h"
#include "control_internal.h"
#include "control_json.h"
#include "ctl/json.h"
#include "request.h"
#include "timebase.h"

/* --- methods --- */

struct member *control_member(struct control *control, struct ctl_call *call,
                              const json_t *params) {
    const char *id = json_string_value(json_object_get(params, "id"));
    struct member *member = manager_find(control->manager, id);
    if (!member)
        ctl_call_error(call, "NoSuchIdentity", json_pack("{s:s}", "id", id));
    return member;
}

static json_t *entry_at(size_t i, void *arg) {
    const struct control *control = arg;
    return control_entry(manager_at(control->manager, i));
}

static void handle_list(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    const struct control *control = arg;
    char now[CLOCK_TEXT_MAX];
    ctl_call_reply_list(call, json_pack("{s:s}", "now", clock_text(timebase_now(), now)),
                        "identities", manager_count(control->manager), entry_at, arg);
}

static void handle_show(struct ctl_call *call, json_t *params, void *arg) {
    struct control *control = arg;
    const struct member *member = control_member(control, call, params);
    char now[CLOCK_TEXT_MAX];
    if (member)
        ctl_call_reply(call,
                       json_pack("{s:o, s:s}", "identity",
                                 control_identity(control->manager, member), "now",
                                 clock_text(timebase_now(), now)),
                       false);
}

static void handle_reload(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    struct control *control = arg;
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    int rc = manager_reload(control->manager, &errors);
    if (!rc) {
        ctl_call_reply(
            call, json_pack("{s:I}", "identities", (json_int_t)manager_count(control->manager)),
            false);
        return;
    }
    json_t *lines = json_array();
    for (char *const *line = errors.lines; line && *line; line++)
        json_array_append_new(lines, json_string(*line));
    if (!errors.lines)
        json_array_append_new(lines, json_string("out of memory"));
    ctl_call_error(call, "ConfigInvalid", json_pack("{s:o}", "errors", lines));
}

static void handle_events(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    control_follow(arg, call,
                   NULL); /* out of memory: the call is given back unanswered, which is said */
}

/* --- the table --- */

static const struct ctl_field no_fields[] = {{NULL}};
static const struct ctl_field id_field[] = {{"id", CTL_STRING}, {NULL}};
static const struct ctl_field ask_fields[] = {
    {"id", CTL_STRING}, {"force", CTL_BOOL, .optional = true}, {NULL}};
static const struct ctl_field bootstrap_in[] = {{"id", CTL_STRING},
                                                {"files", CTL_STRINGS, .optional = true},
                                                {"fingerprint", CTL_STRING, .optional = true},
                                                {"reset", CTL_BOOL, .optional = true},
                                                {NULL}};
static const struct ctl_field deployed_fields[] = {{"id", CTL_STRING},
                                                   {"generation", CTL_INT},
                                                   {"ok", CTL_BOOL},
                                                   {"text", CTL_STRING, .optional = true},
                                                   {NULL}};
static const struct ctl_field list_out[] = {
    {"identities", CTL_OBJECTS, .type_name = "Entry"}, {"now", CTL_STRING}, {NULL}};
static const struct ctl_field show_out[] = {
    {"identity", CTL_OBJECT, .type_name = "Identity"}, {"now", CTL_STRING}, {NULL}};
static const struct ctl_field pause_out[] = {
    {"identity", CTL_OBJECT, .type_name = "Identity"}, {"changed", CTL_BOOL}, {NULL}};
static const struct ctl_field ask_out[] = {
    {"event", CTL_OBJECT, .optional = true, .type_name = "Event"},
    {"identity", CTL_OBJECT, .optional = true, .type_name = "Identity"},
    {NULL},
};
static const struct ctl_field status_out[] = {
    {"version", CTL_STRING},
    {"clock", CTL_OBJECT, .type_name = "Clock"},
    {"identities", CTL_INT},
    {"states", CTL_OBJECTS, .type_name = "Count"},
    {"attention_count", CTL_INT},
    {"attention", CTL_OBJECTS, .type_name = "Identity"},
    {"next", CTL_OBJECT, .optional = true, .type_name = "Identity"},
    {"exit_code", CTL_INT},
    {NULL},
};
static const struct ctl_field config_fields[] = {{"id", CTL_STRING, .optional = true}, {NULL}};
static const struct ctl_field config_out[] = {{"file", CTL_STRING},
                                              {"errors", CTL_STRINGS},
                                              {"keys", CTL_OBJECTS, .type_name = "Key"},
                                              {NULL}};
static const struct ctl_field check_fields[] = {
    {"id", CTL_STRING}, {"network", CTL_BOOL, .optional = true}, {NULL}};
static const struct ctl_field check_out[] = {
    {"finding", CTL_OBJECT, .optional = true, .type_name = "Finding"}, {NULL}};
static const struct ctl_field forget_fields[] = {
    {"id", CTL_STRING}, {"purge", CTL_BOOL, .optional = true}, {NULL}};
static const struct ctl_field forget_out[] = {{"kept", CTL_STRING, .optional = true}, {NULL}};
static const struct ctl_field history_out[] = {{"results", CTL_OBJECTS, .type_name = "Result"},
                                               {NULL}};
static const struct ctl_field need_fields[] = {
    {"id", CTL_STRING}, {"within", CTL_INT, .optional = true}, {NULL}};
static const struct ctl_field need_out[] = {{"needed", CTL_BOOL}, {"why", CTL_STRING}, {NULL}};
static const struct ctl_field event_out[] = {{"event", CTL_OBJECT, .type_name = "Event"}, {NULL}};
static const struct ctl_field pem_out[] = {{"pem", CTL_STRING}, {NULL}};
static const struct ctl_field metrics_out[] = {{"openmetrics", CTL_STRING}, {NULL}};
static const struct ctl_field count_out[] = {{"identities", CTL_INT}, {NULL}};
static const struct ctl_field errors_field[] = {{"errors", CTL_STRINGS}, {NULL}};
static const struct ctl_field text_field[] = {{"text", CTL_STRING}, {NULL}};
static const struct ctl_field group_field[] = {{"group", CTL_STRING}, {NULL}};

static const struct ctl_method methods[] = {
    {.name = "List",
     .in = no_fields,
     .out = list_out,
     .handle = handle_list,
     .doc = "All identities, in order of their ids."},
    {.name = "Show",
     .in = id_field,
     .out = show_out,
     .handle = handle_show,
     .doc = "One identity."},
    {.name = "Enroll",
     .changes = true,
     .in = ask_fields,
     .out = ask_out,
     .handle = control_enroll,
     .doc = "Enrolls now with the birth certificate. With 'more' each step is told, the end last."},
    {.name = "Renew",
     .changes = true,
     .in = ask_fields,
     .out = ask_out,
     .handle = control_renew,
     .doc = "Renews now with the current certificate. With 'more' as Enroll."},
    {.name = "Retry",
     .changes = true,
     .in = id_field,
     .out = ask_out,
     .handle = control_retry,
     .doc = "Does now what waits after a failure or for the CA, deploying included. With 'more' as "
            "Enroll."},
    {.name = "Rekey",
     .changes = true,
     .in = id_field,
     .out = ask_out,
     .handle = control_rekey,
     .doc = "Renews now, with a new key whatever the configuration says. With 'more' as Enroll."},
    {.name = "Pause",
     .changes = true,
     .in = id_field,
     .out = pause_out,
     .handle = control_pause,
     .doc = "From now on nothing is done for it but what is asked for; kept over restarts."},
    {.name = "Resume",
     .changes = true,
     .in = id_field,
     .out = pause_out,
     .handle = control_resume,
     .doc = "Ends a pause; what became due in it is done now."},
    {.name = "History",
     .in = id_field,
     .out = history_out,
     .handle = control_history,
     .doc = "How its last attempts ended, the latest last."},
    {.name = "Request",
     .changes = true,
     .in = request_fields,
     .out = ask_out,
     .handle = control_request,
     .doc = "Looks after one more identity, over restarts, and enrolls it. With 'more' as Enroll."},
    {.name = "Forget",
     .changes = true,
     .in = forget_fields,
     .out = forget_out,
     .handle = control_forget,
     .doc = "Ends what Request began; its folder is kept elsewhere, or removed."},
    {.name = "Status",
     .in = no_fields,
     .out = status_out,
     .handle = control_status,
     .doc = "All at a glance: how many there are, which need attention, what is next."},
    {.name = "NeedsRenewal",
     .in = need_fields,
     .out = need_out,
     .handle = control_needs_renewal,
     .doc = "Whether its renewal is due, or its certificate ends within so many seconds."},
    {.name = "Rollback",
     .changes = true,
     .in = id_field,
     .out = ask_out,
     .handle = control_rollback,
     .doc =
         "Puts the certificate before in force again, until it has to be renewed. With 'more' as "
         "Enroll."},
    {.name = "Bootstrap",
     .changes = true,
     .in = bootstrap_in,
     .out = ask_out,
     .handle = control_bootstrap,
     .doc = "Takes a birth credential or trust that stands before the configured one, and enrolls "
            "with "
            "it. files names the descriptors that come with the call (SCM_RIGHTS), in their order: "
            "birth, birth_key, trust. With 'more' as Enroll."},
    {.name = "Metrics",
     .in = no_fields,
     .out = metrics_out,
     .handle = control_metrics,
     .doc = "What is measured, as OpenMetrics text."},
    {.name = "Config",
     .in = config_fields,
     .out = config_out,
     .handle = control_config,
     .doc = "What the daemon runs with, or an identity, key by key, and where that stands."},
    {.name = "Check",
     .changes = true,
     .more_only = true,
     .in = check_fields,
     .out = check_out,
     .handle = control_check,
     .doc = "Looks at all that the next attempt needs, and changes nothing; the last answer is "
            "empty."},
    {.name = "CaCerts",
     .in = id_field,
     .out = pem_out,
     .handle = control_cacerts,
     .doc = "The CA certificates that came with the current certificate."},
    {.name = "Reload",
     .changes = true,
     .in = no_fields,
     .out = count_out,
     .handle = handle_reload,
     .doc = "Reads the configuration again; answers when it is in force."},
    {.name = "Deployed",
     .changes = true,
     .owners = true,
     .in = deployed_fields,
     .out = no_fields,
     .handle = control_deployed,
     .doc = "What came of installing a generation elsewhere (0: not known which); for root and the "
            "daemon's user."},
    {.name = "Events",
     .more_only = true,
     .in = no_fields,
     .out = event_out,
     .handle = handle_events,
     .doc = "Everything that happens, until the caller goes away."},
    {NULL},
};

static const struct ctl_error_type errors[] = {
    {"NoSuchIdentity", id_field, "There is no identity of that id."},
    {"NoCertificate", id_field, "The identity has no certificate yet: enroll it first."},
    {"Busy", id_field, "An attempt is under way: try again when it has ended."},
    {"StoreFailed", text_field, "The state folder cannot be written; nothing has changed."},
    {"Failed", text_field, "The daemon could not do it; nothing has changed."},
    {"ConfigInvalid", errors_field, "The configuration has errors; the old one stays in force."},
    {"RequestInvalid", errors_field, "What was requested cannot be; nothing has changed."},
    {"NotRequested", text_field, "The identity is of the configuration, and only that ends it."},
    {"NotAllowed", group_field, "Changing needs membership of this group."},
    {NULL},
};

const struct ctl_interface control_interface = {
    .name = "org.estcd.control",
    .doc = "Certificates that estcd keeps alive.",
    .types = control_types,
    .methods = methods,
    .errors = errors,
};

static const struct ctl_service service = {
    .vendor = "the estcd authors",
    .product = "estcd",
    .version = ESTC_VERSION,
    .url = "https://www.rfc-editor.org/rfc/rfc9148",
    .interface = &control_interface,
    .read_group = "estc",
    .change_group = "estc-admin",
};

/* --- life --- */

struct control *control_free(struct control *control) {
    if (!control)
        return NULL;
    manager_observe(control->manager, NULL, NULL);
    control_check_end(control);
    ctlserver_free(control->server); /* its calls die, and the followers with them */
    free(control);
    return NULL;
}

/* The folder of the socket, where nobody else (tmpfiles, a socket unit) has made it. */
static int make_folder(const char *path, struct estc_error *err) {
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    _cleanup(freep) char *folder = text_format("%.*s", (int)(slash - path), path);
    return folder ? fs_mkdir_all(AT_FDCWD, folder, 0755, err)
                  : estc_error_set(err, -ENOMEM, "out of memory");
}

int control_new(sd_event *event, struct manager *manager, int listen_fd, struct control **out,
                struct estc_error *err) {
    const char *path = manager_config(manager)->control_socket;
    struct control *control = calloc(1, sizeof(*control));
    if (!control)
        return estc_error_set(err, -ENOMEM, "out of memory");
    control->manager = manager;
    control->event = event;
    int rc = listen_fd < 0 ? make_folder(path, err) : 0;
    if (!rc)
        rc = ctlserver_new(event, path, listen_fd, &service, control, &control->server, err);
    if (rc) {
        control_free(control);
        return rc;
    }
    manager_observe(manager, control_tell, control);
    *out = control;
    return 0;
}
