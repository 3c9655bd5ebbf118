/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * While an identity waits for somebody to mend a file: the folders of its files are watched, and a
 * change of one of them makes it due. What a link points at elsewhere is not seen; the plan looks
 * again by itself after a while, so nothing depends on it.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/text.h"
#include "common/journal.h"
#include "manager_internal.h"

#define MEMBER_WATCHES 5
#define WATCHED \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_ONLYDIR)

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The files whose change may help; the last two are ours. malloc'd paths, NULL-ended. */
static char **watched_paths(const struct member *member) {
    const struct config_identity *config = member->identity.config;
    const char *state = member->manager->config->state_directory;
    char **paths = NULL;
    const char *const named[] = {config->birth_certificate, config->birth_key, config->trust,
                                 config->key_decrypt};
    for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
        if (named[i])
            text_list_add(&paths, named[i]);
    if (!member->identity.store_unfit)
        return paths;
    _cleanup(freep) char *current = text_format("%s/identities/%s/current", state, config->id);
    _cleanup(freep) char *key = store_path(state, config->id, "key.pem");
    if (current && key) {
        text_list_add(&paths, current);
        text_list_add(&paths, key);
    }
    return paths;
}

static bool is_watched(const struct member *member, const char *name) {
    char **paths = watched_paths(member);
    bool found = false;
    for (char *const *path = paths; path && *path && !found; path++)
        found = strcmp(base_name(*path), name) == 0;
    text_list_free(paths);
    /* Any file of a generation counts: facts.json, cert.pem, ... */
    size_t len = strlen(name);
    return found || (member->identity.store_unfit && len > 4 &&
                     (strcmp(name + len - 4, ".pem") == 0 || strcmp(name, "facts.json") == 0));
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *arg) {
    (void)source;
    struct member *member = arg;
    if (event->len == 0 || !is_watched(member, event->name))
        return 0;
    journal_debug("%s: %s changed", member->identity.config->id, event->name);
    if (member->identity.store_unfit) {
        /* Nothing to ask a server for: look at our own folder again. */
        member_load(member);
        if (!member->identity.store_unfit)
            member_unwatch(member);
    } else {
        member->identity.asked = member->identity.attempts.paused_since == 0;
    }
    member_replan(member);
    manager_schedule(member->manager);
    return 0;
}

void member_unwatch(struct member *member) {
    for (size_t i = 0; member->watches && i < MEMBER_WATCHES; i++)
        sd_event_source_disable_unref(member->watches[i]);
    free(member->watches);
    member->watches = NULL;
}

void member_watch(struct member *member) {
    member_unwatch(member);
    char **paths = watched_paths(member);
    member->watches = calloc(MEMBER_WATCHES, sizeof(sd_event_source *));
    for (size_t i = 0; member->watches && paths && paths[i] && i < MEMBER_WATCHES; i++) {
        _cleanup(freep) char *folder =
            text_format("%.*s", (int)(base_name(paths[i]) - paths[i]), paths[i]);
        /* A folder that is not there cannot be watched; the plan's own time is left. */
        if (folder)
            sd_event_add_inotify(member->manager->event, &member->watches[i],
                                 *folder ? folder : ".", WATCHED, on_change, member);
    }
    text_list_free(paths);
}
