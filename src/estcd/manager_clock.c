/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The manager and time. Sleeping is on boot time, which never steps and runs through suspend; what
 * is due is a matter of the believed time (timebase.h), so a clock that is set is a reason to plan
 * anew and nothing else. A link that comes up is one to end waits that it may have been the cause
 * of. Writes the watermark down, once a day at most and at the end.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "catalog.h"
#include "common/journal.h"
#include "manager_internal.h"
#include "timebase.h"

#define TIMER_ACCURACY_US 500000
#define USEC 1000000ULL
#define MINUTE 60
#define DAY INT64_C(86400)

/* --- the watermark --- */

void manager_clock_load(struct manager *manager) {
    timebase_hear(store_load_clock(manager->config->state_directory), TIMEBASE_WATERMARK);
    manager->written_down = timebase_floor();
    manager->clock_trusted = true;
}

static void write_down(struct manager *manager) {
    struct estc_error err = {0};
    int64_t floor = timebase_floor();
    if (store_save_clock(manager->config->state_directory, floor, &err))
        catalog_log(CATALOG_UNRECORDED, NULL, NULL, "the time cannot be written down: %s",
                    err.text);
    manager->written_down = floor; /* or again tomorrow */
}

void manager_clock_save(struct manager *manager) {
    if (manager->written_down != 0 && timebase_floor() - manager->written_down >= MINUTE)
        write_down(manager);
}

/* Says once what is assumed, and once that it no longer is. */
void manager_clock_look(struct manager *manager) {
    bool trusted = timebase_trusted(), was_wrong = !manager->clock_trusted;
    if (trusted != manager->clock_trusted) {
        _cleanup(freep) char *text = timebase_explain();
        char now[CLOCK_TEXT_MAX];
        if (trusted)
            catalog_log(CATALOG_CLOCK_BELIEVED, NULL, NULL,
                        "the system clock is believed again: %s", clock_text(timebase_now(), now));
        else
            catalog_log(CATALOG_CLOCK_DOUBTED, NULL, NULL, "%s",
                        text ? text : "the system clock cannot be right");
    }
    manager->clock_trusted = trusted;
    if (!trusted || !was_wrong || manager->clock_found)
        return;
    /* Years pass in a moment, here and on all machines whose power came back with this one's. Once
     * only, so that a clock which comes and goes puts nothing off. */
    manager->clock_found = true;
    if (manager->started_at != 0)
        manager->started_at = timebase_now();
    for (size_t i = 0; i < manager->n_members; i++)
        member_replan(manager->members[i]);
}

/* --- sleeping --- */

void manager_sleep(struct manager *manager, int64_t seconds) {
    uint64_t wait = (uint64_t)(seconds < 0 ? 0 : seconds > DAY ? DAY : seconds);
    sd_event_source_set_time_relative(manager->timer, wait * USEC);
    sd_event_source_set_enabled(manager->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    struct manager *manager = arg;
    if (timebase_floor() - manager->written_down >= DAY)
        write_down(manager);
    manager_schedule(manager);
    return 0;
}

/* --- what ends a wait --- */

void manager_nudge(struct manager *manager) {
    int64_t now = timebase_now();
    for (size_t i = 0; i < manager->n_members; i++) {
        struct member *member = manager->members[i];
        if (member->identity.attempts.failures == 0 && !member->identity.working)
            continue;
        member->identity.nudged_at = now;
        member_replan(member);
    }
    manager_schedule(manager);
}

static void on_link_up(void *arg) {
    journal_debug("a link or an address has come up");
    manager_nudge(arg);
}

static void watch_links(struct manager *manager) {
    struct estc_error err = {0};
    if (link_watch_new(manager->event, on_link_up, manager, &manager->links, &err))
        journal_warning("%s", err.text);
}

/* A timer that never fires, but is cancelled when somebody sets the clock. */
static int arm_clock(struct manager *manager) {
    const struct itimerspec never = {.it_value = {.tv_sec = (time_t)1 << 40}};
    return timerfd_settime(manager->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
                           NULL) < 0
               ? -errno
               : 0;
}

static int on_clock_set(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source;
    (void)revents;
    struct manager *manager = arg;
    uint64_t ignored;
    if (read(fd, &ignored, sizeof(ignored)) < 0 && errno != ECANCELED)
        return 0;
    arm_clock(manager);
    journal_info("the clock was set; planning again");
    for (size_t i = 0; i < manager->n_members; i++) {
        /* libcoap keeps its ticks on this clock: what is in flight may wait for hours now, or run
         * out of its retransmissions in an instant. */
        member_restart(manager->members[i]);
        member_replan(manager->members[i]);
    }
    manager_nudge(manager);
    return 0;
}

int manager_clock_new(struct manager *manager, struct estc_error *err) {
    int rc = sd_event_add_time(manager->event, &manager->timer, CLOCK_BOOTTIME, 0,
                               TIMER_ACCURACY_US, on_timer, manager);
    if (rc >= 0)
        rc = sd_event_source_set_enabled(manager->timer, SD_EVENT_OFF);
    manager->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (rc >= 0)
        rc = manager->clock_fd < 0 ? -errno : arm_clock(manager);
    if (rc >= 0)
        rc = sd_event_add_io(manager->event, &manager->clock_source, manager->clock_fd, EPOLLIN,
                             on_clock_set, manager);
    if (rc < 0)
        return estc_error_set(err, rc, "cannot make timers: %s", strerror(-rc));
    watch_links(manager);
    return 0;
}
