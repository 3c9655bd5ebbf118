/* SPDX-License-Identifier: BSD-2-Clause */
/* The record of a deployment and its rules. Reads no clock and no file. */
#include "deploy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "ctl/json.h"

#define FAILURES_MAX 1000000000
#define TEXT_MAX 512
#define WAIT_FIRST 60
#define WAIT_LONGEST (6 * 3600)
#define PATIENCE 600 /* besides what units and programs may take */
#define UNIT_MAY_TAKE 90

#define DEPLOY_LABEL(name, label) [name] = label,
const char *const deploy_state_names[] = {DEPLOY_STATES(DEPLOY_LABEL)};
#undef DEPLOY_LABEL

void deploy_clear(struct deploy_record *record) {
    free(record->digest);
    free(record->last_error);
    *record = (struct deploy_record){0};
}

json_t *deploy_to_json(const struct deploy_record *record) {
    return json_pack("{s:I, s:s*, s:s, s:I, s:s*, s:I}", "generation",
                     (json_int_t)record->generation, "digest", record->digest, "state",
                     deploy_state_names[record->state], "failures", (json_int_t)record->failures,
                     "last_error", record->last_error, "next", (json_int_t)record->next);
}

void deploy_from_json(const json_t *json, struct deploy_record *out) {
    _cleanup(freep) char *state = ctl_json_text(json, "state", TEXT_MAX);
    *out = (struct deploy_record){
        .generation = ctl_json_int(json, "generation", 0, INT64_MAX),
        .digest = ctl_json_text(json, "digest", TEXT_MAX),
        .failures = (unsigned)ctl_json_int(json, "failures", 0, FAILURES_MAX),
        .last_error = ctl_json_text(json, "last_error", TEXT_MAX),
        .next = ctl_json_int(json, "next", 0, CLOCK_LAST),
    };
    for (int i = 0; state && i < DEPLOY_STATE_MAX_; i++)
        if (strcmp(state, deploy_state_names[i]) == 0)
            out->state = i;
}

bool deploy_is_new(const struct deploy_record *record, const struct config_deploy *deploy,
                   int64_t generation) {
    return record->state == DEPLOY_NONE || record->generation != generation || !record->digest ||
           strcmp(record->digest, deploy->digest) != 0;
}

int deploy_begin(struct deploy_record *record, const struct config_deploy *deploy,
                 int64_t generation) {
    char *digest = strdup(deploy->digest);
    if (!digest)
        return -ENOMEM;
    deploy_clear(record);
    *record =
        (struct deploy_record){.generation = generation, .digest = digest, .state = DEPLOY_WAITING};
    return 0;
}

bool deploy_end(struct deploy_record *record, int64_t generation, const char *text) {
    if (record->state == DEPLOY_NONE || (generation != 0 && generation != record->generation))
        return false;
    free(record->last_error);
    record->last_error = text ? text_clean(text, strlen(text), TEXT_MAX) : NULL;
    record->state = text ? DEPLOY_FAILED : DEPLOY_DONE;
    record->failures = !text                             ? 0
                       : record->failures < FAILURES_MAX ? record->failures + 1
                                                         : FAILURES_MAX;
    return true;
}

int64_t deploy_wait(const struct deploy_record *record, const struct config_deploy *deploy) {
    int64_t patience = PATIENCE;
    if (record->state == DEPLOY_FAILED) {
        unsigned doublings = record->failures > 1 ? record->failures - 1 : 0;
        return doublings > 9 || WAIT_FIRST << doublings > WAIT_LONGEST ? WAIT_LONGEST
                                                                       : WAIT_FIRST << doublings;
    }
    for (size_t i = 0; i < deploy->exec.n; i++)
        patience += config_exec_at(deploy, i)->timeout;
    return patience + UNIT_MAY_TAKE *
                          (int64_t)(text_list_len(deploy->reload) + text_list_len(deploy->restart));
}
