/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread and not a process: a key of anybody's is in this process anyhow until it is sent, and
 * making one touches nothing but itself. It is there while something is wanted, so that whoever
 * forks is mostly alone; it takes no signal and knows no loop, which a counter of the kernel's
 * wakes.
 */
#include "keymaker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

enum keymaker_state {
    KEYMAKER_NONE,
    KEYMAKER_WANTED,
    KEYMAKER_READY,
    KEYMAKER_FAILED, /* which the next one who asks is told */
};

struct keymaker {
    int fd;
    pthread_t thread;
    bool started;         /* and has to be joined; the loop's */
    pthread_mutex_t lock; /* of what follows */
    bool busy;            /* it will look once more for what is wanted */
    bool ends;
    struct {
        enum keymaker_state state;
        EVP_PKEY *key;
        struct estc_error err;
    } kinds[ESTC_KEY_TYPE_MAX_];
};

bool keymaker_is_for(enum estc_key_type type) {
    switch (type) {
    case ESTC_KEY_RSA2048:
    case ESTC_KEY_RSA3072:
    case ESTC_KEY_RSA4096:
        return true;
    case ESTC_KEY_P256:
    case ESTC_KEY_P384:
    case ESTC_KEY_TYPE_MAX_:
        break;
    }
    return false;
}

/* --- the thread --- */

static int next_wanted(const struct keymaker *m, int after) {
    for (int i = 1; i <= ESTC_KEY_TYPE_MAX_; i++) {
        int type = (after + i) % ESTC_KEY_TYPE_MAX_;
        if (m->kinds[type].state == KEYMAKER_WANTED)
            return type;
    }
    return -1;
}

static void make(struct keymaker *m, int type) {
    EVP_PKEY *key = NULL;
    struct estc_error err = {0};
    pthread_mutex_unlock(&m->lock);
    int rc = estc_key_generate((enum estc_key_type)type, &key, &err);
    pthread_mutex_lock(&m->lock);
    m->kinds[type].key = key;
    m->kinds[type].err = err;
    m->kinds[type].state = rc ? KEYMAKER_FAILED : KEYMAKER_READY;
    (void)eventfd_write(m->fd, 1); /* fails at 2^64 of them only */
}

static void *run(void *arg) {
    struct keymaker *m = arg;
    pthread_mutex_lock(&m->lock);
    int type = 0;
    while (!m->ends && (type = next_wanted(m, type)) >= 0)
        make(m, type);
    m->busy = false;
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* --- the loop's side --- */

/* With all signals blocked, which the thread inherits. */
static int start(struct keymaker *m) {
    sigset_t all, before;
    if (m->started)
        pthread_join(m->thread, NULL); /* it has nothing to do any more but to end */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&m->thread, NULL, run, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    m->started = m->busy = rc == 0;
    return -rc;
}

static int want(struct keymaker *m, enum estc_key_type type, struct estc_error *err) {
    int rc = m->busy ? 0 : start(m);
    if (rc)
        return estc_error_set(err, rc, "cannot start a thread that makes keys: %s", strerror(-rc));
    m->kinds[type].state = KEYMAKER_WANTED;
    return -EINPROGRESS;
}

int keymaker_take(struct keymaker *m, enum estc_key_type type, EVP_PKEY **out,
                  struct estc_error *err) {
    int rc = -EINPROGRESS;
    pthread_mutex_lock(&m->lock);
    switch (m->kinds[type].state) {
    case KEYMAKER_NONE:
        rc = want(m, type, err);
        break;
    case KEYMAKER_WANTED:
        break;
    case KEYMAKER_READY:
        *out = TAKE(m->kinds[type].key);
        m->kinds[type].state = KEYMAKER_NONE;
        rc = 0;
        break;
    case KEYMAKER_FAILED:
        m->kinds[type].state = KEYMAKER_NONE;
        rc = estc_error_set(err, -EIO, "%s", m->kinds[type].err.text);
        break;
    }
    pthread_mutex_unlock(&m->lock);
    return rc == -EINPROGRESS
               ? estc_error_set(err, rc, "the key is being made (%s)", estc_key_type_name(type))
               : rc;
}

int keymaker_fd(const struct keymaker *m) {
    return m->fd;
}

void keymaker_seen(struct keymaker *m) {
    eventfd_t count;
    (void)eventfd_read(m->fd, &count);
}

/* --- life --- */

struct keymaker *keymaker_free(struct keymaker *m) {
    if (!m)
        return NULL;
    pthread_mutex_lock(&m->lock);
    m->ends = true;
    pthread_mutex_unlock(&m->lock);
    if (m->started)
        pthread_join(m->thread, NULL);
    for (int i = 0; i < ESTC_KEY_TYPE_MAX_; i++)
        EVP_PKEY_free(m->kinds[i].key);
    pthread_mutex_destroy(&m->lock);
    if (m->fd >= 0)
        close(m->fd);
    free(m);
    return NULL;
}

int keymaker_new(struct keymaker **out, struct estc_error *err) {
    struct keymaker *m = calloc(1, sizeof(*m));
    if (!m)
        return estc_error_set(err, -ENOMEM, "out of memory");
    pthread_mutex_init(&m->lock, NULL);
    m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->fd < 0) {
        int rc = -errno;
        keymaker_free(m);
        return estc_error_set(err, rc, "cannot make a counter: %s", strerror(-rc));
    }
    *out = m;
    return 0;
}
