/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Carries out what the configuration says for one identity. Files come first and all of them: a
 * service that reloads finds either what it had or everything new. Every unit and program gets its
 * turn, whatever became of those before it; the first failure is the one that is told. All of it is
 * done again when it is tried again.
 */
#include "deploy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "command.h"
#include "common/journal.h"
#include "common/program.h"
#include "place.h"
#include "reader.h"
#include "report.h"

#define UNIT_TIMEOUT_S 90 /* systemd's own, for a start or a reload */

/* What one run has to work with. */
struct run {
    const struct config_identity *identity;
    const struct material *material;
    char *folder;       /* with the parts, for hooks */
    char **environment; /* of all programs; NULL-ended */
};

static int out_of_memory(struct estc_error *err) {
    return estc_error_set(err, -ENOMEM, "out of memory");
}

/* Remembers the first of several failures. */
static void keep_first(int *first, struct estc_error *kept, int rc, const struct estc_error *err) {
    if (!rc || *first)
        return;
    *first = rc;
    *kept = *err;
}

/* --- files --- */

static int install_files(const struct run *run, struct estc_error *err) {
    int rc = 0;
    for (size_t i = 0; !rc && i < run->material->n_files; i++)
        rc =
            place_file(config_install_at(&run->identity->deploy, i), &run->material->files[i], err);
    return rc;
}

/* --- what hooks are told --- */

static int make_environment(struct run *run, struct estc_error *err) {
    const struct material *m = run->material;
    char until[CLOCK_TEXT_MAX];
    _cleanup(freep) char *generation = text_format("%lld", (long long)m->generation);
    _cleanup(freep) char *cert = text_format("%s/cert.pem", run->folder);
    if (!generation || !cert)
        return out_of_memory(err);
    const struct {
        const char *name, *value;
    } pairs[] = {
        {"ESTC_ID", run->identity->id},
        {"ESTC_EVENT", m->generation == 1 ? "issued" : "renewed"},
        {"ESTC_SERIAL", m->serial},
        {"ESTC_NOT_AFTER", clock_text(m->not_after, until)},
        {"ESTC_GENERATION", generation},
        {"ESTC_DIRECTORY", run->folder},
        {"ESTC_CERT", cert},
    };
    int rc = text_list_add(&run->environment, PROGRAM_PATH);
    if (!rc)
        rc = text_list_add(&run->environment, PROGRAM_LANG);
    for (size_t i = 0; !rc && i < sizeof(pairs) / sizeof(pairs[0]); i++)
        rc = program_add_pair(&run->environment, pairs[i].name, pairs[i].value);
    return rc ? out_of_memory(err) : 0;
}

/* Key and certificates as hooks may read them: they must not reach into the state folder, where
 * links of somebody else's may wait for root. */
static int make_folder(struct run *run, const char *parent, struct estc_error *err) {
    run->folder = text_format("%s/%s-XXXXXX", parent, run->identity->id);
    if (!run->folder)
        return out_of_memory(err);
    if (!mkdtemp(run->folder)) {
        int rc = fs_fail(err, errno, "make the folder", run->folder);
        free(run->folder);
        run->folder = NULL;
        return rc;
    }
    int rc = 0;
    for (size_t i = 0; !rc && i < MATERIAL_PARTS; i++) {
        _cleanup(freep) char *path = text_format("%s/%s.pem", run->folder, config_content_names[i]);
        const struct estc_buf *part = &run->material->parts[i];
        rc = path ? fs_write_new(AT_FDCWD, path, part->data, part->len, 0600, err)
                  : out_of_memory(err);
    }
    return rc;
}

static void run_clear(struct run *run) {
    struct estc_error err = {0};
    if (run->folder && fs_remove_tree(AT_FDCWD, run->folder, &err))
        journal_warning("%s", err.text);
    free(run->folder);
    text_list_free(run->environment);
}

/* --- units and programs --- */

static int call_systemctl(const struct run *run, const char *verb, char *unit,
                          struct estc_error *err) {
    char *const argv[] = {(char[]){"systemctl"}, (char *)(uintptr_t)verb, (char[]){"--"}, unit,
                          NULL};
    int rc = command_run(argv, run->environment, UNIT_TIMEOUT_S, run->identity->id, err);
    return rc ? estc_error_prefix(err, "%s %s", verb, unit) : 0;
}

static int call_units(const struct run *run, const char *verb, char *const *units,
                      struct estc_error *kept) {
    int first = 0;
    for (; units && *units; units++) {
        struct estc_error err = {0};
        int rc = call_systemctl(run, verb, *units, &err);
        keep_first(&first, kept, rc, &err);
    }
    return first;
}

static int call_programs(const struct run *run, struct estc_error *kept) {
    const struct config_deploy *deploy = &run->identity->deploy;
    int first = 0;
    for (size_t i = 0; i < deploy->exec.n; i++) {
        const struct config_exec *exec = config_exec_at(deploy, i);
        struct estc_error err = {0};
        int rc =
            command_run(exec->command, run->environment, exec->timeout, run->identity->id, &err);
        keep_first(&first, kept, rc, &err);
    }
    return first;
}

static int call_all(const struct run *run, struct estc_error *kept) {
    const struct config_deploy *deploy = &run->identity->deploy;
    struct estc_error err = {0};
    int first = call_units(run, "try-reload-or-restart", deploy->reload, kept);
    int rc = call_units(run, "try-restart", deploy->restart, &err);
    keep_first(&first, kept, rc, &err);
    rc = call_programs(run, &err);
    keep_first(&first, kept, rc, &err);
    return first;
}

static int carry_out(const struct config_identity *identity, const struct material *material,
                     const char *folder, struct estc_error *err) {
    _cleanup(run_clear) struct run run = {.identity = identity, .material = material};
    int rc = install_files(&run, err);
    if (!rc)
        rc = make_folder(&run, folder, err);
    if (!rc)
        rc = make_environment(&run, err);
    return rc ? rc : call_all(&run, err);
}

int deploy_identity(const struct config *config, const struct state *state, const char *folder,
                    const struct config_identity *identity) {
    _cleanup(material_clear) struct material material = {0};
    _cleanup(freep) char *field = text_format("ESTC_ID=%s", identity->id);
    const char *const fields[] = {field, NULL};
    struct estc_error err = {0};
    int rc = reader_run(state, identity, &material, &err);
    if (!rc)
        rc = carry_out(identity, &material, folder, &err);
    if (rc)
        journal_write(ESTC_LOG_WARNING, fields, "%s: not deployed: %s", identity->id, err.text);
    else
        journal_write(ESTC_LOG_NOTICE, fields, "%s: certificate %s deployed", identity->id,
                      material.serial);
    report(config->control_socket, identity->id, material.generation, rc ? err.text : NULL);
    return rc;
}

/* --- beforehand --- */

/* How much is wrong. */
static size_t install_check(const struct config_install *install, const char *id) {
    char *password = NULL;
    struct estc_error err = {0}, unread = {0};
    int rc = place_check(install, &err);
    if (rc)
        fprintf(stderr, "estcd-deploy: %s: %s\n", id, err.text);
    int read = install->password ? reader_password(install->password, &password, &unread) : 0;
    if (read)
        fprintf(stderr, "estcd-deploy: %s: password: %s\n", id, unread.text);
    reader_wipe(password);
    return (size_t)(rc != 0) + (size_t)(read != 0);
}

size_t deploy_check(const struct config_identity *identity) {
    const struct config_deploy *deploy = &identity->deploy;
    size_t unfit = 0;
    for (size_t i = 0; i < deploy->install.n; i++)
        unfit += install_check(config_install_at(deploy, i), identity->id);
    for (size_t i = 0; i < deploy->exec.n; i++) {
        const char *program = config_exec_at(deploy, i)->command[0];
        if (access(program, X_OK) < 0) {
            fprintf(stderr, "estcd-deploy: %s: cannot run %s: %m\n", identity->id, program);
            unfit++;
        }
    }
    return unfit;
}
