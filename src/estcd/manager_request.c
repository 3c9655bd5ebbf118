/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Identities that come and go at run time, without a configuration. What is asked for is judged as
 * it will be read at the next start, and on disk before anything is done for it; what is forgotten
 * is gone from the disk's view before its folder is touched.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_request.h"
#include "base/text.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"
#include "store_request.h"

bool member_requested(const struct member *member) {
    return member->requested != NULL;
}

/* Whether there may be another one of that id. */
static void judge_id(const struct manager *manager, const char *id, struct conf_errors *errors) {
    if (!config_id_judge(id, NULL, errors))
        return;
    const struct member *other = manager_find(manager, id);
    size_t requested = 0;
    for (size_t i = 0; i < manager->n_members; i++)
        requested += manager->members[i]->requested != NULL;
    if (other && other->requested)
        conf_error(errors, NULL, "%s was requested already: 'estc forget %s' ends it", id, id);
    else if (other)
        conf_error(errors, NULL,
                   "%s stands in the configuration, at %s:%u: take another id, or "
                   "change it there and reload",
                   id, other->identity.config->origin.file, other->identity.config->origin.line);
    else if (requested >= STORE_REQUESTS_MAX)
        conf_error(errors, NULL,
                   "there are %zu requested identities, and no more can be: forget "
                   "some, or put it into the configuration",
                   requested);
}

static void tell(struct manager *manager, const struct member *member, enum manager_event_kind kind,
                 const char *text) {
    const struct manager_event event = {.kind = kind, .member = member, .text = text};
    manager_tell(manager, &event);
}

int manager_request(struct manager *manager, const char *id, const char *text,
                    struct conf_errors *errors, struct estc_error *err) {
    const char *state = manager->config->state_directory;
    struct config_identity *identity = NULL;
    judge_id(manager, id, errors);
    if (conf_errors_any(errors))
        return ESTC_E_CONFIG;
    /* As it is going to be read, but for the place, where it does not stand yet. */
    int rc = config_request_read(id, NULL, text, strlen(text), manager->config, &identity, errors);
    if (!rc)
        rc = config_names_apart(&(struct config_named){identity, errors}, 1);
    if (!rc && conf_errors_any(errors))
        rc = ESTC_E_CONFIG;
    _cleanup(freep) char *path = rc ? NULL : store_request_path(state, id);
    _cleanup(freep) char *kept = NULL;
    if (!rc && !path)
        rc = -ENOMEM;
    if (!rc)
        rc = store_end_forget(state, id, &kept, err);
    if (!rc)
        rc = store_save_request(state, id, text, err);
    if (rc) {
        config_request_free(identity);
        return rc == -ENOMEM ? estc_error_set(err, rc, "out of memory") : rc;
    }
    identity->origin.file = TAKE(path);
    struct member *member = manager_add(manager, identity);
    if (!member)
        return estc_error_set(err, -ENOMEM, "out of memory: reload, and it is looked after");
    catalog_log(CATALOG_REQUESTED, id, NULL, "%s: requested: it is looked after from now on", id);
    tell(manager, member, MANAGER_REQUESTED, "looked after from now on");
    return 0;
}

int manager_forget(struct manager *manager, struct member *member, bool purge, char **kept,
                   struct estc_error *err) {
    const char *state = manager->config->state_directory;
    const struct conf_origin *origin = &member->identity.config->origin;
    _cleanup(freep) char *id = strdup(member->identity.config->id);
    _cleanup(freep) char *moved = NULL;
    *kept = NULL;
    if (!id)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (!member->requested)
        return estc_error_set(err, ESTC_E_CONFIG,
                              "%s stands in the configuration: remove it from %s:%u and reload", id,
                              origin->file, origin->line);
    int rc = store_begin_forget(state, id, purge, err);
    if (rc)
        return rc;
    tell(manager, member, MANAGER_FORGOTTEN, "nobody looks after it any more");
    manager_remove(manager, member);
    rc = store_end_forget(state, id, &moved, err);
    if (rc) {
        estc_error_prefix(
            err, "%s is forgotten, but its folder is where it was, until the next start", id);
        journal_warning("%s", err->text);
    }
    *kept = moved ? text_format("%s/%s", state, moved) : NULL;
    catalog_log(CATALOG_FORGOTTEN, id, NULL, "%s: forgotten; %s%s", id,
                rc      ? "its folder is put away at the next start"
                : purge ? "its keys and certificates are removed"
                : *kept ? "its keys and certificates are in "
                        : "it had no keys and certificates",
                *kept ? *kept : "");
    manager_schedule(manager);
    return rc;
}
