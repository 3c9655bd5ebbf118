/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is looked after: each identity of estcd.conf, and each that was asked for at run time and has
 * no namesake there. A text of the latter that is unfit stops nobody; it is named, and not used.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_request.h"
#include "base/text.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"
#include "store_request.h"

/* One of the roster, before it is in force. */
struct place {
    const struct config_identity *config;
    struct config_identity *requested; /* owned; the same as config, or NULL */
    struct member *member;             /* who had it before, or NULL */
};

struct roster {
    struct place *places; /* sorted by id */
    size_t n;
    char **replaced; /* ids that were asked for, and are of estcd.conf now; owned */
};

static void roster_clear(struct roster *roster) {
    for (size_t i = 0; i < roster->n; i++)
        config_request_free(roster->places[i].requested);
    free(roster->places);
    text_list_free(roster->replaced);
}

static int compare_places(const void *a, const void *b) {
    return strcmp(((const struct place *)a)->config->id, ((const struct place *)b)->config->id);
}

static int compare_id(const void *id, const void *place) {
    return strcmp(id, ((const struct place *)place)->config->id);
}

/* --- making it --- */

/* One that was asked for, with what is wrong with it. */
struct reading {
    const char *id; /* borrowed */
    struct config_identity *identity;
    struct conf_errors errors;
};

static void log_unfit(const char *id, const char *fault) {
    catalog_log(CATALOG_REQUEST_UNFIT, id, NULL, "%s: what was requested is not used: %s", id,
                fault);
}

/* False, with a line in the log, when it cannot be read. */
static bool read_request(const struct config *config, struct reading *r) {
    const char *state = config->state_directory;
    _cleanup(estc_buf_clear) struct estc_buf text = {0};
    _cleanup(freep) char *path = store_request_path(state, r->id);
    struct estc_error err = {0};
    int rc = path ? store_read_request(state, r->id, &text, &err) : -ENOMEM;
    if (!rc)
        rc = config_request_read(r->id, path, text.data ? (const void *)text.data : "", text.len,
                                 config, &r->identity, &r->errors);
    if (rc)
        log_unfit(r->id, rc == -ENOMEM ? "out of memory" : err.text);
    return rc == 0;
}

/* Names, of all together; what is fit gets its place. */
static int take_readings(struct roster *roster, struct reading *readings, size_t n) {
    _cleanup(freep) struct config_named *all = calloc(n + 1, sizeof(*all));
    for (size_t i = 0; all && i < n; i++)
        all[i] = (struct config_named){readings[i].identity, &readings[i].errors};
    int rc = all ? config_names_apart(all, n) : -ENOMEM;
    for (size_t i = 0; !rc && i < n; i++) {
        struct reading *r = &readings[i];
        if (r->errors.lines) {
            log_unfit(r->id, r->errors.lines[0]);
            continue;
        }
        struct config_identity *identity = TAKE(r->identity);
        roster->places[roster->n++] = (struct place){.config = identity, .requested = identity};
    }
    return rc;
}

static int read_requests(struct roster *roster, const struct config *config, char *const *ids) {
    size_t n = text_list_len(ids), fit = 0;
    _cleanup(freep) struct reading *readings = calloc(n + 1, sizeof(*readings));
    int rc = readings ? 0 : -ENOMEM;
    for (size_t i = 0; !rc && i < n; i++) {
        readings[fit].id = ids[i];
        if (config_find(config, ids[i]))
            rc = text_list_add(&roster->replaced, ids[i]);
        else
            fit += read_request(config, &readings[fit]);
    }
    if (!rc)
        rc = take_readings(roster, readings, fit);
    for (size_t i = 0; i < fit; i++) {
        conf_errors_clear(&readings[i].errors);
        config_request_free(readings[i].identity);
    }
    return rc;
}

static int add_requests(struct roster *roster, const struct config *config) {
    struct estc_error err = {0};
    char **ids = NULL;
    int rc = store_list_requests(config->state_directory, &ids, &err);
    if (rc)
        journal_error("identities made at run time are not known: %s", err.text);
    size_t n = text_list_len(ids);
    struct place *grown = reallocarray(roster->places, roster->n + n + 1, sizeof(*roster->places));
    roster->places = grown ? grown : roster->places;
    rc = grown ? read_requests(roster, config, ids) : -ENOMEM;
    text_list_free(ids);
    return rc;
}

static int roster_make(const struct manager *manager, const struct config *config,
                       struct roster *out) {
    size_t n = config_count(config);
    out->places = calloc(n + 1, sizeof(*out->places));
    if (!out->places)
        return -ENOMEM;
    for (out->n = 0; out->n < n; out->n++)
        out->places[out->n].config = config_at(config, out->n);
    int rc = add_requests(out, config);
    if (out->n > 1)
        qsort(out->places, out->n, sizeof(*out->places), compare_places);
    for (size_t i = 0; i < out->n; i++)
        out->places[i].member = manager_find(manager, out->places[i].config->id);
    return rc;
}

/* --- putting it in force --- */

/* The configuration may name other files now: whoever waited for one to be mended tries again. Our
 * own folder is not in it; there the waiting goes on. */
static void look_again(struct member *m) {
    if (m->identity.working || m->identity.store_unfit || m->identity.attempts.paused_since != 0 ||
        m->identity.attempts.last_result != ESTC_E_CREDENTIAL)
        return;
    m->identity.asked = true;
    member_unwatch(m);
}

/* The member of a place, which has lost what it owned; NULL: no memory for a new one. */
static struct member *settle(struct manager *manager, struct place *place) {
    struct member *m = place->member ? place->member : member_new(manager, place->config);
    if (!m)
        return NULL;
    identity_configure(&m->identity, place->config);
    if (place->member)
        look_again(m);
    config_request_free(m->requested);
    m->requested = TAKE(place->requested);
    member_replan(m);
    return m;
}

static void set_aside(const struct config *config, const char *id) {
    const struct config_identity *now = config_find(config, id);
    struct estc_error err = {0};
    int rc = store_replace_request(config->state_directory, id, &err);
    catalog_log(CATALOG_REQUEST_UNFIT, id, NULL,
                "%s: what was requested at run time counts no more, since %s:%u has an identity of "
                "that name%s%s",
                id, now->origin.file, now->origin.line, rc ? "; it cannot be set aside: " : "",
                rc ? err.text : "");
}

/* Nothing fails but memory for a new member, which then waits for the next reload. */
static void put_in_force(struct manager *manager, struct config *config, struct roster *roster,
                         struct member **members) {
    size_t kept = 0;
    for (size_t i = 0; i < manager->n_members; i++) {
        struct member *m = manager->members[i];
        if (roster->n == 0 || !bsearch(m->identity.config->id, roster->places, roster->n,
                                       sizeof(*roster->places), compare_id))
            member_free(m);
    }
    struct config *old = manager->config;
    manager->config = config;
    for (size_t i = 0; i < roster->n; i++) {
        struct member *m = settle(manager, &roster->places[i]);
        if (m)
            members[kept++] = m;
        else
            journal_error("%s: out of memory: reload again", roster->places[i].config->id);
    }
    free(manager->members);
    manager->members = members;
    manager->n_members = kept;
    if (old != config)
        config_free(old);
}

int manager_take(struct manager *manager, struct config *config) {
    _cleanup(roster_clear) struct roster roster = {0};
    int rc = roster_make(manager, config, &roster);
    struct member **members = rc ? NULL : calloc(roster.n + 1, sizeof(struct member *));
    if (!members)
        return -ENOMEM;
    put_in_force(manager, config, &roster, members);
    malloc_trim(0); /* what reading took, of which there is much where there are many */
    for (char *const *id = roster.replaced; id && *id; id++)
        set_aside(config, *id);
    return 0;
}

/* --- one more, one less --- */

struct member *manager_add(struct manager *manager, struct config_identity *requested) {
    struct member **grown =
        reallocarray(manager->members, manager->n_members + 2, sizeof(struct member *));
    if (grown)
        manager->members = grown;
    struct member *member = grown ? member_new(manager, requested) : NULL;
    if (!member) {
        config_request_free(requested);
        return NULL;
    }
    member->requested = requested;
    size_t at = manager->n_members++;
    for (; at > 0 && strcmp(grown[at - 1]->identity.config->id, requested->id) > 0; at--)
        grown[at] = grown[at - 1];
    grown[at] = member;
    member_replan(member);
    return member;
}

void manager_remove(struct manager *manager, struct member *member) {
    size_t kept = 0;
    for (size_t i = 0; i < manager->n_members; i++)
        if (manager->members[i] != member)
            manager->members[kept++] = manager->members[i];
    manager->n_members = kept;
    member_free(member);
}
