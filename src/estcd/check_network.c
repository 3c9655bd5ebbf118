/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of the way to the server, and of a connection. Nothing is asked on it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "check_internal.h"
#include "common/exitcode.h"
#include "timebase.h"

#define TRIES 3 /* times dtls_timeout, until a packet counts as lost */

static struct survey_way way_of(const struct checking *c) {
    return (struct survey_way){c->identity->source, c->identity->interface};
}

static const struct estc_url *server(const struct checking *c) {
    return &c->attempt.server;
}

void check_name(struct checking *c, struct finding *out) {
    const struct survey_way way = way_of(c);
    struct estc_error err = {0};
    if (survey_resolve(&way, server(c)->host, server(c)->port, &c->wait, &c->addresses, &err)) {
        c->addresses.count = 0;
        finding_fail(out, EXIT_UNREACHABLE, strdup(err.text), NULL);
        return;
    }
    char *text = NULL;
    for (size_t i = 0; i < c->addresses.count; i++) {
        char one[RESOLVE_TEXT_MAX];
        char *longer = text_format("%s%s%s", text ? text : "", text ? ", " : "",
                                   resolve_text((const struct sockaddr *)&c->addresses.at[i].addr,
                                                c->addresses.at[i].len, one));
        free(text);
        text = longer;
    }
    finding_set(out, CHECK_OK, text, NULL);
}

static void skip(struct finding *out, const char *why) {
    finding_set(out, CHECK_SKIPPED, strdup(why), NULL);
}

void check_route(struct checking *c, struct finding *out) {
    const struct survey_way way = way_of(c);
    struct estc_error err = {0};
    char text[SURVEY_TEXT_MAX];
    size_t left = 0;
    if (c->addresses.count == 0) {
        skip(out, "no address is known");
        return;
    }
    for (size_t i = 0; i < c->addresses.count; i++) {
        char way_text[SURVEY_TEXT_MAX];
        if (survey_route(&way, &c->addresses, i, way_text, &err))
            continue;
        if (left == 0)
            memcpy(text, way_text, sizeof(text));
        c->addresses.at[left++] = c->addresses.at[i];
    }
    c->addresses.count = left;
    if (left > 0)
        finding_set(out, CHECK_OK, text_format("from %s", text), NULL);
    else
        finding_fail(out, EXIT_UNREACHABLE, strdup(err.text),
                     strdup("see 'ip route get ADDRESS', and that the link is up"));
}

/* --- the size of packets --- */

/* One packet of a size; what survey_size() says. */
static int try_size(const struct checking *c, size_t size, struct estc_error *err) {
    const struct survey_way way = way_of(c);
    struct estc_wait wait = estc_wait_in(c->identity->dtls_timeout * TRIES * 1000);
    if (wait.deadline > c->wait.deadline)
        wait.deadline = c->wait.deadline;
    return survey_size(&way, &c->addresses, 0, size, &wait, err);
}

static bool is_size_matter(int rc) {
    return rc == ESTC_E_TIMEOUT || rc == -EMSGSIZE;
}

/* The largest of a few usual sizes that gets there, below one that does not; 0: none. */
static size_t largest(const struct checking *c, size_t below) {
    static const size_t sizes[] = {4096, 1500, 1400, 1280, 1024, 576, 400, SURVEY_SIZE_MIN};
    struct estc_error err = {0};
    /* Where nobody answers at all, one try is enough to know. */
    if (try_size(c, SURVEY_SIZE_MIN, &err))
        return 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        if (sizes[i] < below && !try_size(c, sizes[i], &err))
            return sizes[i];
    return SURVEY_SIZE_MIN;
}

void check_mtu(struct checking *c, struct finding *out) {
    struct estc_error err = {0};
    size_t mtu = (size_t)c->identity->mtu;
    if (c->addresses.count == 0) {
        skip(out, "there is no way to the server");
        return;
    }
    int rc = try_size(c, mtu, &err);
    size_t fits = is_size_matter(rc) ? largest(c, mtu) : 0;
    if (!rc)
        finding_set(out, CHECK_OK, text_format("packets of %zu bytes get there", mtu), NULL);
    else if (fits > 0)
        finding_fail(out, EXIT_UNREACHABLE,
                     text_format("packets of %zu bytes (mtu) do not get there: %s; those of %zu do",
                                 mtu, err.text, fits),
                     text_format("set mtu = %zu", fits));
    else
        finding_fail(out, EXIT_UNREACHABLE,
                     rc == ESTC_E_TIMEOUT || rc == -EMSGSIZE
                         ? text_format("nothing that speaks DTLS answers, to no size of packets")
                         : strdup(err.text),
                     strdup("see that the server runs; check address, port and firewall"));
}

/* --- a connection --- */

static int exit_code_of(int rc) {
    return rc == ESTC_E_REJECTED                              ? EXIT_REJECTED
           : rc == ESTC_E_UNREACHABLE || rc == ESTC_E_TIMEOUT ? EXIT_UNREACHABLE
                                                              : EXIT_FAILED;
}

static char *connected_text(const struct checking *c, int64_t took) {
    struct survey_peer peer;
    _cleanup(estc_cert_facts_clear) struct estc_cert_facts facts = {0};
    char until[CLOCK_TEXT_MAX];
    survey_peer(c->transport, &peer);
    if (!peer.cert || estc_cert_facts_get(peer.cert, &facts, NULL))
        return text_format("%s", peer.version ? peer.version : "-");
    return text_format("%s, %s, %lld ms; server '%s' until %s", peer.version, peer.suite,
                       (long long)took, facts.subject, clock_text(facts.not_after, until));
}

void check_handshake(struct checking *c, struct finding *out) {
    const struct estc_credentials *own = c->current.cert ? &c->current : &c->birth;
    struct estc_error err = {0};
    if (c->addresses.count == 0 || !own->cert) {
        skip(out, own->cert ? "there is no way to the server" : "there is nothing to show it");
        return;
    }
    struct estc_coaps_options options = attempt_way(&c->attempt, own);
    options.provisional = !options.trust && !options.explicit_trust; /* by a fingerprint */
    int64_t began = clock_boot_ms();
    struct estc_transport *transport = NULL;
    int rc = estc_coaps_new(&options, &transport, &err);
    if (!rc)
        rc = transport->ops->connect(transport, &c->wait, &err);
    if (rc) {
        estc_transport_free(transport);
        finding_fail(out, exit_code_of(rc), strdup(err.text), NULL);
        return;
    }
    c->transport = transport;
    finding_set(out, CHECK_OK, connected_text(c, clock_boot_ms() - began), NULL);
}
