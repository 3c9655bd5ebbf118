/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Owns up to RESUME_SESSIONS_MAX sessions for an hour each; the oldest makes room for a new one.
 * OpenSSL's own cache would do but for one thing: a resumed handshake shows no certificate, so what
 * was believed an hour ago would be believed again. Here the certificate is looked at each time,
 * and the program is asked, before a session is given back. OpenSSL sees to it that a session with
 * and a handshake without extended master secret do not mix (RFC 7627 section 5.3). No tickets:
 * nothing about a client leaves the server.
 */
#include "coap/resume.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct resume_entry {
    SSL_SESSION *session; /* NULL: free */
    int64_t until;        /* CLOCK_BOOTTIME, milliseconds */
};

struct resume {
    resume_ask_fn ask;
    void *arg;
    unsigned next; /* the oldest */
    struct resume_entry entries[RESUME_SESSIONS_MAX];
};

/* From an SSL_CTX to its memory; process-wide by OpenSSL's design, set once. */
static pthread_once_t resume_slot_once = PTHREAD_ONCE_INIT;
static int resume_slot = -1;

static void resume_slot_make(void) {
    resume_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static void resume_drop(struct resume_entry *entry) {
    SSL_SESSION_free(entry->session);
    *entry = (struct resume_entry){0};
}

static struct resume_entry *resume_find(struct resume *resume, const unsigned char *id,
                                        size_t len) {
    for (size_t i = 0; i < RESUME_SESSIONS_MAX; i++) {
        struct resume_entry *entry = &resume->entries[i];
        unsigned have = 0;
        const unsigned char *its =
            entry->session ? SSL_SESSION_get_id(entry->session, &have) : NULL;
        if (its && have == len && memcmp(its, id, len) == 0)
            return entry;
    }
    return NULL;
}

static bool resume_may(const struct resume *resume, const struct resume_entry *entry) {
    X509 *cert = SSL_SESSION_get0_peer(entry->session);
    return clock_boot_ms() < entry->until && cert &&
           X509_cmp_current_time(X509_get0_notAfter(cert)) > 0 &&
           (!resume->ask || resume->ask(resume->arg, cert) == 0);
}

/* 1: the reference is ours now. */
static int resume_on_new(SSL *ssl, SSL_SESSION *session) {
    struct resume *resume = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), resume_slot);
    struct resume_entry *entry = &resume->entries[resume->next];
    resume->next = (resume->next + 1) % RESUME_SESSIONS_MAX;
    resume_drop(entry);
    *entry = (struct resume_entry){session, clock_boot_ms() + RESUME_LIFE_S * INT64_C(1000)};
    return 1;
}

static SSL_SESSION *resume_on_get(SSL *ssl, const unsigned char *id, int len, int *copy) {
    struct resume *resume = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), resume_slot);
    struct resume_entry *entry = len > 0 ? resume_find(resume, id, (size_t)len) : NULL;
    *copy = 1; /* OpenSSL takes a reference of its own */
    if (entry && !resume_may(resume, entry))
        resume_drop(entry);
    return entry ? entry->session : NULL;
}

/* OpenSSL found it bad: a fatal alert, or an end without a close_notify. */
static void resume_on_remove(SSL_CTX *ctx, SSL_SESSION *session) {
    struct resume *resume = SSL_CTX_get_ex_data(ctx, resume_slot);
    for (size_t i = 0; i < RESUME_SESSIONS_MAX; i++) {
        if (resume->entries[i].session == session)
            resume_drop(&resume->entries[i]);
    }
}

struct resume *resume_new(SSL_CTX *ctx, resume_ask_fn ask, void *arg) {
    pthread_once(&resume_slot_once, resume_slot_make);
    struct resume *resume = resume_slot < 0 ? NULL : calloc(1, sizeof(*resume));
    if (!resume)
        return NULL;
    resume->ask = ask;
    resume->arg = arg;
    if (!SSL_CTX_set_ex_data(ctx, resume_slot, resume)) {
        free(resume);
        return NULL;
    }
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_timeout(ctx, RESUME_LIFE_S);
    SSL_CTX_sess_set_new_cb(ctx, resume_on_new);
    SSL_CTX_sess_set_get_cb(ctx, resume_on_get);
    SSL_CTX_sess_set_remove_cb(ctx, resume_on_remove);
    return resume;
}

struct resume *resume_free(struct resume *resume) {
    for (size_t i = 0; resume && i < RESUME_SESSIONS_MAX; i++)
        resume_drop(&resume->entries[i]);
    free(resume);
    return NULL;
}

unsigned resume_count(const struct resume *resume) {
    unsigned n = 0;
    for (size_t i = 0; i < RESUME_SESSIONS_MAX; i++)
        n += resume->entries[i].session != NULL;
    return n;
}
