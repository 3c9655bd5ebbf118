/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When is what due: arithmetic, and a sentence that explains it. Reads nothing, remembers nothing,
 * and works for any numbers that it is given: all sums saturate.
 */
#include "schedule.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/conf.h"

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define WEEK (7 * DAY)

#define BACKOFF_FIRST 30
#define BACKOFF_FIRST_REJECTED (5 * MINUTE) /* a decision, not an accident */
#define BACKOFF_LEAST 5
#define BACKOFF_MOST_ALIVE DAY
#define BACKOFF_MOST_DEAD HOUR
#define BACKOFF_MOST_DEAD_REJECTED (6 * HOUR)
#define BACKOFF_DOUBLINGS 16

#define RENEW_LATEST 950   /* per mille of the lifetime, jitter included */
#define RENEW_ROOM 30      /* seconds: for three tries that all hang */
#define ATTEMPT_PARTS 4    /* of the remaining life */
#define ATTEMPT_LEAST 4    /* a handshake, and a flight of it that is lost */
#define NUDGE_LEAST MINUTE /* after a failure */
#define NUDGE_SPREAD 5
#define SPREAD_SHARE 1000 /* of the lifetime */
#define SPREAD_MOST HOUR
#define SPREAD_REMAINING 20 /* one part of what is left */
#define JITTER_SHARE 20     /* one part of the lifetime */
#define POLL_LEAST 5        /* RFC 7252 lets Max-Age be 0 */
#define POLL_MOST WEEK      /* and 136 years */
#define POLL_SHARE 100      /* one part of the time that it has been pending */
#define REPAIR_LEAST MINUTE
#define REPAIR_MOST HOUR /* looking at files costs nothing */

const char *const schedule_action_names[] = {
    [SCHEDULE_ENROLL] = "enroll", [SCHEDULE_RENEW] = "renew",       [SCHEDULE_POLL] = "poll",
    [SCHEDULE_REPAIR] = "repair", [SCHEDULE_ROLLBACK] = "rollback", [SCHEDULE_ACTION_MAX_] = NULL,
};

static int64_t add(int64_t a, int64_t b) {
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t subtract(int64_t a, int64_t b) {
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return b < 0 ? INT64_MAX : INT64_MIN;
    return difference;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* value * permille / 1000 without an overflow in between. */
static int64_t share(int64_t value, int64_t permille) {
    return value / 1000 * permille + value % 1000 * permille / 1000;
}

/* FNV-1a, 64 bits, over both texts, and stirred so that near inputs lie far apart: spreads
 * machines, keeps no secret. */
static uint64_t hash(const char *seed, const char *id, unsigned salt) {
    uint64_t h = UINT64_C(14695981039346656037) ^ salt;
    const char *const texts[] = {seed ? seed : "", "\n", id ? id : ""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        for (const char *p = texts[i]; *p; p++)
            h = (h ^ (unsigned char)*p) * UINT64_C(1099511628211);
    h ^= h >> 33;
    h *= UINT64_C(0xff51afd7ed558ccd);
    return h ^ h >> 33;
}

/* 0 to span - 1, the same for the same certificate, identity and try. */
static int64_t jitter(const struct schedule_input *in, int64_t span, unsigned salt) {
    return span > 1 ? (int64_t)(hash(in->seed, in->id, salt) % (uint64_t)span) : 0;
}

int64_t schedule_backoff(unsigned failures, bool rejected, int64_t remaining) {
    if (failures == 0)
        return 0;
    unsigned doublings = failures - 1 < BACKOFF_DOUBLINGS ? failures - 1 : BACKOFF_DOUBLINGS;
    int64_t wait = (int64_t)(rejected ? BACKOFF_FIRST_REJECTED : BACKOFF_FIRST) << doublings;
    if (remaining <= 0)
        return least(wait, rejected ? BACKOFF_MOST_DEAD_REJECTED : BACKOFF_MOST_DEAD);
    return most(BACKOFF_LEAST, least(least(wait, BACKOFF_MOST_ALIVE), remaining / 10));
}

int64_t schedule_attempt_limit(int64_t timeout, int64_t remaining) {
    return remaining <= 0 ? timeout
                          : least(timeout, most(ATTEMPT_LEAST, remaining / ATTEMPT_PARTS));
}

static void explain(struct schedule_plan *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void explain(struct schedule_plan *out, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(out->why, sizeof(out->why), fmt, args);
    va_end(args);
}

static bool can_renew(const struct schedule_input *in, int64_t now) {
    return in->have_certificate && in->not_after > now && (!in->request_changed || in->names_only);
}

/* Whether the last attempt brought what is in force now, by a clock that can be believed. */
static bool just_issued(const struct schedule_input *in, int64_t now) {
    return in->last_attempt > 0 && in->last_attempt <= now && in->failures == 0 &&
           in->last_result == 0;
}

/* The last point of a life at which a renewal may begin: two more tries fit behind it. */
static int64_t latest_point(int64_t life) {
    return least(share(life, RENEW_LATEST), life - least(life / 2, RENEW_ROOM));
}

/* By how much of a life a renewal may come later. */
static int64_t jitter_span(int64_t life) {
    return least(life / JITTER_SHARE, DAY);
}

/* The point of a life at which a renewal is due without jitter. */
static int64_t renewal_point(int64_t life, int64_t renew_at) {
    return least(share(life, least(most(renew_at, 0), RENEW_LATEST)), latest_point(life));
}

int64_t schedule_latest(int64_t not_before, int64_t not_after) {
    return add(not_before, latest_point(subtract(not_after, not_before)));
}

int64_t schedule_renewed_by(int64_t not_before, int64_t not_after, int64_t renew_at) {
    int64_t life = subtract(not_after, not_before);
    return add(not_before, least(renewal_point(life, renew_at) + most(jitter_span(life), 0),
                                 latest_point(life)));
}

/* "two thirds", "66 %", "33.3 %". */
static char *share_text(int64_t permille) {
    if (permille >= 660 && permille <= 670)
        return strdup("two thirds");
    return permille % 10 ? text_format("%d.%d %%", (int)permille / 10, (int)permille % 10)
                         : text_format("%d %%", (int)permille / 10);
}

/* Renewal after a share of the life that begins at `start`. */
static void plan_renewal(const struct schedule_input *in, int64_t start,
                         struct schedule_plan *out) {
    /* In the last hour nothing is gained by asking ever more often. */
    bool trust_first = in->trust_until < in->not_after && in->trust_until != 0 &&
                       subtract(in->trust_until, start) > HOUR;
    int64_t life = subtract(trust_first ? in->trust_until : in->not_after, start);
    int64_t permille = in->rolled_back ? RENEW_LATEST : least(most(in->renew_at, 0), RENEW_LATEST);
    int64_t base = renewal_point(life, permille);
    int64_t after = least(base + jitter(in, jitter_span(life) + 1, 0), latest_point(life));
    *out = (struct schedule_plan){
        .action = SCHEDULE_RENEW, .due = add(start, after), .jitter = after - base};
    _cleanup(freep) char *text = conf_duration_text(life);
    _cleanup(freep) char *extra = conf_duration_text(out->jitter);
    _cleanup(freep) char *part = share_text(permille);
    explain(out, "%s%s of %s%s%s%s", in->rolled_back ? "rolled back, so as late as is safe: " : "",
            part ? part : "?", text ? text : "?",
            trust_first ? " until the CA certificates end" : "", out->jitter > 0 ? ", jitter " : "",
            out->jitter > 0 && extra ? extra : "");
}

/* A CA may hand out a certificate that has most of its life behind it. It would be due the moment
 * it arrives, and so would the next one: what counts then is the life we got. */
static void plan_due(const struct schedule_input *in, int64_t now, struct schedule_plan *out) {
    plan_renewal(in, in->not_before, out);
    if (just_issued(in, now) && out->due <= in->last_attempt)
        plan_renewal(in, in->last_attempt, out);
}

/* What would be done if nothing had gone wrong before. */
static void plan_calm(const struct schedule_input *in, int64_t now, struct schedule_plan *out) {
    *out = (struct schedule_plan){.action = SCHEDULE_ENROLL, .due = now};
    if (!in->have_certificate) {
        explain(out, "no certificate yet");
    } else if (in->not_after <= now || in->not_after <= in->not_before) {
        explain(out, "the certificate has expired");
    } else if (in->rolled_back) {
        plan_due(in, now, out);
        if (in->request_changed && !in->names_only)
            out->action = SCHEDULE_ENROLL;
    } else if (in->request_changed && in->names_only) {
        out->action = SCHEDULE_RENEW;
        explain(out, "the configuration asks for other names than were issued");
    } else if (in->request_changed) {
        explain(out, "the configuration asks for another certificate than was issued");
    } else {
        plan_due(in, now, out);
    }
    /* Whatever it is that a success has not settled must not become a loop. */
    if (just_issued(in, now))
        out->due = most(out->due, add(in->last_attempt, BACKOFF_LEAST));
}

/* Max-Age is to be kept (RFC 7030 section 4.2.3), within what can be meant by it. What has taken
 * long already need not be asked for as often: a server that always says 0 is no drain. */
static void plan_poll(const struct schedule_input *in, struct schedule_plan *out) {
    int64_t pending = in->pending_since > 0 ? subtract(in->last_attempt, in->pending_since) : 0;
    int64_t floor = least(most(pending / POLL_SHARE, POLL_LEAST), HOUR);
    *out = (struct schedule_plan){
        .action = SCHEDULE_POLL,
        .due = most(add(in->last_attempt, floor),
                    least(in->pending_until, add(in->last_attempt, POLL_MOST)))};
    explain(out, "the CA has not decided yet and wants to be asked again");
}

/* Whether what failed may go well now that a link has come up or the clock was set. */
static bool nudge_helps(int result) {
    return result < 0 || result == ESTC_E_UNREACHABLE || result == ESTC_E_TIMEOUT ||
           result == ESTC_E_UNTRUSTED;
}

/* The end of a wait after a failure, or the nudge that comes before it. */
static int64_t nudged(const struct schedule_input *in, int64_t due) {
    if (in->nudged_at <= 0 || !nudge_helps(in->last_result))
        return due;
    int64_t soon = most(in->nudged_at, add(in->last_attempt, NUDGE_LEAST));
    return least(due, add(soon, jitter(in, NUDGE_SPREAD + 1, in->failures)));
}

/*
 * After a failure: not before the back-off is over. The wait depends on the life that was left at
 * the last attempt, not on now, so that the plan stands still while one looks at it. What somebody
 * has asked for before its time is tried again like anything else.
 */
static void plan_retry(const struct schedule_input *in, struct schedule_plan *out) {
    int64_t remaining = in->have_certificate ? subtract(in->not_after, in->last_attempt) : 0;
    /* While the clock is wrong there is another way to be tried at once: plan_unsure_retry(). */
    bool rejected = in->last_result == ESTC_E_REJECTED && in->unsure_since == 0;
    int64_t wait = schedule_backoff(in->failures, rejected, remaining);
    wait += jitter(in, wait / 5 + 1, in->failures);
    if (in->last_result == ESTC_E_CREDENTIAL) {
        out->action = SCHEDULE_REPAIR;
        wait = least(most(wait, REPAIR_LEAST), REPAIR_MOST);
    }
    int64_t over = add(in->last_attempt, wait);
    int64_t due = out->action == SCHEDULE_REPAIR ? over : nudged(in, over);
    if (due < out->due && out->action != SCHEDULE_REPAIR && out->action != SCHEDULE_RENEW)
        return;
    out->due = due;
    out->jitter = 0;
    _cleanup(freep) char *text = conf_duration_text(wait);
    if (out->action == SCHEDULE_REPAIR)
        explain(out, "a file is unfit: again when it changes, or after %s", text ? text : "?");
    else if (due < over)
        explain(out, "try %u failed, again since a link came up or the clock was set",
                in->failures);
    else
        explain(out, "try %u failed, again after %s", in->failures, text ? text : "?");
}

/* When the power comes back everywhere at once, what has become overdue in the dark must not come
 * to the server at once. What becomes due by itself is spread by its own jitter. */
static void plan_spread(const struct schedule_input *in, int64_t now, struct schedule_plan *out) {
    bool tried = in->last_attempt >= in->started;
    bool overdue = out->due < in->started || (out->action == SCHEDULE_ENROLL && out->due <= now);
    if (in->spread <= 0 || in->started <= 0 || tried || !overdue)
        return;
    int64_t span = least(in->spread, DAY);
    if (can_renew(in, now)) {
        int64_t life = subtract(in->not_after, in->not_before);
        span = most(span, least(life / SPREAD_SHARE, SPREAD_MOST));
        span = least(span, most(subtract(in->not_after, in->started), 0) / SPREAD_REMAINING);
    }
    out->jitter = jitter(in, span + 1, ~0U);
    out->due = add(in->started, out->jitter);
    struct schedule_plan before = *out;
    _cleanup(freep) char *text = conf_duration_text(out->jitter);
    explain(out, "%.90s; %s after the start, spread over machines", before.why, text ? text : "?");
}

static void plan_pause(const struct schedule_input *in, struct schedule_plan *out) {
    int64_t latest = schedule_latest(in->not_before, in->not_after);
    out->jitter = 0;
    out->due = !in->have_certificate           ? CLOCK_LAST
               : in->warned_at < latest        ? latest
               : in->warned_at < in->not_after ? in->not_after
                                               : CLOCK_LAST;
    explain(out, "paused: nothing is done until it is resumed");
}

/* A certificate from before the daemon began, without a clock that tells how long ago that was, may
 * have little life left, or none. A new one brings the time of day with it, to within minutes. */
static void plan_unsure(const struct schedule_input *in, struct schedule_plan *out) {
    if (in->unsure_since == 0 || out->action != SCHEDULE_RENEW)
        return;
    int64_t life = subtract(in->not_after, in->not_before);
    int64_t due = add(in->unsure_since, least(life / JITTER_SHARE, DAY));
    if (due >= out->due)
        return;
    out->due = due;
    out->jitter = 0;
    explain(out, "the clock is wrong since the start: the certificate may be older than it seems");
}

/* The server's clock is the better one: what it will not have may have expired. But there are other
 * reasons to be refused, so this is every other try. */
static void plan_unsure_retry(const struct schedule_input *in, struct schedule_plan *out) {
    if (in->unsure_since == 0 || out->action != SCHEDULE_RENEW ||
        in->last_result != ESTC_E_REJECTED || in->failures % 2 == 0)
        return;
    out->action = SCHEDULE_ENROLL;
    explain(out, "refused, and by our clock one cannot tell whether the certificate has expired");
}

void schedule_plan(const struct schedule_input *in, int64_t now, struct schedule_plan *out) {
    plan_calm(in, now, out);
    plan_unsure(in, out);
    if (in->pending_until != 0)
        plan_poll(in, out);
    if (in->failures > 0)
        plan_retry(in, out);
    plan_unsure_retry(in, out);
    plan_spread(in, now, out);
    /* An attempt that lies in the future is a clock that was set back: what waits for it would
     * wait for ever. One attempt now puts last_attempt right. */
    if (in->last_attempt > now && (in->failures > 0 || in->pending_until != 0)) {
        out->due = now;
        explain(out, "the last attempt lies in the future: the clock was set back");
    }
    if (in->paused)
        plan_pause(in, out);
    if (in->asked) {
        out->due = now;
        out->jitter = 0;
        if (out->action == SCHEDULE_REPAIR)
            out->action = can_renew(in, now) ? SCHEDULE_RENEW : SCHEDULE_ENROLL;
        explain(out, "asked for");
    }
}
