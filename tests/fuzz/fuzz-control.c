/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: whatever a client writes, the connection answers or ends. */
#include "fuzz.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ctl/ctl.h"

static void on_list(struct ctl_call *call, json_t *params, void *arg) {
    (void)params, (void)arg;
    ctl_call_reply(call, NULL, ctl_call_wants_more(call));
}

static const struct ctl_field in[] = {{.name = "id", .type = CTL_STRING},
                                      {.name = "names", .type = CTL_STRINGS, .optional = true},
                                      {0}};
static const struct ctl_field none[] = {{0}};
static const struct ctl_method methods[] = {
    {.name = "List", .in = none, .out = none, .handle = on_list, .doc = "lists"},
    {.name = "Change", .changes = true, .in = in, .out = none, .handle = on_list, .doc = "changes"},
    {0}};
static const struct ctl_interface interface = {
    .name = "org.example.fuzz", .doc = "A target.", .methods = methods};
static const struct ctl_service service = {.vendor = "v",
                                           .product = "p",
                                           .version = "1",
                                           .url = "u",
                                           .interface = &interface,
                                           .read_group = "r",
                                           .change_group = "c"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    int ends[2];
    struct ctl_conn *conn = NULL;
    const struct ctl_conn_options options = {.service = &service, .may_change = len % 2};
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    FUZZ_CHECK(ctl_conn_new(ends[0], &options, &conn) == 0);
    bool open = true;
    while (open && len > 0) {
        ssize_t n = send(ends[1], data, len < 4096 ? len : 4096, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        data += n;
        len -= (size_t)n;
        char answer[4096];
        open = ctl_conn_process(conn, POLLIN | POLLOUT) >= 0;
        while (recv(ends[1], answer, sizeof(answer), 0) > 0)
            continue;
    }
    ctl_conn_free(conn);
    close(ends[1]);
    return 0;
}
