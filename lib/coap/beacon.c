/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Discovery over plain CoAP. Owns a libcoap context of its own, so that nothing of it touches the
 * one that serves EST. Strangers ask here, with any source address that they like to write, so
 *
 *  - what is kept of an asker is bounded: libcoap's session until 64 younger ones have come,
 *  - answers with a body are rationed, so that we are no lever against others (RFC 7252 section
 *    11.3),
 *  - every other request is answered by a few bytes of error.
 *
 * To multicast libcoap answers NON, after a random part of 5 s, and sends no errors (RFC 7252
 * section 8.2); without anything to say we send nothing either.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <estc/beacon.h>
#include <estc/discovery.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/log.h"
#include "coap/coaplog.h"
#include "coap/endpoint.h"
#include "coap/message.h"
#include "coap/ration.h"
#include "coap/reply.h"
#include "coap/resolve.h"

#define BEACON_SESSIONS 64
#define BEACON_IDLE 10 /* seconds until libcoap forgets an asker */
#define BEACON_INTERFACES_MAX 16
/* Token and options of an answer, at their longest. */
#define BEACON_OPTIONS_MAX 24
#define BEACON_GET 1
#define BEACON_HOST_MAX (INET6_ADDRSTRLEN + sizeof("[]"))

struct estc_beacon {
    coap_context_t *coap;
    unsigned interfaces[BEACON_INTERFACES_MAX]; /* where to answer; none: everywhere */
    size_t n_interfaces;
    estc_beacon_fn links;
    void *arg;
    struct ration answers;
};

/* --- addresses --- */

static bool is_heard(const struct estc_beacon *b, const coap_session_t *session) {
    unsigned index = (unsigned)coap_session_get_ifindex(session);
    for (size_t i = 0; i < b->n_interfaces; i++)
        if (b->interfaces[i] == index)
            return true;
    return b->n_interfaces == 0;
}

/* The address that our answer to a multicast leaves from: the kernel's choice. */
static bool source_towards(const coap_session_t *session, coap_address_t *out) {
    coap_address_t remote = *coap_session_get_addr_remote(session);
    if (remote.addr.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&remote.addr.sin6.sin6_addr))
        remote.addr.sin6.sin6_scope_id = (uint32_t)coap_session_get_ifindex(session);
    _cleanup(fs_closep) int fd = socket(remote.addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    out->size = sizeof(out->addr);
    return fd >= 0 && connect(fd, &remote.addr.sa, remote.size) == 0 &&
           getsockname(fd, &out->addr.sa, &out->size) == 0;
}

/* "192.0.2.1" or "[2001:db8::1]"; a zone would mean nothing to anybody else. */
static bool host_text(const coap_address_t *a, char out[static BEACON_HOST_MAX]) {
    char text[INET6_ADDRSTRLEN];
    if (a->addr.sa.sa_family == AF_INET)
        return inet_ntop(AF_INET, &a->addr.sin.sin_addr, out, BEACON_HOST_MAX);
    const struct in6_addr *v6 = &a->addr.sin6.sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6))
        return inet_ntop(AF_INET, &v6->s6_addr[12], out, BEACON_HOST_MAX);
    if (!inet_ntop(AF_INET6, v6, text, sizeof(text)))
        return false;
    snprintf(out, BEACON_HOST_MAX, "[%s]", text);
    return true;
}

/* --- requests --- */

static void answer_links(struct estc_beacon *b, const coap_session_t *session,
                         const struct message *m, const char *query, struct reply *reply) {
    coap_address_t local = *coap_session_get_addr_local(session);
    bool multicast = coap_is_mcast(&local);
    char host[BEACON_HOST_MAX];
    unsigned long missed;
    _cleanup(estc_buf_clear) struct estc_buf body = {0};
    if (!ration_allows(&b->answers, &missed)) {
        reply_error(reply, 503, "asked too often");
        reply->max_age = 10;
        return;
    }
    if (missed > 0)
        log_notice("discovery: %lu questions were not answered, too many at a time", missed);
    if ((multicast && !source_towards(session, &local)) || !host_text(&local, host) ||
        b->links(b->arg, host, query, &body))
        return reply_error(reply, 500, "internal error");
    if (multicast && body.len == 0)
        return; /* silence */
    struct block asked = m->has_block2 ? m->block2 : (struct block){.szx = BLOCK_SZX_MAX};
    size_t room = coap_session_max_pdu_size(session), offset, len;
    while (asked.szx > 0 && block_size(asked.szx) + BEACON_OPTIONS_MAX > room) {
        asked.szx--;
        asked.num *= 2;
    }
    struct block block;
    if (!block_page(body.len, &asked, &block, &offset, &len))
        return reply_error(reply, 400, "no such block");
    reply_init(reply, 205);
    reply->content_format = ESTC_FORMAT_LINK;
    reply->has_block2 = block.more || block.num > 0;
    reply->block2 = block;
    if (len > 0 && estc_buf_append(&reply->payload, body.data + offset, len) < 0)
        reply_init(reply, 500);
}

static void answer(struct estc_beacon *b, const coap_session_t *session, const coap_pdu_t *request,
                   struct reply *reply) {
    struct message m;
    _cleanup(freep) char *path = message_path(request);
    _cleanup(freep) char *query = message_query(request);
    reply_init(reply, 0);
    if (!is_heard(b, session))
        reply_error(reply, 403, "not on this interface");
    else if (message_read(request, &m))
        reply_error(reply, 402, "bad option");
    else if (!path || strcmp(path, ESTC_CORE_PATH) != 0)
        reply_error(reply, 404, "EST is served over coaps only");
    else if (m.code != BEACON_GET)
        reply_error(reply, 405, "use GET");
    else if (m.accept != ESTC_FORMAT_NONE && m.accept != ESTC_FORMAT_LINK)
        reply_error(reply, 406, "the content format here is 40");
    else
        answer_links(b, session, &m, query, reply);
}

static void on_request(coap_resource_t *resource, coap_session_t *session,
                       const coap_pdu_t *request, const coap_string_t *query,
                       coap_pdu_t *response) {
    (void)resource, (void)query;
    struct estc_beacon *b = coap_get_app_data(coap_session_get_context(session));
    char from[RESOLVE_TEXT_MAX];
    const coap_address_t *remote = coap_session_get_addr_remote(session);
    struct reply reply;
    answer(b, session, request, &reply);
    log_debug("discovery: %s was answered %u.%02u",
              resolve_text(&remote->addr.sa, remote->size, from), reply.code / 100,
              reply.code % 100);
    if (!reply_write(&reply, response))
        log_error("discovery: an answer did not fit its datagram");
    reply_clear(&reply);
}

/* --- setting up --- */

static int join(struct estc_beacon *b, const char *name, struct estc_error *err) {
    unsigned index = if_nametoindex(name);
    if (index == 0)
        return estc_error_set(err, -ENODEV, "discovery: there is no network interface '%s'", name);
    if (b->n_interfaces == BEACON_INTERFACES_MAX)
        return estc_error_set(err, -E2BIG, "discovery: more than %d interfaces",
                              BEACON_INTERFACES_MAX);
    b->interfaces[b->n_interfaces++] = index;
    /* One of them may not be there: an interface without an IPv4 address, a kernel without IPv6. */
    bool v4 = coap_join_mcast_group_intf(b->coap, ESTC_GROUP_V4, name) == 0;
    bool v6 = coap_join_mcast_group_intf(b->coap, ESTC_GROUP_V6, name) == 0;
    if (!v4 && !v6)
        return estc_error_set(err, -ENODEV,
                              "discovery: cannot join multicast groups on '%s': has it an address, "
                              "and is it able to multicast?",
                              name);
    log_info("discovery: listening for multicast on %s%s", name,
             v4 && v6 ? ""
             : v4     ? ", IPv4 only"
                      : ", IPv6 only");
    return 0;
}

static int beacon_open(struct estc_beacon *b, const struct estc_beacon_options *o,
                       struct estc_error *err) {
    coap_address_t address;
    int rc = endpoint_address(o->address, o->port ? o->port : ESTC_BEACON_PORT, &address, err);
    if (!rc)
        rc = endpoint_check_free(&address, err);
    if (rc)
        return rc;
    b->coap = coap_new_context(NULL);
    if (!b->coap)
        return estc_error_set(err, -ENOMEM, "out of memory");
    coap_set_app_data(b->coap, b);
    coap_context_set_max_idle_sessions(b->coap, BEACON_SESSIONS);
    coap_context_set_session_timeout(b->coap, BEACON_IDLE);
    coap_context_set_block_mode(b->coap, 0);
    /* libcoap wants its own form, without the first slash. */
    if (endpoint_handle(b->coap, NULL, on_request) ||
        endpoint_handle(b->coap, &ESTC_CORE_PATH[1], on_request))
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (!coap_new_endpoint(b->coap, &address, COAP_PROTO_UDP)) {
        char text[RESOLVE_TEXT_MAX];
        return estc_error_set(err, -EIO, "cannot listen on %s",
                              resolve_text(&address.addr.sa, address.size, text));
    }
    for (const char *const *name = o->interfaces; !rc && name && *name; name++)
        rc = join(b, *name, err);
    return rc;
}

int estc_beacon_new(const struct estc_beacon_options *options, struct estc_beacon **out,
                    struct estc_error *err) {
    coaplog_install();
    struct estc_beacon *b = calloc(1, sizeof(*b));
    if (!b)
        return estc_error_set(err, -ENOMEM, "out of memory");
    b->links = options->links;
    b->arg = options->arg;
    int rc = beacon_open(b, options, err);
    if (rc) {
        estc_beacon_free(b);
        return rc;
    }
    *out = b;
    return 0;
}

struct estc_beacon *estc_beacon_free(struct estc_beacon *beacon) {
    if (beacon && beacon->coap)
        coap_free_context(beacon->coap);
    free(beacon);
    return NULL;
}

int estc_beacon_fd(const struct estc_beacon *beacon) {
    return coap_context_get_coap_fd(beacon->coap);
}

void estc_beacon_prepare(struct estc_beacon *beacon) {
    coap_tick_t now;
    coap_ticks(&now);
    coap_io_prepare_epoll(beacon->coap, now);
}

void estc_beacon_process(struct estc_beacon *beacon) {
    coap_io_process(beacon->coap, COAP_IO_NO_WAIT);
}
