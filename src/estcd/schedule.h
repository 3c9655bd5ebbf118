/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When is what due? One pure function: it reads no clock, no file, no random number, and the same
 * input gives the same plan for ever. All times are seconds since 1970.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <estc/error.h>

enum schedule_action {
    SCHEDULE_ENROLL,   /* /sen with the birth certificate */
    SCHEDULE_RENEW,    /* /sren with the current one, by ChangeSubjectName for other names */
    SCHEDULE_POLL,     /* the same request again, as the CA asked (5.03) */
    SCHEDULE_REPAIR,   /* nothing until a file changes; looked at again at `due` all the same */
    SCHEDULE_ROLLBACK, /* back to the certificate before; never planned, only asked for */
    SCHEDULE_ACTION_MAX_,
};
extern const char
    *const schedule_action_names[]; /* "enroll", "renew", "poll", "repair", "rollback" */

struct schedule_input {
    const char *id;
    const char *seed; /* fingerprint of the current certificate; before the first one that of the
                         birth certificate, or whatever else tells this machine from its clones */
    bool have_certificate;
    int64_t not_before, not_after;
    int64_t trust_until;   /* the trust anchors' end; 0: not known */
    int64_t renew_at;      /* per mille of the issued lifetime */
    bool request_changed;  /* the configuration asks for something else than was issued ... */
    bool names_only;       /* ... namely for other names, which a renewal can ask for */
    bool rolled_back;      /* somebody wants this certificate, not its successor */
    int64_t unsure_since;  /* the believed time when the daemon began without a clock to trust, and
                              how long before that it ended, nobody knows; 0: the clock is good, or
                              the certificate came since */
    bool asked;            /* somebody asked for it now */
    unsigned failures;     /* attempts failed in a row */
    int64_t last_attempt;  /* end of the last attempt; 0: never */
    int last_result;       /* ESTC_E_* or errno of it; 0: success */
    int64_t pending_until; /* the CA's Max-Age ends; 0: nothing is pending */
    int64_t pending_since; /* when the CA first said so; 0: not known */
    int64_t nudged_at;     /* a link came up or the clock was set since the last attempt began; 0 */
    int64_t started;       /* when all of this began to be watched; 0: does not matter */
    int64_t spread;        /* seconds over which machines that start together spread; 0: none */
    bool paused;           /* nothing is to be done but what is asked for */
    int64_t warned_at;     /* it has been warned of what that leads to; 0: not yet */
};

struct schedule_plan {
    enum schedule_action action;
    int64_t due;    /* may lie in the past: due now */
    int64_t jitter; /* seconds that are part of due */
    char why[160]; /* "two thirds of 90 d, jitter 3 h 12 min", "try 4 failed, again after 38 min" */
};

/*
 * Renewal at not_before + lifetime * renew_at + jitter, never later than lifetime * 95 % and half a
 * minute before its end (of a lifetime under a minute: half of it), so that a second and a third
 * try fit; jitter spans at most a twentieth of the lifetime and a day. Of a certificate that was
 * issued beyond that point the life that was left counts instead. Where the trust anchors end
 * before the certificate, their end counts for the certificate's, until its last hour: a renewal
 * brings new ones (RFC 7030 section 4.1.2). What somebody has rolled back to is renewed at that
 * latest point only, whatever it was issued for. After a failure: the wait doubles from 30 s, of
 * what the CA rejects from 5 min, is never more than a tenth of the remaining life (and never under
 * 5 s), at most a day while the certificate lives, at most an hour without one (6 h of what
 * the CA rejects); it never ends.
 * While a file is unfit: from a minute to an hour. A CA that wants to be asked again is asked when
 * its Max-Age is over, but not later than a week after the last time, and not before a hundredth of
 * the time that it has been considering it for has passed, 5 seconds at the least and an hour at
 * the most: whatever Max-Age it sends, a month sees some 1400 polls. An expired certificate means
 * SCHEDULE_ENROLL.
 *
 * Where the clock is not good, a certificate from before the daemon began may be older than it
 * seems: it is renewed after a twentieth of its life and a day at the most, and when the server
 * will not have it, every other try goes by the birth certificate.
 *
 * A nudge ends the wait after a failure that a link or the clock may have been the cause of, but
 * not before a minute is over. What was overdue when it started waits for a part of `spread`, or of
 * a thousandth of the lifetime where that is longer, an hour at most and never more than a
 * twentieth of the life that is left. While
 * paused, what is due is a warning: at the latest safe point, at the end, and then no more.
 */
void schedule_plan(const struct schedule_input *in, int64_t now, struct schedule_plan *out);

/* The latest safe point: what is not renewed by then may expire. */
int64_t schedule_latest(int64_t not_before, int64_t not_after);
/* The moment by which a renewal after `renew_at` per mille of that life has begun, whatever its
 * jitter; never later than the latest safe point. */
int64_t schedule_renewed_by(int64_t not_before, int64_t not_after, int64_t renew_at);

/* The wait after so many failures with `remaining` seconds of life left (0: none), before jitter.
 * `rejected`: the last was a decision of the CA. */
int64_t schedule_backoff(unsigned failures, bool rejected, int64_t remaining);

/* How long one attempt may take, that otherwise may take `timeout`: a quarter of the life that is
 * left (0: none), so that one which hangs leaves time for others, and 4 s at the least. */
int64_t schedule_attempt_limit(int64_t timeout, int64_t remaining);
