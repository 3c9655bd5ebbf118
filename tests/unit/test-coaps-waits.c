/* SPDX-License-Identifier: BSD-2-Clause */
/* Waits that end: silent peers, closed ports, names, cancelling. */
#include "ends.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"

static int udp_silent(uint16_t *port) {
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    socklen_t len = sizeof(addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    *port = ntohs(addr.sin6_port);
    return fd;
}

static void deadline_with_a_silent_peer(void **state) {
    (void)state;
    uint16_t port;
    int fd = udp_silent(&port);
    struct estc_coaps_options o = options_for(port);
    struct estc_error err = {0};
    int64_t began = clock_boot_ms();
    assert_int_equal(connect_once(&o, 600, &err), ESTC_E_TIMEOUT);
    int64_t took = clock_boot_ms() - began;
    assert_true(took >= 600 && took < 1200);
    assert_non_null(strstr(err.text, "nothing that speaks DTLS answers there"));
    assert_int_equal(connect_once(&o, 0, &err), ESTC_E_TIMEOUT);
    assert_int_equal(connect_once(&o, -5000, &err), ESTC_E_TIMEOUT);
    close(fd);
}

/* A server of plain CoAP on the port. */
static void answer_in_the_clear(int ready, int stop, void *arg) {
    int fd = *(int *)arg;
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
    net_ready(ready);
    while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
        static const unsigned char reset[] = {0x70, 0, 0xfe, 0xfd}, text[] = "\x60\x45\0\1\xffhi";
        unsigned char data[2048];
        struct sockaddr_in6 from;
        socklen_t len = sizeof(from);
        if (recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *)&from, &len) > 0) {
            sendto(fd, reset, sizeof(reset), 0, (struct sockaddr *)&from, len);
            sendto(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&from, len);
        }
    }
}

static void t01_plain_coap_on_the_port(void **state) {
    (void)state;
    uint16_t port;
    int fd = udp_silent(&port);
    struct net_child child = net_start(answer_in_the_clear, &fd);
    struct estc_coaps_options o = options_for(port);
    struct estc_error err = {0};
    assert_int_equal(connect_once(&o, 1500, &err), ESTC_E_TIMEOUT);
    if (!strstr(err.text, "nothing that speaks DTLS answers there"))
        fail_msg("%s", err.text);
    net_stop(&child);
    close(fd);
}

static void closed_port(void **state) {
    (void)state;
    struct estc_coaps_options o = options_for(net_port());
    struct estc_error err = {0};
    int64_t began = clock_boot_ms();
    assert_int_equal(connect_once(&o, 8000, &err), ESTC_E_UNREACHABLE);
    int64_t took = clock_boot_ms() - began;
    assert_true(took >= 1500 && took < 5000); /* asked three times, and no longer */
    assert_non_null(strstr(err.text, "nothing listens there"));
}

/* The server starts while the client asks. */
static void refusal_is_not_final(void **state) {
    (void)state;
    struct net_server server = server_for(&ends_pki.server);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        struct estc_coaps_options o = options_for(server.port);
        struct estc_error err = {0};
        _exit(connect_once(&o, 8000, &err) == 0 ? 0 : 1);
    }
    usleep(300000);
    struct net_child child = net_serve(&server);
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    net_stop(&child);
}

static void cancel_descriptor(void **state) {
    (void)state;
    uint16_t port;
    int fd = udp_silent(&port);
    int cancel = eventfd(1, EFD_CLOEXEC);
    struct estc_coaps_options o = options_for(port);
    struct estc_transport *t = open_transport(&o);
    struct estc_wait wait = estc_wait_in(10000);
    struct estc_error err = {0};
    int64_t began = clock_boot_ms();
    wait.cancel_fd = cancel;
    assert_int_equal(t->ops->connect(t, &wait, &err), ESTC_E_CANCELLED);
    assert_true(clock_boot_ms() - began < 1000);
    estc_transport_free(t);
    close(cancel);
    close(fd);
}

static void names_that_cannot_be_looked_up(void **state) {
    (void)state;
    struct estc_coaps_options o = options_for(5684);
    struct estc_error err = {0};
    o.host = "no-such-host.invalid";
    int64_t began = clock_boot_ms();
    int r = connect_once(&o, 1000, &err);
    assert_true(r == ESTC_E_UNREACHABLE || r == ESTC_E_TIMEOUT);
    assert_non_null(strstr(err.text, "cannot look up 'no-such-host.invalid'"));
    assert_true(clock_boot_ms() - began < 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deadline_with_a_silent_peer),
        cmocka_unit_test(t01_plain_coap_on_the_port),
        cmocka_unit_test(closed_port),
        cmocka_unit_test(refusal_is_not_final),
        cmocka_unit_test(cancel_descriptor),
        cmocka_unit_test(names_that_cannot_be_looked_up),
    };
    return cmocka_run_group_tests(tests, ends_set_up, ends_tear_down);
}
