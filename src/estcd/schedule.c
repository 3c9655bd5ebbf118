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
#include "common/conf.h"

#define MINUTE 60
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define BACKOFF_FIRST 30
#define BACKOFF_LEAST 5
#define BACKOFF_MOST_ALIVE DAY
#define BACKOFF_MOST_DEAD HOUR
#define BACKOFF_DOUBLINGS 16

#define RENEW_LATEST 950 /* per mille of the lifetime, jitter included */
#define JITTER_SHARE 20  /* one part of the lifetime */
#define POLL_MOST DAY    /* whatever Max-Age a CA sends */
#define REPAIR_LEAST MINUTE

const char *const schedule_action_names[] = {
    [SCHEDULE_ENROLL] = "enroll", [SCHEDULE_RENEW] = "renew",    [SCHEDULE_POLL] = "poll",
    [SCHEDULE_REPAIR] = "repair", [SCHEDULE_ACTION_MAX_] = NULL,
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

int64_t schedule_backoff(unsigned failures, int64_t remaining) {
    if (failures == 0)
        return 0;
    unsigned doublings = failures - 1 < BACKOFF_DOUBLINGS ? failures - 1 : BACKOFF_DOUBLINGS;
    int64_t wait = (int64_t)BACKOFF_FIRST << doublings;
    if (remaining <= 0)
        return least(wait, BACKOFF_MOST_DEAD);
    return most(BACKOFF_LEAST, least(least(wait, BACKOFF_MOST_ALIVE), remaining / 10));
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
    return in->have_certificate && in->not_after > now && !in->request_changed;
}

/* What would be done if nothing had gone wrong before. */
static void plan_calm(const struct schedule_input *in, int64_t now, struct schedule_plan *out) {
    int64_t lifetime = subtract(in->not_after, in->not_before);
    if (!in->have_certificate) {
        *out = (struct schedule_plan){.action = SCHEDULE_ENROLL, .due = now};
        explain(out, "no certificate yet");
    } else if (in->not_after <= now || lifetime <= 0) {
        *out = (struct schedule_plan){.action = SCHEDULE_ENROLL, .due = now};
        explain(out, "the certificate has expired");
    } else if (in->request_changed) {
        *out = (struct schedule_plan){.action = SCHEDULE_ENROLL, .due = now};
        explain(out, "the configuration asks for another certificate than was issued");
    } else {
        int64_t base = share(lifetime, in->renew_at);
        int64_t spread = jitter(in, least(lifetime / JITTER_SHARE, DAY) + 1, 0);
        int64_t after = least(base + spread, share(lifetime, RENEW_LATEST));
        *out = (struct schedule_plan){.action = SCHEDULE_RENEW,
                                      .due = add(in->not_before, after),
                                      .jitter = most(after - base, 0)};
        _cleanup(freep) char *life = conf_duration_text(lifetime);
        _cleanup(freep) char *extra = conf_duration_text(out->jitter);
        explain(out, "%lld.%lld %% of %s, jitter %s", (long long)(in->renew_at / 10),
                (long long)(in->renew_at % 10), life ? life : "?", extra ? extra : "?");
    }
}

/*
 * After a failure: not before the back-off is over. The wait depends on the life that was left at
 * the last attempt, not on now, so that the plan stands still while one looks at it. Never makes
 * anything due earlier: a renewal that was tried before its time falls back to its time.
 */
static void plan_retry(const struct schedule_input *in, struct schedule_plan *out) {
    int64_t remaining = in->have_certificate ? subtract(in->not_after, in->last_attempt) : 0;
    int64_t wait = schedule_backoff(in->failures, remaining);
    wait += jitter(in, wait / 5 + 1, in->failures);
    if (in->last_result == ESTC_E_CREDENTIAL) {
        out->action = SCHEDULE_REPAIR;
        wait = most(wait, REPAIR_LEAST);
    }
    int64_t due = add(in->last_attempt, wait);
    if (due < out->due && out->action != SCHEDULE_REPAIR)
        return;
    out->due = due;
    out->jitter = 0;
    _cleanup(freep) char *text = conf_duration_text(wait);
    if (out->action == SCHEDULE_REPAIR)
        explain(out, "a file is unfit: again when it changes, or after %s", text ? text : "?");
    else
        explain(out, "try %u failed, again after %s", in->failures, text ? text : "?");
}

void schedule_plan(const struct schedule_input *in, int64_t now, struct schedule_plan *out) {
    plan_calm(in, now, out);
    if (in->pending_until != 0) {
        out->action = SCHEDULE_POLL;
        out->due = least(in->pending_until, add(in->last_attempt, POLL_MOST));
        out->jitter = 0;
        explain(out, "the CA has not decided yet and wants to be asked again");
    }
    if (in->failures > 0)
        plan_retry(in, out);
    /* An attempt that lies in the future is a clock that was set back: what waits for it would
     * wait for ever. One attempt now puts last_attempt right. */
    if (in->last_attempt > now && (in->failures > 0 || in->pending_until != 0))
        out->due = now;
    if (in->asked) {
        out->due = now;
        if (out->action == SCHEDULE_REPAIR)
            out->action = can_renew(in, now) ? SCHEDULE_RENEW : SCHEDULE_ENROLL;
        explain(out, "asked for");
    }
}
