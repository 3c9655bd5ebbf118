/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One worker from start to end, as the manager sees it: messages in, an outcome that is written
 * down, logged once and told. A worker that dies without a word is a failure like any other.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/text.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"
#include "store_history.h"
#include "timebase.h"

/* Whoever has more to say is not our own worker any more, whatever runs there. */
#define MESSAGES_MAX (ATTEMPT_REPORTS_MAX + 1)

static void tell(const struct member *member, enum manager_event_kind kind, const char *step,
                 const char *text) {
    const struct manager_event event = {
        .kind = kind, .member = member, .step = step, .text = text ? text : ""};
    manager_tell(member->manager, &event);
}

/* --- the outcome --- */

/* What of the record an outcome changes. */
static enum manager_event_kind record(struct member *member, const struct attempt_result *result) {
    struct store_attempts *attempts = &member->identity.attempts;
    int64_t now = timebase_now();
    free(attempts->last_error);
    free(attempts->last_action);
    free(attempts->last_server);
    attempts->last_server = result->server ? strdup(result->server) : NULL;
    attempts->last_action = strdup(schedule_action_names[member->action]);
    attempts->last_error = result->code ? strdup(result->text ? result->text : "") : NULL;
    attempts->last_result = result->code;
    attempts->last_attempt = now;
    if (member->identity.nudged_at != 0)
        member->identity.nudged_at = now; /* while it ran: what failed may go well now */
    if (result->code == ESTC_E_PENDING) {
        attempts->failures = 0;
        attempts->pending_until = now + result->retry_after;
        attempts->pending_since = result->since;
        return MANAGER_PENDING;
    }
    if (result->code == 0 || result->code == ESTC_E_REJECTED)
        attempts->pending_until = attempts->pending_since = 0;
    attempts->failures = result->code ? attempts->failures + 1 : 0;
    return !result->code                       ? MANAGER_ISSUED
           : result->code == ESTC_E_CREDENTIAL ? MANAGER_CONFIG
                                               : MANAGER_FAILED;
}

/* For people; nothing depends on it. */
static void write_history(const struct member *member, const struct attempt_result *result) {
    const struct identity *identity = &member->identity;
    const struct store_result entry = {
        .time = timebase_now(),
        .action = schedule_action_names[member->action],
        .code = result->code,
        .text = result->code ? result->text ? result->text : "" : NULL,
        .serial = result->code == 0 ? identity->facts.serial : NULL,
        .not_after = identity->facts.not_after,
    };
    struct estc_error err = {0};
    if (store_add_history(member->manager->config->state_directory, identity->config->id, &entry,
                          &err))
        journal_debug("%s: the history cannot be written: %s", identity->config->id, err.text);
}

/* Nothing has changed, and nothing is to be tried again: whoever asked is told. */
static void refuse(struct member *member, const char *what, const struct attempt_result *result) {
    const struct identity *identity = &member->identity;
    const char *text = result->text;
    write_history(member, result);
    /* The attempt has ended the waiting for a file to be mended. */
    if (identity->store_unfit ||
        (identity->attempts.failures > 0 && identity->attempts.last_result == ESTC_E_CREDENTIAL))
        member_watch(member);
    journal_warning("%s: %s: %s", member->identity.config->id, what, text ? text : "");
    member_replan(member);
    tell(member, MANAGER_FAILED, NULL, text);
}

static void apply(struct member *member, const struct attempt_result *result) {
    if (result->code && member->action == SCHEDULE_ROLLBACK)
        return refuse(member, "no rollback", result);
    if (result->code && member->brings && !member->taken)
        return refuse(member, "what was brought is not taken", result);
    struct identity *identity = &member->identity;
    struct estc_error err = {0};
    bool had = identity->have_facts && identity->facts.not_after > timebase_now();
    enum manager_event_kind kind = record(member, result);
    member_count_attempt(member, result->code);
    if (kind == MANAGER_ISSUED) {
        identity->store_unfit = false;
        member_load(member);
        member->renewed = member->action != SCHEDULE_ROLLBACK;
        identity->attempts.rolled_back =
            member->action == SCHEDULE_ROLLBACK ? identity->facts.generation : 0;
    }
    member_load_birth(member);
    member_look_at_trust(member);
    if (store_save_attempts(member->manager->config->state_directory, identity->config->id,
                            &identity->attempts, &err))
        catalog_log(CATALOG_UNRECORDED, identity->config->id, NULL,
                    "%s: the attempt cannot be recorded: %s", identity->config->id, err.text);
    write_history(member, result);
    member->wants_another = false;
    if (kind == MANAGER_ISSUED && member->action != SCHEDULE_ROLLBACK)
        member->wants_rekey = false;
    member_unwatch(member);
    if (kind == MANAGER_CONFIG || identity->store_unfit)
        member_watch(member);
    member_replan(member);
    if (kind == MANAGER_ISSUED && identity->have_facts)
        member_log_issued(member, had);
    else
        member_log_failure(member, kind == MANAGER_PENDING  ? CATALOG_PENDING
                                   : kind == MANAGER_CONFIG ? CATALOG_CONFIG
                                                            : CATALOG_FAILED);
    char until[CLOCK_TEXT_MAX];
    _cleanup(freep) char *text =
        kind == MANAGER_ISSUED ? text_format("certificate %s valid until %s",
                                             identity->facts.serial ? identity->facts.serial : "?",
                                             clock_text(identity->facts.not_after, until))
                               : NULL;
    tell(member, kind, NULL, text ? text : identity->attempts.last_error);
}

/* --- the process --- */

static void member_forget_worker(struct member *member) {
    if (!member->identity.working)
        return;
    member->identity.working = false;
    member->manager->n_working--;
    member->pid = 0;
    member->n_messages = 0;
    member->restart = false;
    member_clear_deadline(member);
    sd_event_source_disable_unref(member->child_source);
    sd_event_source_disable_unref(member->message_source);
    member->child_source = member->message_source = NULL;
    fs_closep(&member->fd);
}

static void member_clear_result(struct member *member) {
    attempt_result_clear(&member->result);
    member->have_result = false;
}

void member_stop(struct member *member) {
    if (member->identity.working) {
        kill(member->pid, SIGKILL);
        waitpid(member->pid, NULL, 0);
    }
    member_forget_worker(member);
    member_clear_result(member);
}

static void take_message(struct member *member, struct worker_message *message) {
    if (message->is_result) {
        member_clear_result(member);
        member->result = message->result;
        member->have_result = true;
        message->result = (struct attempt_result){0};
        return;
    }
    _cleanup(freep) char *text =
        text_format("%s%s%s", attempt_step_texts[message->step], message->text ? ": " : "",
                    message->text ? message->text : "");
    journal_debug("%s: %s", member->identity.config->id, text ? text : "");
    member->taken = true;
    tell(member, MANAGER_STEP, attempt_step_names[message->step], text);
}

/* One message that was read. */
static void handle_message(struct member *member, const char *data, size_t len) {
    struct estc_error err = {0};
    _cleanup(worker_message_clear) struct worker_message message = {0};
    if (worker_message_parse(data, len, &message, &err))
        journal_warning("%s: %s", member->identity.config->id, err.text);
    else
        take_message(member, &message);
}

/* All messages that are there; false when there will be no more, or when there are too many. */
static bool read_messages(struct member *member) {
    char data[WORKER_MESSAGE_MAX + 1];
    while (member->n_messages < MESSAGES_MAX) {
        ssize_t n = recv(member->fd, data, sizeof(data), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        member->n_messages++;
        handle_message(member, data, (size_t)n);
    }
    return false;
}

static int on_messages(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)fd;
    (void)revents;
    struct member *member = arg;
    if (read_messages(member))
        return 0;
    if (member->n_messages >= MESSAGES_MAX) {
        journal_error("%s: a worker that does not stop talking was ended",
                      member->identity.config->id);
        kill(member->pid, SIGKILL);
    }
    sd_event_source_set_enabled(source, SD_EVENT_OFF); /* what is left is its end */
    return 0;
}

/* True when the store holds something newer than what we know. The same certificate in another
 * generation counts as well: a CA answers a repeated request with what it has issued already. */
static bool has_committed(const struct member *member) {
    const struct identity *identity = &member->identity;
    _cleanup(facts_clear) struct facts facts = {0};
    return !store_load_facts(member->manager->config->state_directory, identity->config->id, &facts,
                             NULL) &&
           (!identity->have_facts || facts.generation != identity->facts.generation ||
            strcmp(facts.sha256, identity->facts.sha256) != 0);
}

/* A worker that said nothing at its end, or of a certificate, in the same terms as one that told
 * what went wrong: the truth is on disk, whatever it said or did after its work was done. */
static void explain_death(struct member *member, const siginfo_t *si) {
    bool claimed = member->have_result && member->result.code == 0;
    _cleanup(freep) char *server = claimed ? TAKE(member->result.server) : NULL;
    member_clear_result(member);
    if (has_committed(member)) {
        member->result.server = TAKE(server);
        return;
    }
    bool timed_out = member->overdue || (si->si_code != CLD_EXITED && si->si_status == SIGALRM);
    member->result = (struct attempt_result){
        .code = timed_out ? ESTC_E_TIMEOUT : -EIO,
        .text = timed_out
                    ? text_format(
                          "the attempt hung and was ended in its time (attempt_timeout): see that "
                          "the server answers and that its name resolves")
                : claimed ? text_format("the worker told of a certificate that is not there")
                : si->si_code == CLD_EXITED
                    ? text_format("the worker ended without a result (status %d)", si->si_status)
                    : text_format("the worker was killed by signal %d (%s)", si->si_status,
                                  strsignal(si->si_status)),
    };
}

void member_restart(struct member *member) {
    bool local = member->action == SCHEDULE_ROLLBACK || (member->brings && !member->taken);
    if (!member->identity.working || member->restarted || local)
        return; /* (what waits for no network) */
    member->restarted = member->restart = true;
    kill(member->pid, SIGKILL);
}

/* True when the attempt was ended by us before it came to a result: it does not count. */
static bool begins_again(struct member *member) {
    if (!member->restart || member->have_result || has_committed(member))
        return false;
    journal_info("%s: the attempt begins again, since the clock was set",
                 member->identity.config->id);
    member->identity.asked = true;
    member->wants_enroll = member->action == SCHEDULE_ENROLL;
    member_forget_worker(member);
    member_replan(member);
    return true;
}

static int on_exit_of_worker(sd_event_source *source, const siginfo_t *si, void *arg) {
    (void)source;
    struct member *member = arg;
    read_messages(member);
    if (begins_again(member)) {
        manager_schedule(member->manager);
        return 0;
    }
    member->restarted = false;
    if (!member->have_result || member->result.code == 0 || si->si_code != CLD_EXITED ||
        si->si_status != 0)
        explain_death(member, si);
    member_forget_worker(member);
    struct attempt_result result = member->result;
    member->result = (struct attempt_result){0};
    member->have_result = false;
    apply(member, &result);
    attempt_result_clear(&result);
    manager_schedule(member->manager);
    return 0;
}

static int watch_worker(struct member *member, int64_t timeout) {
    int rc = sd_event_add_child(member->manager->event, &member->child_source, member->pid, WEXITED,
                                on_exit_of_worker, member);
    if (rc >= 0)
        rc = member_set_deadline(member, timeout);
    return rc < 0 ? rc
                  : sd_event_add_io(member->manager->event, &member->message_source, member->fd,
                                    EPOLLIN, on_messages, member);
}

void member_start(struct member *member, enum schedule_action action) {
    struct identity *identity = &member->identity;
    int64_t left = identity->have_facts && !identity->store_unfit
                       ? identity->facts.not_after - timebase_now()
                       : 0;
    const struct attempt_task task = {
        .config = member->manager->config,
        .identity = identity->config,
        .action = action,
        .rekey = member->wants_rekey,
        .anew = member->wants_another,
        .offer = member->offer,
        .timeout = schedule_attempt_limit(identity->config->attempt_timeout, left),
    };
    struct estc_error err = {0};
    identity->asked = false;
    identity->nudged_at = 0;
    member->wants_enroll = false;
    member->action = action;
    member->brings = member->offer != NULL;
    member->taken = false;
    member_unwatch(member);
    int rc = worker_start(&task, &member->pid, &member->fd, &err);
    if (!rc) {
        identity->working = true;
        member->manager->n_working++;
        rc = watch_worker(member, attempt_timeout(&task));
        if (rc < 0) {
            member_stop(member);
            estc_error_set(&err, rc, "cannot watch a worker: %s", strerror(-rc));
        }
    }
    if (rc < 0) {
        const struct attempt_result result = {.code = rc, .text = err.text};
        apply(member, &result);
        return;
    }
    journal_debug("%s: %s: worker %d", identity->config->id, schedule_action_names[action],
                  (int)member->pid);
    tell(member, MANAGER_STARTED, NULL, schedule_action_names[action]);
}
