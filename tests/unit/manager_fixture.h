/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the manager and what is around it: a state folder, a configuration, a birth
 * certificate, and the real manager in an event loop. Its workers are real ones that talk to a
 * socket which never answers, or do what a test tells them (the program is linked with
 * --wrap=worker_start).
 */
#pragma once

#include "place.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <systemd/sd-event.h>

#include <estc/cert.h>
#include <estc/key.h>

#include "base/cleanup_ossl.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/journal.h"
#include "estcd/manager_internal.h"

#define EVENTS_MAX 256
#define PATIENCE_MS 20000

struct scene_event {
    enum manager_event_kind kind;
    char id[80], step[32], text[512];
};

struct scene {
    struct place *place;
    char *conf, *state;
    int silent; /* a UDP socket that takes everything and says nothing */
    unsigned port;
    EVP_PKEY *ca_key, *birth_key;
    X509 *ca, *birth;
    sd_event *event;
    struct manager *manager;
    struct scene_event events[EVENTS_MAX];
    size_t n_events, seen;
};

/* What workers do instead of an attempt; NULL: an attempt. */
typedef void (*scene_script)(const struct attempt_task *task, int fd);
static scene_script scene_workers_do;
static unsigned scene_n_started;

int __real_worker_start(const struct attempt_task *task, pid_t *pid, int *fd,
                        struct estc_error *err);
int __wrap_worker_start(const struct attempt_task *task, pid_t *pid, int *fd,
                        struct estc_error *err);

int __wrap_worker_start(const struct attempt_task *task, pid_t *pid, int *fd,
                        struct estc_error *err) {
    scene_n_started++;
    if (!scene_workers_do)
        return __real_worker_start(task, pid, fd, err);
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
    fflush(NULL);
    *pid = fork();
    if (*pid == 0) {
        close(pair[0]);
        signal(SIGALRM, SIG_DFL);
        scene_workers_do(task, pair[1]);
        _exit(0);
    }
    close(pair[1]);
    *fd = pair[0];
    return *pid < 0 ? -errno : 0;
}

/* --- scripts --------------------------------------------------------------------------------- */

static inline void say(int fd, const char *text) {
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static inline void hang(const struct attempt_task *task, int fd) {
    (void)task;
    say(fd, "{\"step\":\"open\"}");
    pause();
}

static struct scene *scene_now; /* for scripts; one test runs at a time */

/* A generation as a real worker leaves it, valid for so many seconds. */
static inline int scene_commit(const struct attempt_task *task, int64_t lifetime) {
    struct store *store = NULL;
    int rc = store_open(task->config->state_directory, task->identity->id, &store, NULL);
    if (rc)
        return rc;
    _cleanup(pkey_freep) EVP_PKEY *key = support_key();
    _cleanup(x509_freep) X509 *cert =
        support_cert(key, &(struct support_cert_spec){.subject = "CN=gw",
                                                      .issuer = scene_now->ca,
                                                      .issuer_key = scene_now->ca_key,
                                                      .not_before = clock_real() - 1,
                                                      .not_after = clock_real() + lifetime});
    STACK_OF(X509) *cas = sk_X509_new_null();
    sk_X509_push(cas, scene_now->ca);
    const struct store_issued issued = {.key = key,
                                        .cert = cert,
                                        .cacerts = cas,
                                        .request_digest = task->identity->request_digest,
                                        .rest_digest = task->identity->rest_digest,
                                        .now = clock_real()};
    rc = store_stage(store, &issued, NULL);
    if (!rc)
        rc = store_promote(store, NULL);
    sk_X509_free(cas);
    store_close(store);
    return rc;
}

static inline void succeed(const struct attempt_task *task, int fd) {
    say(fd, scene_commit(task, 100000) ? "{\"result\":-5,\"retry_after\":0}"
                                       : "{\"result\":0,\"retry_after\":0}");
}

/* --- the scene ------------------------------------------------------------------------------- */

static inline void scene_file(struct scene *s, const char *name, const struct estc_buf *pem,
                              mode_t mode) {
    assert_int_equal(fs_write_atomic(s->place->fd, name, pem->data, pem->len, mode, NULL), 0);
}

static inline void scene_credentials(struct scene *s) {
    _cleanup(estc_buf_clear) struct estc_buf key = {0}, cert = {0}, ca = {0};
    s->ca_key = support_key();
    s->birth_key = support_key();
    s->ca = support_cert(s->ca_key, &(struct support_cert_spec){.subject = "CN=CA", .ca = 1});
    s->birth = support_cert(s->birth_key, &(struct support_cert_spec){.subject = "CN=device",
                                                                      .issuer = s->ca,
                                                                      .issuer_key = s->ca_key});
    assert_int_equal(estc_key_to_pem(s->birth_key, &key, NULL), 0);
    assert_int_equal(estc_cert_to_pem(s->birth, &cert, NULL), 0);
    assert_int_equal(estc_cert_to_pem(s->ca, &ca, NULL), 0);
    assert_int_equal(mkdirat(s->place->fd, "birth", 0700), 0);
    scene_file(s, "birth/key.pem", &key, 0600);
    scene_file(s, "birth/cert.pem", &cert, 0644);
    scene_file(s, "trust.pem", &ca, 0644);
}

static inline int scene_setup(void **state) {
    struct scene *s = calloc(1, sizeof(*s));
    void *place = NULL;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(address);
    sigset_t chld;
    if (place_setup(&place))
        return -1;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, NULL);
    s->place = place;
    s->conf = text_format("%s/estcd.conf", s->place->path);
    s->state = text_format("%s/state", s->place->path);
    s->silent = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(s->silent, (struct sockaddr *)&address, len) ||
        getsockname(s->silent, (struct sockaddr *)&address, &len) || sd_event_new(&s->event) < 0)
        return -1;
    s->port = ntohs(address.sin_port);
    scene_credentials(s);
    journal_set_level(ESTC_LOG_ERROR);
    scene_workers_do = NULL;
    scene_n_started = 0;
    scene_now = s;
    *state = s;
    return 0;
}

static inline int scene_teardown(void **state) {
    struct scene *s = *state;
    void *place = s->place;
    manager_free(s->manager);
    sd_event_unref(s->event);
    close(s->silent);
    X509_free(s->ca);
    X509_free(s->birth);
    EVP_PKEY_free(s->ca_key);
    EVP_PKEY_free(s->birth_key);
    free(s->conf);
    free(s->state);
    free(s);
    return place_teardown(&place);
}

#define STAGED(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)

/* estcd.conf with identities of these ids, NULL-ended; settings are put in front. */
static inline void scene_configure(struct scene *s, const char *settings, const char *const *ids) {
    _cleanup(freep) char *text = text_format(
        "state_directory = \"%s\"; control_socket = \"%s/control\"; log_level = \"error\"; "
        "start_spread = \"0s\"; %s\n"
        "defaults = { url = \"coaps://127.0.0.1:%u\"; trust = \"%s/trust.pem\";\n"
        "  birth = { certificate = \"%s/birth/cert.pem\"; key = \"%s/birth/key.pem\"; }; };\n"
        "identities = (",
        s->state, s->place->path, settings, s->port, s->place->path, s->place->path,
        s->place->path);
    for (size_t i = 0; ids[i]; i++) {
        char *longer = text_format("%s%s { id = \"%s\"; subject = \"CN=%s\"; }", text,
                                   i > 0 ? "," : "", ids[i], ids[i]);
        free(text);
        text = longer;
    }
    char *whole = text_format("%s );\n", text);
    free(text);
    text = whole;
    assert_int_equal(fs_write_atomic(s->place->fd, "estcd.conf", text, strlen(text), 0644, NULL),
                     0);
}
#define IDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static inline void scene_observe(const struct manager_event *event, void *arg) {
    struct scene *s = arg;
    assert_true(s->n_events < EVENTS_MAX);
    struct scene_event *e = &s->events[s->n_events++];
    e->kind = event->kind;
    snprintf(e->id, sizeof(e->id), "%s",
             event->member ? member_identity(event->member)->config->id : "");
    snprintf(e->step, sizeof(e->step), "%s", event->step ? event->step : "");
    snprintf(e->text, sizeof(e->text), "%s", event->text ? event->text : "");
}

/* The manager over what has been configured; not started. */
static inline void scene_manage(struct scene *s) {
    _cleanup(conf_errors_clear) struct conf_errors errors = {0};
    struct config *config = NULL;
    struct estc_error err = {0};
    if (config_load(s->conf, &config, &errors))
        fail_msg("%s", errors.lines[0]);
    if (manager_new(s->event, s->conf, config, &s->manager, &err))
        fail_msg("%s", err.text);
    manager_observe(s->manager, scene_observe, s);
}

static inline void scene_start(struct scene *s) {
    scene_manage(s);
    manager_start(s->manager);
}

/* Runs the loop until an event of that kind comes for id, behind the last one that was waited
 * for. */
static inline const struct scene_event *scene_wait(struct scene *s, enum manager_event_kind kind,
                                                   const char *id) {
    int64_t until = clock_boot_ms() + PATIENCE_MS;
    for (;;) {
        while (s->seen < s->n_events) {
            const struct scene_event *e = &s->events[s->seen++];
            if (e->kind == kind && strcmp(e->id, id) == 0)
                return e;
        }
        if (clock_boot_ms() > until)
            fail_msg("no event '%s' for '%s'", manager_event_names[kind], id);
        assert_true(sd_event_run(s->event, 50 * 1000) >= 0);
    }
}

/* Runs the loop for so long. */
static inline void scene_idle(struct scene *s, int64_t ms) {
    for (int64_t until = clock_boot_ms() + ms; clock_boot_ms() < until;)
        assert_true(sd_event_run(s->event, 10 * 1000) >= 0);
}

static inline struct member *scene_member(struct scene *s, const char *id) {
    struct member *member = manager_find(s->manager, id);
    assert_non_null(member);
    return member;
}

static inline enum identity_state scene_state(struct scene *s, const char *id) {
    return identity_state(member_identity(scene_member(s, id)), clock_real());
}

static inline enum manager_event_kind scene_ask(struct scene *s, const char *id,
                                                enum schedule_action action, bool force) {
    enum manager_event_kind kind = MANAGER_EVENT_MAX_;
    _cleanup(freep) char *text = NULL;
    assert_int_equal(manager_ask(s->manager, scene_member(s, id), action, force, &kind, &text), 0);
    return kind;
}
