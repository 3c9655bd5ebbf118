/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The order of the checks, and those of the machine: configuration, clock, and what a deployment
 * needs. These come before the process gives up its rights, and read no byte of a peer's.
 */
#include "check.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config_report.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "bootstrap.h"
#include "check_internal.h"
#include "common/exitcode.h"
#include "common/pem.h"
#include "ctl/json.h"
#include "sandbox.h"
#include "timebase.h"
#include "worker.h"

#define MESSAGE_TEXT_MAX 1024

static const struct {
    const char *label;
    bool network;
    void (*ask)(struct checking *c, struct finding *out);
} checks[] = {
    [CHECK_CONFIG] = {"configuration", false, check_config},
    [CHECK_CLOCK] = {"clock", false, check_clock},
    [CHECK_DEPLOY] = {"deployment", false, check_deploy},
    [CHECK_FILES] = {"files", false, check_files},
    [CHECK_USAGE] = {"usage", false, check_usage},
    [CHECK_DATES] = {"dates", false, check_dates},
    [CHECK_NAME] = {"name", true, check_name},
    [CHECK_ROUTE] = {"route", true, check_route},
    [CHECK_MTU] = {"mtu", true, check_mtu},
    [CHECK_HANDSHAKE] = {"handshake", true, check_handshake},
    [CHECK_CHAIN] = {"chain", false, check_chain},
};
#define FIRST_IN_CAGE CHECK_FILES
#define FIRST_OF_SERVER CHECK_NAME /* that, and all that follow, are asked about each */

#define CHECK_LABEL(name, label) [name] = label,
static const char *const result_names[] = {CHECK_RESULTS(CHECK_LABEL)};
#undef CHECK_LABEL

void finding_set(struct finding *out, enum check_result result, char *text, char *remedy) {
    free(out->text);
    free(out->remedy);
    *out = (struct finding){.result = result, .text = text, .remedy = remedy};
}

void finding_fail(struct finding *out, int code, char *text, char *remedy) {
    finding_set(out, CHECK_FAILED, text, remedy);
    out->code = code;
}

/* --- configuration --- */

/* The first key that the files say otherwise; *n counts them. */
static const char *first_old(json_t *report, size_t *n) {
    const char *first = NULL;
    size_t i;
    json_t *key;
    json_array_foreach(json_object_get(report, "keys"), i, key) {
        const char *source = json_string_value(json_object_get(key, "source"));
        if (!source || strcmp(source, config_source_names[CONFIG_SOURCE_OLD]) != 0)
            continue;
        first = first ? first : json_string_value(json_object_get(key, "key"));
        (*n)++;
    }
    return first;
}

void check_config(struct checking *c, struct finding *out) {
    struct config_running running = {c->task->config_path, c->task->config, c->identity,
                                     c->task->requested};
    _cleanup(json_freep) json_t *own = config_report(&running);
    running.identity = NULL;
    _cleanup(json_freep) json_t *rest = config_report(&running);
    const json_t *errors = json_object_get(own, "errors");
    size_t n = 0;
    const char *first = first_old(own, &n), *other = first_old(rest, &n);
    if (json_array_size(errors) > 0)
        finding_fail(out, EXIT_BAD_CONFIG,
                     text_format("the files have errors by now: %s",
                                 json_string_value(json_array_get(errors, 0))),
                     text_format("mend them ('estcd -n' shows all): a restart would fail"));
    else if (n > 0)
        finding_set(out, CHECK_WARNING,
                    text_format("the files have changed and are not in force: %s%s",
                                first ? first : other, n > 1 ? " and more" : ""),
                    text_format("'estc config %s' shows what; 'estc reload' puts it in force",
                                c->identity->id));
    else
        finding_set(out, CHECK_OK,
                    text_format(c->task->requested ? "%s, as it runs" : "%s:%u, as it runs",
                                c->identity->origin.file, c->identity->origin.line),
                    NULL);
}

/* --- clock --- */

void check_clock(struct checking *c, struct finding *out) {
    char now[CLOCK_TEXT_MAX];
    (void)c;
    if (timebase_trusted())
        finding_set(out, CHECK_OK, strdup(clock_text(timebase_now(), now)), NULL);
    else
        finding_set(out, CHECK_WARNING, timebase_explain(),
                    strdup("set the clock, or see why nothing does: 'timedatectl'"));
}

/* --- deployment --- */

/* What is missing, malloc'd; NULL: nothing that could be seen from here. */
static char *install_fault(const struct config_install *install) {
    const char *slash = strrchr(install->file, '/');
    _cleanup(freep) char *folder = text_format(
        "%.*s", slash && slash != install->file ? (int)(slash - install->file) : 1, install->file);
    struct stat st;
    if (folder && stat(folder, &st) < 0 && errno != EACCES)
        return text_format("the folder of %s: %s", install->file, strerror(errno));
    if (install->owner && install->owner[strspn(install->owner, "0123456789")] &&
        !getpwnam(install->owner))
        return text_format("%s: there is no user '%s'", install->file, install->owner);
    if (install->group && install->group[strspn(install->group, "0123456789")] &&
        !getgrnam(install->group))
        return text_format("%s: there is no group '%s'", install->file, install->group);
    return NULL;
}

void check_deploy(struct checking *c, struct finding *out) {
    const struct config_deploy *deploy = &c->identity->deploy;
    char *fault = NULL;
    for (size_t i = 0; !fault && i < deploy->install.n; i++)
        fault = install_fault(config_install_at(deploy, i));
    for (size_t i = 0; !fault && i < deploy->exec.n; i++) {
        const char *program = config_exec_at(deploy, i)->command[0];
        if (access(program, X_OK) < 0 && errno != EACCES)
            fault = text_format("program %s: %s", program, strerror(errno));
    }
    if (fault)
        finding_fail(out, EXIT_FAILED, fault, strdup("make it, or change the configuration"));
    else
        finding_set(out, CHECK_OK,
                    deploy->digest ? text_format("%zu file%s, %zu program%s", deploy->install.n,
                                                 deploy->install.n == 1 ? "" : "s", deploy->exec.n,
                                                 deploy->exec.n == 1 ? "" : "s")
                                   : strdup("nothing is to be deployed"),
                    NULL);
}

/* --- the process --- */

static void ask(struct checking *c, int check, int fd) {
    struct finding found = {.result = CHECK_SKIPPED};
    checks[check].ask(c, &found);
    worker_send(fd, json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:i}", "check", checks[check].label,
                              "result", result_names[found.result], "text",
                              found.text ? found.text : "", "remedy", found.remedy, "server",
                              c->server, "code", found.code));
    free(found.text);
    free(found.remedy);
}

static void ask_of_servers(struct checking *c, int fd) {
    size_t n = text_list_len(c->identity->urls);
    for (size_t i = 0; i < n && (i == 0 || c->task->network); i++) {
        estc_url_clear(&c->attempt.server);
        c->transport = estc_transport_free(c->transport);
        c->addresses.count = 0;
        c->server = n > 1 && c->task->network ? c->identity->urls[i] : NULL;
        if (estc_url_parse(c->identity->urls[i], &c->attempt.server, NULL))
            continue;
        for (int check = FIRST_OF_SERVER; check < CHECK_MAX_; check++)
            if (c->task->network || !checks[check].network)
                ask(c, check, fd);
    }
}

/* It reads what an attempt reads, and writes nothing. */
static int enter_cage(const struct check_task *task, struct estc_error *err) {
    const struct config_identity *i = task->identity;
    _cleanup(freep) char *folder =
        text_format("%s/identities/%s", task->config->state_directory, i->id);
    const char *const named[] = {folder, i->birth_certificate, i->birth_key, i->trust};
    const char *readable[sizeof(named) / sizeof(named[0]) + 1] = {NULL};
    size_t n = 0;
    for (size_t k = 0; k < sizeof(named) / sizeof(named[0]); k++)
        if (named[k])
            readable[n++] = named[k];
    const struct sandbox_paths paths = {
#ifdef ESTC_REPORTS /* where a test build's sanitizers and coverage write */
        .writable = (const char *const[]){ESTC_REPORTS, NULL},
#endif
        .readable = readable,
    };
    return sandbox_enter(&paths, err);
}

static void clear(struct checking *c) {
    estc_transport_free(c->transport);
    pem_credentials_clear(&c->birth);
    pem_credentials_clear(&c->current);
    estc_trust_free(c->attempt.trust);
    estc_trust_free(c->attempt.designated);
    estc_url_clear(&c->attempt.server);
}

/* And what somebody has brought stands before what is configured, as in an attempt. */
static int enter(struct checking *c, struct bootstrap_texts *texts,
                 struct config_identity *identity, struct estc_error *err) {
    int rc = c->identity->key_origin == CONFIG_ORIGIN_TPM ? estc_key_use_tpm(err) : 0;
    if (!rc)
        rc = enter_cage(c->task, err);
    if (!rc)
        rc = bootstrap_apply(c->task->config->state_directory, c->task->identity, texts, identity,
                             err);
    if (!rc)
        c->identity = c->attempt.identity = identity;
    return rc;
}

void check_run(const void *arg, int fd) {
    const struct check_task *task = arg;
    struct checking c = {
        .task = task,
        .identity = task->identity,
        .wait = estc_wait_in((int64_t)CHECK_SECONDS * 1000),
        .attempt = {.identity = task->identity},
    };
    struct estc_error err = {0};
    _cleanup(bootstrap_texts_clear) struct bootstrap_texts texts = {0};
    struct config_identity identity;
    for (int check = 0; check <= FIRST_OF_SERVER; check++) {
        if (check == FIRST_IN_CAGE && enter(&c, &texts, &identity, &err)) {
            worker_send(fd, json_pack("{s:s, s:s, s:s, s:i}", "check", checks[check].label,
                                      "result", result_names[CHECK_FAILED], "text", err.text,
                                      "code", EXIT_FAILED));
            break;
        }
        if (check < FIRST_OF_SERVER)
            ask(&c, check, fd);
        else
            ask_of_servers(&c, fd);
    }
    clear(&c);
}

/* --- messages --- */

static const char *known_label(const json_t *json) {
    const char *label = json_string_value(json_object_get(json, "check"));
    for (int i = 0; label && i < CHECK_MAX_; i++)
        if (strcmp(label, checks[i].label) == 0)
            return checks[i].label;
    return NULL;
}

static const char *known_result(const json_t *json) {
    const char *name = json_string_value(json_object_get(json, "result"));
    for (int i = 0; name && i < CHECK_RESULT_MAX_; i++)
        if (strcmp(name, result_names[i]) == 0)
            return result_names[i];
    return NULL;
}

json_t *check_message(const void *data, size_t len) {
    _cleanup(json_freep) json_t *json =
        len <= WORKER_MESSAGE_MAX ? ctl_json_object(data, len) : NULL;
    const char *label = known_label(json), *result = known_result(json);
    _cleanup(freep) char *text = ctl_json_text(json, "text", MESSAGE_TEXT_MAX);
    _cleanup(freep) char *remedy = ctl_json_text(json, "remedy", MESSAGE_TEXT_MAX);
    _cleanup(freep) char *server = ctl_json_text(json, "server", MESSAGE_TEXT_MAX);
    if (!label || !result || !text)
        return NULL;
    return json_pack("{s:s, s:s, s:s, s:s*, s:s*, s:I}", "check", label, "result", result, "text",
                     text, "remedy", remedy, "server", server, "code",
                     (json_int_t)ctl_json_int(json, "code", EXIT_DONE, EXIT_WORKING));
}
