/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way to the daemon. Here is where an error gets its remedy: which group to join, which service
 * to start, which command to use instead. Never retries and never starts anything by itself.
 */
#include "daemon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "say.h"

/* The daemon that a command is for. */
struct daemon {
    const char *name, *unit, *option; /* the option that names its socket */
    const char *reading, *changing;   /* groups */
    const char *socket;
    bool from_environment;
};

static struct daemon daemon_of(const struct cli *cli) {
    if (args_is_registrar(cli))
        return (struct daemon){.name = "est-registrar",
                               .unit = "est-registrar",
                               .option = "--registrar-socket",
                               .reading = "group 'est-registrar'",
                               .changing = "the groups 'est-registrar' and 'est-registrar-admin'",
                               .socket = cli->registrar_socket,
                               .from_environment = cli->registrar_from_environment};
    return (struct daemon){.name = "estcd",
                           .unit = "estcd",
                           .option = "--socket",
                           .reading = "group 'estc'",
                           .changing = "the groups 'estc' and 'estc-admin'",
                           .socket = cli->socket,
                           .from_environment = cli->socket_from_environment};
}

/* "sudo estc enroll gw-x": the same command, as root. */
static char *as_root(const struct cli *cli, const struct daemon *daemon) {
    /* sudo drops the environment. */
    char *line = daemon->from_environment
                     ? text_format("sudo estc %s %s", daemon->option, daemon->socket)
                     : strdup("sudo estc");
    for (int i = 1; line && i < cli->argc; i++) {
        char *longer = text_format("%s %s", line, cli->argv[i]);
        free(line);
        line = longer;
    }
    return line;
}

static int not_allowed(const struct cli *cli, const char *groups) {
    const struct daemon daemon = daemon_of(cli);
    _cleanup(freep) char *again = as_root(cli, &daemon);
    say_error("access to %s denied: join %s (usermod -aG GROUP USER, then log in again), or use "
              "'%s'",
              daemon.socket, groups, again ? again : "sudo");
    return EXIT_NOT_ALLOWED;
}

int daemon_connect(const struct cli *cli, struct ctl_client **out) {
    struct estc_error err = {0};
    const struct daemon daemon = daemon_of(cli);
    int rc = ctl_client_connect(daemon.socket, out, &err);
    switch (rc) {
    case 0:
        return EXIT_DONE;
    case -EACCES:
    case -EPERM:
        return not_allowed(cli, args_changes(cli) ? daemon.changing : daemon.reading);
    case -ENOENT:
    case -ECONNREFUSED:
        say_error("%s is not running: nobody answers at %s: 'systemctl start %s', or name "
                  "another socket with %s",
                  daemon.name, daemon.socket, daemon.unit, daemon.option);
        return EXIT_NO_DAEMON;
    default:
        say_error("%s", err.text);
        return rc == -EAGAIN || rc == -ETIMEDOUT ? EXIT_NO_DAEMON : EXIT_FAILED;
    }
}

int daemon_failed(int rc, const struct estc_error *err) {
    say_error("%s", err->text);
    return rc == -ECONNRESET || rc == -ETIMEDOUT ? EXIT_NO_DAEMON : EXIT_FAILED;
}

/* --- error replies --------------------------------------------------------------------------- */

static int refused_identity(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    const char *named = json_string_value(json_object_get(params, "id"));
    say_error("there is no identity '%s': 'estc list' shows all", named ? named : id ? id : "");
    return EXIT_FAILED;
}

static int refused_certificate(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    const char *named = json_string_value(json_object_get(params, "id"));
    named = named ? named : id ? id : "";
    say_error("%s has no certificate yet: 'estc enroll %s' gets one", named, named);
    return EXIT_FAILED;
}

static int refused_busy(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    (void)params;
    say_error("%s: an attempt is under way: try again when it has ended", id ? id : "-");
    return EXIT_WORKING;
}

/* The lines of "errors". */
static json_t *say_lines(json_t *params) {
    size_t i;
    json_t *line, *lines = json_object_get(params, "errors");
    json_array_foreach(lines, i, line) {
        say_note("%s", json_string_value(line) ? json_string_value(line) : "-");
    }
    return lines;
}

static int refused_new(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    say_lines(params);
    say_error("%s cannot be requested like that; nothing has changed", id ? id : "-");
    return EXIT_BAD_CONFIG;
}

static int refused_config(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    (void)id;
    const json_t *lines = say_lines(params);
    say_error("the configuration has %zu error%s; the old one stays in force",
              json_array_size(lines), json_array_size(lines) == 1 ? "" : "s");
    return EXIT_BAD_CONFIG;
}

static int refused_request(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    (void)params;
    say_error("there is no request %s: 'estc registrar pending --all' shows all", id ? id : "");
    return EXIT_FAILED;
}

static int refused_serial(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    (void)params;
    say_error("no certificate with the serial number %s was issued there: 'openssl x509 -serial' "
              "prints that of a file",
              id ? id : "");
    return EXIT_FAILED;
}

static int refused_reason(const struct cli *cli, json_t *params, const char *id) {
    (void)id;
    const char *text = json_string_value(json_object_get(params, "text"));
    say_error("'%s' is no reason to revoke: there are %s", cli->reason ? cli->reason : "",
              text ? text : "none");
    return EXIT_BAD_USAGE;
}

static int refused_with_text(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    (void)id;
    const char *text = json_string_value(json_object_get(params, "text"));
    say_error("%s", text ? text : "the daemon does not say why");
    return EXIT_FAILED;
}

static int refused_right(const struct cli *cli, json_t *params, const char *id) {
    (void)id;
    const char *group = json_string_value(json_object_get(params, "group"));
    _cleanup(freep) char *groups = text_format("group '%s'", group ? group : "estc-admin");
    return not_allowed(cli, groups ? groups : "group 'estc-admin'");
}

static int refused_method(const struct cli *cli, json_t *params, const char *id) {
    (void)cli;
    (void)params;
    (void)id;
    say_error("this daemon does not know that command: 'estc version' compares the versions; "
              "restart the daemon after an upgrade");
    return EXIT_FAILED;
}

static int refused_parameter(const struct cli *cli, json_t *params, const char *id) {
    const char *name = json_string_value(json_object_get(params, "parameter"));
    (void)cli;
    say_error("the daemon does not accept '%s' as %s", id ? id : "", name ? name : "a parameter");
    return EXIT_FAILED;
}

int daemon_refused(const struct cli *cli, const struct ctl_reply *reply, const char *id) {
    static const struct {
        const char *name;
        int (*say)(const struct cli *cli, json_t *params, const char *id);
    } known[] = {
        {DAEMON_INTERFACE ".NoSuchIdentity", refused_identity},
        {DAEMON_INTERFACE ".NoCertificate", refused_certificate},
        {DAEMON_INTERFACE ".Busy", refused_busy},
        {DAEMON_INTERFACE ".ConfigInvalid", refused_config},
        {DAEMON_INTERFACE ".RequestInvalid", refused_new},
        {DAEMON_INTERFACE ".NotRequested", refused_with_text},
        {DAEMON_INTERFACE ".NotAllowed", refused_right},
        {DAEMON_INTERFACE ".StoreFailed", refused_with_text},
        {DAEMON_INTERFACE ".Failed", refused_with_text},
        {REGISTRAR_INTERFACE ".NotAllowed", refused_right},
        {REGISTRAR_INTERFACE ".NoSuchRequest", refused_request},
        {REGISTRAR_INTERFACE ".AlreadyDecided", refused_with_text},
        {REGISTRAR_INTERFACE ".NoSuchCertificate", refused_serial},
        {REGISTRAR_INTERFACE ".AlreadyRevoked", refused_with_text},
        {REGISTRAR_INTERFACE ".NoSuchReason", refused_reason},
        {REGISTRAR_INTERFACE ".LedgerFailed", refused_with_text},
        {"org.varlink.service.InterfaceNotFound", refused_method},
        {"org.varlink.service.MethodNotFound", refused_method},
        {"org.varlink.service.MethodNotImplemented", refused_method},
        {"org.varlink.service.InvalidParameter", refused_parameter},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, reply->error) == 0)
            return known[i].say(cli, reply->params, id);
    say_error("the daemon says: %s", reply->error);
    return EXIT_FAILED;
}

json_t *daemon_member(const struct ctl_reply *reply, const char *member, json_type type) {
    json_t *value = json_object_get(reply->params, member);
    if (value && json_typeof(value) == type)
        return value;
    say_error(
        "the daemon's answer has no '%s': is it of another version than this estc, " ESTC_VERSION
        "?",
        member);
    return NULL;
}

int64_t daemon_time(json_t *answer, const char *member) {
    const char *text = json_string_value(json_object_get(answer, member));
    int64_t at;
    return text && clock_parse(text, &at) == 0 ? at : clock_real();
}

int daemon_call(const struct cli *cli, const char *method, json_t *params, const char *id,
                struct ctl_reply *out) {
    _cleanup(json_freep) json_t *owned = params;
    _cleanup(ctl_client_freep) struct ctl_client *client = NULL;
    struct estc_error err = {0};
    int code = daemon_connect(cli, &client);
    if (code != EXIT_DONE)
        return code;
    int rc = ctl_client_send(client, method, owned, false, &err);
    if (!rc)
        rc = ctl_client_receive(client, DAEMON_ANSWER_MS, out, &err);
    if (rc)
        return daemon_failed(rc, &err);
    return out->error ? daemon_refused(cli, out, id) : EXIT_DONE;
}
