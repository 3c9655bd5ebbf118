/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Addresses to listen on, and libcoap's resources. Owns nothing; opens a socket only to see whether
 * it could.
 */
#include "coap/endpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "coap/resolve.h"

/* [::] takes IPv4 as well, but a kernel may have been built or started without IPv6. */
static const char *endpoint_any(void) {
    _cleanup(fs_closep) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 && errno == EAFNOSUPPORT ? "0.0.0.0" : "::";
}

int endpoint_address(const char *address, uint16_t port, coap_address_t *out,
                     struct estc_error *err) {
    const char *text = address ? address : endpoint_any();
    struct estc_wait none = {.cancel_fd = -1};
    struct resolve_list list;
    if (!resolve_is_address(text))
        return estc_error_set(err, -EINVAL, "'%s' is not an IPv4 or IPv6 address to listen on",
                              text);
    int r = resolve_host(text, port, &none, &list, err);
    if (r)
        return r;
    coap_address_init(out);
    if (list.count == 0 || list.at[0].len > sizeof(out->addr))
        return estc_error_set(err, -EAFNOSUPPORT, "'%s': unknown kind of address", text);
    memcpy(&out->addr, &list.at[0].addr, list.at[0].len);
    out->size = list.at[0].len;
    return 0;
}

int endpoint_check_free(const coap_address_t *local, struct estc_error *err) {
    char text[RESOLVE_TEXT_MAX];
    const struct sockaddr *addr = &local->addr.sa;
    _cleanup(fs_closep) int fd = socket(addr->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, addr, local->size) == 0)
        return 0;
    int e = errno;
    const char *remedy = e == EADDRINUSE      ? "another program uses it"
                         : e == EADDRNOTAVAIL ? "this machine does not have that address"
                         : e == EACCES        ? "ports below 1024 need a privilege"
                                              : "see the address";
    return estc_error_set(err, -e, "cannot listen on %s: %s: %s",
                          resolve_text(addr, local->size, text), strerror(e), remedy);
}

int endpoint_handle(coap_context_t *coap, const char *path, coap_method_handler_t handler) {
    static const coap_request_t methods[] = {
        COAP_REQUEST_GET,   COAP_REQUEST_POST,  COAP_REQUEST_PUT,    COAP_REQUEST_DELETE,
        COAP_REQUEST_FETCH, COAP_REQUEST_PATCH, COAP_REQUEST_IPATCH,
    };
    coap_resource_t *resource = path ? coap_resource_init(coap_make_str_const(path), 0)
                                     : coap_resource_unknown_init(handler);
    if (!resource)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        coap_register_request_handler(resource, methods[i], handler);
    coap_add_resource(coap, resource);
    return 0;
}
