/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain CoAP in the registrar's loop. It says where EST is and serves none of it: the links are
 * absolute and name coaps, the host that the certificate names (or the address that was asked,
 * where no host is configured) and the port.
 */
#include "discover.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <estc/beacon.h>
#include <estc/discovery.h>
#include <estc/url.h>

#include "base/cleanup.h"
#include "base/text.h"

struct discover {
    const struct config *config;
    const struct estc_server *server;
    struct estc_beacon *beacon;
    sd_event_source *source;
};

int discover_labels(const struct config *config, char ***out) {
    char **labels = NULL;
    for (size_t i = 0; i < config->rules.n; i++) {
        const char *label = config_rule_at(config, i)->label;
        bool known = !label || !*label;
        for (char *const *have = labels; !known && have && *have; have++)
            known = strcmp(*have, label) == 0;
        if (!known && text_list_add(&labels, label)) {
            text_list_free(labels);
            return -ENOMEM;
        }
    }
    *out = labels;
    return 0;
}

static bool is_any(const char *address) {
    return strcmp(address, "::") == 0 || strcmp(address, "0.0.0.0") == 0;
}

/* "coaps://host:port" in front of the links. What is configured wins over what was asked. */
static int links(void *arg, const char *host, const char *query, struct estc_buf *out) {
    const struct discover *d = arg;
    const struct config *config = d->config;
    const char *named = config->discovery_host    ? config->discovery_host
                        : is_any(config->address) ? NULL
                                                  : config->address;
    bool bare = named && strchr(named, ':'); /* an IPv6 address as the configuration has it */
    char port[sizeof(":65535")] = "";
    if (config->port != ESTC_DEFAULT_PORT)
        snprintf(port, sizeof(port), ":%u", (unsigned)(uint16_t)config->port);
    _cleanup(freep) char *authority = text_format("coaps://%s%s%s%s", bare ? "[" : "",
                                                  named ? named : host, bare ? "]" : "", port);
    return authority ? estc_server_links(d->server, authority, query, out) : -ENOMEM;
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source, (void)fd, (void)revents;
    const struct discover *d = arg;
    estc_beacon_process(d->beacon);
    return 0;
}

CLEANUP_DEFINE(struct discover *, discover_closep, discover_close);

int discover_open(const struct config *config, const struct estc_server *server, sd_event *event,
                  struct discover **out, struct estc_error *err) {
    if (config->discovery_enabled != CONF_TRUE)
        return 0;
    _cleanup(discover_closep) struct discover *d = calloc(1, sizeof(*d));
    if (!d)
        return estc_error_set(err, -ENOMEM, "out of memory");
    d->config = config;
    d->server = server;
    const struct estc_beacon_options options = {
        /* A socket with one address of this machine hears no multicast. */
        .address = config->discovery_interfaces || is_any(config->address) ? NULL : config->address,
        .port = (uint16_t)config->discovery_port,
        .interfaces = (const char *const *)config->discovery_interfaces,
        .links = links,
        .arg = d,
    };
    int rc = estc_beacon_new(&options, &d->beacon, err);
    if (rc)
        return rc;
    rc = sd_event_add_io(event, &d->source, estc_beacon_fd(d->beacon), EPOLLIN, on_readable, d);
    if (rc < 0)
        return estc_error_set(err, rc, "discovery: no place in the event loop: %s", strerror(-rc));
    *out = TAKE(d);
    return 0;
}

struct discover *discover_close(struct discover *discover) {
    if (!discover)
        return NULL;
    sd_event_source_unref(discover->source);
    estc_beacon_free(discover->beacon);
    free(discover);
    return NULL;
}

int discover_check(const struct config *config, struct estc_error *err) {
    if (config->discovery_enabled != CONF_TRUE)
        return 0;
    for (char *const *name = config->discovery_interfaces; name && *name; name++)
        if (if_nametoindex(*name) == 0)
            return estc_error_set(
                err, -ENODEV, "discovery.interfaces: there is no network interface '%s'", *name);
    return 0;
}
