/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemons' command lines take, and what they exit with. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "common/service.h"

static const struct service about = {
    .name = "thing", .synopsis = "", .more = "", .config_file = "/etc/thing.conf"};

/* The exit code, or -1 to go on. */
static int options(struct service_options *out, char **argv) {
    int argc = 0, code = -2;
    while (argv[argc])
        argc++;
    optind = 0; /* getopt begins anew */
    return service_options(&about, argc, argv, out, &code) ? -1 : code;
}
#define OPTIONS(out, ...) options(out, (char *[]){(char[]){"thing"}, ##__VA_ARGS__, NULL})
#define WORD(text) ((char[]){text})

static void the_command_line_is_read(void **state) {
    (void)state;
    struct service_options said = {0};
    assert_int_equal(OPTIONS(&said), -1);
    assert_string_equal(said.config_file, "/etc/thing.conf");
    assert_false(said.check);
    assert_int_equal(OPTIONS(&said, WORD("-n"), WORD("-c"), WORD("a.conf")), -1);
    assert_string_equal(said.config_file, "a.conf");
    assert_true(said.check);
    assert_int_equal(OPTIONS(&said, WORD("--config=b.conf")), -1);
    assert_string_equal(said.config_file, "b.conf");
    assert_false(said.check);
}

static void what_is_no_option_is_bad_usage(void **state) {
    (void)state;
    struct service_options said = {.config_file = "untouched"};
    assert_int_equal(OPTIONS(&said, WORD("-x")), EXIT_BAD_USAGE);
    assert_int_equal(OPTIONS(&said, WORD("-c")), EXIT_BAD_USAGE);
    assert_int_equal(OPTIONS(&said, WORD("-n"), WORD("more")), EXIT_BAD_USAGE);
    assert_string_equal(said.config_file, "untouched");
    assert_false(said.check);
}

static void errors_of_the_configuration_decide_the_exit_code(void **state) {
    (void)state;
    const struct conf_origin where = {.file = (char[]){"a.conf"}, .line = 1};
    struct conf_errors errors = {0};
    assert_int_equal(service_config_read(&about, 0, &errors), EXIT_DONE);
    assert_int_equal(service_config_read(&about, -ENOMEM, &errors), EXIT_FAILED);
    conf_error(&errors, &where, "key: wrong");
    assert_int_equal(service_config_read(&about, ESTC_E_CONFIG, &errors), EXIT_CONFIG_TEXT);
    assert_false(conf_errors_any(&errors));
}

/* A descriptor that is opened later is never 0, 1 or 2, whatever was closed before. */
static void closed_streams_are_filled(void **state) {
    (void)state;
    int in = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    close(STDIN_FILENO);
    service_begin();
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd > STDERR_FILENO);
    close(fd);
    if (in >= 0) {
        dup2(in, STDIN_FILENO);
        close(in);
    }
}

static void say_passed(const char *n) {
    char pid[32];
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", n, 1);
}

static void one_socket_is_taken_from_systemd(void **state) {
    (void)state;
    struct estc_error err = {0};
    int fd = -2;
    assert_int_equal(service_listening(&fd, &err), 0);
    assert_int_equal(fd, -1);
    int held[2];
    for (int i = 0; i < 2; i++)
        held[i] = dup2(STDERR_FILENO, 3 + i);
    say_passed("1");
    assert_int_equal(service_listening(&fd, &err), 0);
    assert_int_equal(fd, 3);
    assert_null(getenv("LISTEN_FDS"));
    say_passed("2");
    assert_int_equal(service_listening(&fd, &err), -EINVAL);
    assert_int_equal(fd, 3);
    assert_non_null(strstr(err.text, "leave one ListenStream="));
    for (int i = 0; i < 2; i++)
        close(held[i]);
}

/* --- the watchdog --- */

#define WATCHDOG_MS 160

/* A place for what is told to systemd. */
static int notified_new(char *folder) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_non_null(mkdtemp(folder));
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", folder);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    return fd;
}

static unsigned count_fed(sd_event *event, int fd, int64_t ms) {
    unsigned n = 0;
    for (int64_t until = clock_boot_ms() + ms; clock_boot_ms() < until;)
        assert_true(sd_event_run(event, 10 * 1000) >= 0);
    for (char text[256] = ""; recv(fd, text, sizeof(text) - 1, 0) > 0;)
        n += strcmp(text, "WATCHDOG=1") == 0;
    return n;
}

static char *stuck_if(void *arg) {
    const bool *stuck = arg;
    return *stuck ? strdup("nothing moves") : NULL;
}

static void the_watchdog_is_fed_while_nothing_is_stuck(void **state) {
    (void)state;
    char folder[] = "/tmp/estc-test-XXXXXX", path[64];
    int fd = notified_new(folder);
    sd_event *event = NULL;
    bool stuck = false;
    assert_true(sd_event_new(&event) >= 0);
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(service_feed_watchdog(event, stuck_if, &stuck), 0);
    assert_int_equal(count_fed(event, fd, WATCHDOG_MS), 0); /* nobody asks for it */
    setenv("WATCHDOG_USEC", "160000", 1);
    assert_int_equal(service_feed_watchdog(event, stuck_if, &stuck), 0);
    assert_true(count_fed(event, fd, 2 * WATCHDOG_MS) >= 2);
    stuck = true;
    assert_int_equal(count_fed(event, fd, 2 * WATCHDOG_MS), 0);
    stuck = false;
    assert_true(count_fed(event, fd, 2 * WATCHDOG_MS) >= 2);
    sd_event_unref(event);
    unsetenv("WATCHDOG_USEC");
    unsetenv("NOTIFY_SOCKET");
    close(fd);
    snprintf(path, sizeof(path), "%s/notify", folder);
    unlink(path);
    rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_line_is_read),
        cmocka_unit_test(what_is_no_option_is_bad_usage),
        cmocka_unit_test(errors_of_the_configuration_decide_the_exit_code),
        cmocka_unit_test(closed_streams_are_filled),
        cmocka_unit_test(one_socket_is_taken_from_systemd),
        cmocka_unit_test(the_watchdog_is_fed_while_nothing_is_stuck),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
