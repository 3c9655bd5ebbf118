/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop that serves, and the check of everything that it would open. Never blocks for long: all
 * waiting is the loop's.
 */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include <openssl/x509v3.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include <estc/cert.h>
#include <estc/listener.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "common/journal.h"
#include "common/pem.h"
#include "common/service.h"
#include "control.h"
#include "crls.h"
#include "discover.h"
#include "hold.h"
#include "keygen.h"
#include "registrar.h"
#include "upstream.h"

#define START_WAIT 10000 /* ms */

/* --- who the registrar is --- */

static int unfit(const struct config *config, const char *why, struct estc_error *err) {
    return estc_error_set(err, ESTC_E_CREDENTIAL, "server.certificate %s: %s",
                          config->server_certificate, why);
}

/* Key and certificate, which clients will accept at least as far as can be told from here. */
static int read_own(const struct config *config, struct estc_credentials *own,
                    struct estc_error *err) {
    int rc = pem_read_credentials(config->server_certificate, config->server_key, own, err);
    if (rc)
        return rc;
    if (X509_cmp_current_time(X509_get0_notAfter(own->cert)) <= 0)
        return unfit(config, "has expired: renew it, or check this machine's clock", err);
    if (X509_check_purpose(own->cert, X509_PURPOSE_SSL_SERVER, 0) != 1)
        return unfit(config, "is not for a server (extendedKeyUsage): name another one", err);
    return 0;
}

/* --- the loop --- */

/* What is open while it serves, in the order of making. */
struct serving {
    struct registrar *registrar;
    struct estc_server server;
    char **labels; /* the server's */
    struct estc_listener *listener;
    sd_event *event;
    struct discover *discover;
    struct hold *hold;
    struct control *control; /* NULL: could not be made, and is not needed */
};

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source;
    (void)fd;
    (void)revents;
    estc_listener_process(arg);
    return 0;
}

static int on_prepare(sd_event_source *source, void *arg) {
    (void)source;
    estc_listener_prepare(arg);
    return 0;
}

/* A key was made that somebody waits for. */
static int on_made(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source;
    (void)fd;
    (void)revents;
    struct serving *s = arg;
    registrar_seen(s->registrar);
    hold_ask_next(s->hold);
    return 0;
}

static int on_hup(sd_event_source *source, const struct signalfd_siginfo *si, void *arg) {
    (void)source;
    (void)si;
    registrar_reopen(arg);
    journal_notice(
        "SIGHUP: the audit log is opened again; the configuration is read at start only, "
        "restart to put it in force");
    return 0;
}

static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *request,
                   struct estc_response *response) {
    const struct serving *s = arg;
    estc_server_answer(&s->server, peer, request, response);
    if (response->later && hold_add(s->hold, peer, request, response->max_age)) {
        struct estc_request now = *request;
        now.ticket = 0;
        estc_server_answer(&s->server, peer, &now, response);
    }
    if (response->later)
        journal_debug("POST %s from %s: answered later", request->path, peer->address);
    else
        journal_debug("%s %s from %s: %u.%02u", request->method == ESTC_GET ? "GET" : "POST",
                      request->path, peer->address, response->code / 100, response->code % 100);
}

static int is_revoked(void *arg, X509 *cert) {
    const struct serving *s = arg;
    return registrar_is_revoked(s->registrar, cert);
}

static int open_listener(const struct config *config, struct serving *s, struct estc_error *err) {
    _cleanup(pem_credentials_clear) struct estc_credentials own = {0};
    int rc = read_own(config, &own, err);
    if (rc)
        return rc;
    const struct estc_listener_options options = {
        .address = config->address,
        .port = (uint16_t)config->port,
        .credentials = own,
        .client_trust = registrar_client_trust(s->registrar),
        .expired_trust = registrar_expired_trust(s->registrar),
        .max_body = (size_t)config->max_body,
        .max_bodies = (size_t)config->max_bodies,
        .max_sessions = (unsigned)config->max_sessions,
        .max_handshakes = (unsigned)config->max_handshakes,
        .max_waiting = (unsigned)config->max_waiting,
        .address_rate = (unsigned)config->address_rate,
        .certificate_rate = (unsigned)config->certificate_rate,
        .idle_timeout = (unsigned)config->idle_timeout,
        .mtu = (unsigned)config->mtu,
        .dtls_timeout = (unsigned)config->dtls_timeout,
        .answer = answer,
        .is_revoked = is_revoked,
        .arg = s,
    };
    return estc_listener_new(&options, &s->listener, err);
}

static int add_sources(sd_event *event, struct estc_listener *listener,
                       struct registrar *registrar) {
    sd_event_source *io = NULL;
    int rc = service_watch(event, on_hup, registrar);
    if (rc >= 0)
        rc = service_feed_watchdog(event, NULL, NULL);
    if (rc >= 0)
        rc =
            sd_event_add_io(event, &io, estc_listener_fd(listener), EPOLLIN, on_readable, listener);
    /* libcoap computes its next retransmission only when asked: before each sleep. */
    if (rc >= 0)
        rc = sd_event_source_set_prepare(io, on_prepare);
    if (rc >= 0)
        rc = sd_event_source_set_floating(io, true);
    sd_event_source_unref(io);
    return rc < 0 ? rc : 0;
}

static int watch_made(struct serving *s, struct estc_error *err) {
    int fd = registrar_fd(s->registrar);
    int rc = fd < 0 ? 0 : sd_event_add_io(s->event, NULL, fd, EPOLLIN, on_made, s);
    return rc < 0 ? estc_error_set(err, rc, "cannot watch a descriptor: %s", strerror(-rc)) : 0;
}

static void serving_end(struct serving *s) {
    control_free(s->control);
    hold_free(s->hold);
    discover_close(s->discover);
    sd_event_unref(s->event);
    estc_listener_free(s->listener);
    text_list_free(s->labels);
    registrar_close(s->registrar);
}

static void on_decided(void *arg) {
    hold_ask_again(arg);
}

/* Who has nothing to approve can do without, and should not stand still for its sake. */
static int open_control(const struct config *config, struct serving *s, struct estc_error *err) {
    int rc = control_new(s->event, s->registrar, s->listener, s->hold, &s->control, err);
    if (!rc || config_needs_approval(config))
        return rc;
    journal_warning("%s", err->text);
    return 0;
}

static int open_all(const struct config *config, struct serving *s, struct estc_error *err) {
    int rc = registrar_open(config, &s->registrar, err);
    if (rc)
        return rc;
    if (discover_labels(config, &s->labels))
        return estc_error_set(err, -ENOMEM, "out of memory");
    s->server = (struct estc_server){.ops = registrar_server_ops(s->registrar),
                                     .arg = s->registrar,
                                     .root = config->root,
                                     .labels = (const char *const *)s->labels};
    rc = open_listener(config, s, err);
    if (rc)
        return rc;
    rc = sd_event_default(&s->event);
    if (rc >= 0)
        rc = add_sources(s->event, s->listener, s->registrar);
    if (rc < 0)
        return estc_error_set(err, rc, "cannot make an event loop: %s", strerror(-rc));
    rc = hold_new(s->event, &s->server, s->listener, &s->hold, err);
    if (!rc)
        rc = registrar_start(s->registrar, s->event, on_decided, s->hold, err);
    if (!rc)
        rc = watch_made(s, err);
    if (!rc)
        rc = open_control(config, s, err);
    return rc ? rc : discover_open(config, &s->server, s->event, &s->discover, err);
}

/* Devices that come at once should find /crts; who is not there soon is not waited for. */
static void wait_for_upstream(struct serving *s) {
    const int64_t end = clock_boot_ms() + START_WAIT;
    int64_t left = START_WAIT;
    while (registrar_is_starting(s->registrar) && left > 0) {
        if (sd_event_run(s->event, (uint64_t)left * 1000) < 0)
            return;
        left = end - clock_boot_ms();
    }
}

int serve_run(const struct config *config) {
    _cleanup(serving_end) struct serving s = {0};
    struct estc_error err = {0};
    if (open_all(config, &s, &err)) {
        journal_error("%s", err.text);
        return EXIT_FAILED;
    }
    wait_for_upstream(&s);
    const bool v6 = strchr(config->address, ':') != NULL;
    char where[INET6_ADDRSTRLEN + sizeof("[]:65535")];
    snprintf(where, sizeof(where), "%s%s%s:%u", v6 ? "[" : "", config->address, v6 ? "]" : "",
             (unsigned)config->port);
    journal_notice("est-registrar " ESTC_VERSION " serves on %s", where);
    sd_notifyf(0, "READY=1\nSTATUS=serving on %s", where);
    int rc = sd_event_loop(s.event);
    sd_notify(0, "STOPPING=1");
    journal_notice("est-registrar ends");
    return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* --- the check --- */

static int check_own(const struct config *config, struct estc_error *err) {
    _cleanup(pem_credentials_clear) struct estc_credentials own = {0};
    return read_own(config, &own, err);
}

static int check_keys(const struct config *config, struct estc_error *err) {
    struct keygen *keygen = NULL;
    bool here = config->server_keys == CONF_TRUE && !config_has_upstream(config);
    int rc = here ? keygen_open(config, &keygen, err) : 0;
    keygen_close(keygen);
    return rc;
}

static int check_upstream(const struct config *config, struct estc_error *err) {
    return config_has_upstream(config) ? upstream_check(config, err) : 0;
}

static int check_ledger(const struct config *config, struct estc_error *err) {
    return config->database ? ledger_postgres_check(config->database, err)
                            : ledger_sqlite_check(config->ledger, err);
}

int serve_check(const struct config *config) {
    static int (*const checks[])(const struct config *config, struct estc_error *err) = {
        check_own, check_keys, check_upstream, check_ledger, discover_check};
    unsigned faults = 0;
    struct ca *issuing = NULL;
    STACK_OF(X509) *ours = NULL;
    struct estc_error err = {0};
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        if (checks[i](config, &err))
            faults++, fprintf(stderr, "est-registrar: %s\n", err.text);
    if (registrar_open_issuers(config, &issuing, &ours, &err))
        faults++, fprintf(stderr, "est-registrar: %s\n", err.text);
    for (size_t i = 0; i < config->client_cas.n; i++) {
        struct estc_trust *trust = NULL;
        const struct config_client_ca *ca = config_client_ca_at(config, i);
        if (registrar_open_client_ca(ca, registrar_ours_and_above(issuing, ours), &trust, &err) ||
            crls_check(ca, trust, &err))
            faults++, fprintf(stderr, "est-registrar: %s\n", err.text);
        estc_trust_free(trust);
    }
    sk_X509_pop_free(ours, X509_free);
    ca_close(issuing);
    if (faults)
        return EXIT_CONFIG_TEXT;
    printf("configuration ok: %zu rule%s\n", config->rules.n, config->rules.n == 1 ? "" : "s");
    return EXIT_DONE;
}
