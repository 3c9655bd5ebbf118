/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes out of the log: lines on a real stderr, entries at a real journal socket. */
#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "common/journal.h"

/* stderr is a pipe while something is written. */
struct capture {
    int saved, read_end;
    char text[8192];
};

static void capture_begin(struct capture *c) {
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fflush(stderr);
    c->saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    c->read_end = ends[0];
}

static void capture_end(struct capture *c) {
    dup2(c->saved, STDERR_FILENO);
    close(c->saved);
    ssize_t n = read(c->read_end, c->text, sizeof(c->text) - 1);
    c->text[n > 0 ? n : 0] = '\0';
    close(c->read_end);
}

static void set_stream(bool ours) {
    struct stat st;
    char text[64];
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino + !ours);
    setenv("JOURNAL_STREAM", text, 1);
}

/* The time at the beginning of a line, and what follows it. */
static const char *behind_time(const char *line) {
    char when[21];
    int64_t at;
    snprintf(when, sizeof(when), "%s", line);
    assert_int_equal(clock_parse(when, &at), 0);
    assert_true(at > clock_real() - 60 && at <= clock_real());
    return line + 20;
}

static void a_line_has_time_name_level_and_text(void **state) {
    (void)state;
    struct capture c = {0};
    capture_begin(&c);
    journal_open("estcd", ESTC_LOG_INFO);
    journal_warning("disk %d%% full", 97);
    capture_end(&c);
    assert_string_equal(behind_time(c.text), " estcd warning: disk 97% full\n");
}

static void lines_beyond_the_level_are_dropped(void **state) {
    (void)state;
    struct capture c = {0};
    capture_begin(&c);
    journal_open("estcd", ESTC_LOG_ERROR);
    journal_warning("no");
    journal_error("one");
    journal_set_level(ESTC_LOG_DEBUG);
    journal_debug("two");
    journal_set_level(ESTC_LOG_NOTICE);
    journal_info("no");
    journal_notice("three");
    capture_end(&c);
    assert_null(strstr(c.text, "no\n"));
    assert_non_null(strstr(c.text, " estcd error: one\n"));
    assert_non_null(strstr(c.text, " estcd debug: two\n"));
    assert_non_null(strstr(c.text, " estcd notice: three\n"));
}

static void one_entry_is_one_clean_line(void **state) {
    (void)state;
    struct capture c = {0};
    capture_begin(&c);
    journal_open("estcd", ESTC_LOG_INFO);
    journal_info("%s", "a\nb\r\x1b[31mc\xff\xc2\x9b");
    capture_end(&c);
    assert_string_equal(behind_time(c.text), " estcd info: a?b??[31mc??\n");
}

static void the_librarys_diagnostics_arrive(void **state) {
    (void)state;
    struct capture c = {0};
    capture_begin(&c);
    journal_open("estcd", ESTC_LOG_INFO);
    log_info("from the library: 100%%s");
    log_debug("not this one");
    capture_end(&c);
    assert_string_equal(behind_time(c.text), " estcd info: from the library: 100%s\n");
}

static void levels_have_names(void **state) {
    (void)state;
    assert_string_equal(journal_level_names[ESTC_LOG_ERROR], "error");
    assert_string_equal(journal_level_names[ESTC_LOG_DEBUG], "debug");
    assert_null(journal_level_names[ESTC_LOG_DEBUG + 1]);
}

static void another_stream_is_not_the_journal(void **state) {
    (void)state;
    struct capture c = {0};
    static const char *const streams[] = {"", "1", "x:y", ":", "999999999999999999999999:1"};
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]) + 1; i++) {
        capture_begin(&c);
        if (i < sizeof(streams) / sizeof(streams[0]))
            setenv("JOURNAL_STREAM", streams[i], 1);
        else
            set_stream(false);
        journal_open("estcd", ESTC_LOG_INFO);
        journal_info("here");
        capture_end(&c);
        assert_string_equal(behind_time(c.text), " estcd info: here\n");
    }
    unsetenv("JOURNAL_STREAM");
}

/* A forked child speaks through the stream, with the priority in front as systemd reads it. */
static void a_child_writes_into_the_stream(void **state) {
    (void)state;
    struct capture c = {0};
    capture_begin(&c);
    set_stream(true);
    journal_open("estcd", ESTC_LOG_INFO);
    journal_use_stderr();
    journal_error("a");
    journal_info("b\nc");
    unsetenv("JOURNAL_STREAM");
    journal_open("again", ESTC_LOG_INFO);
    journal_info("d");
    capture_end(&c);
    static const char stream[] = "<3>a\n<6>b?c\n";
    assert_int_equal(strncmp(c.text, stream, strlen(stream)), 0);
    assert_string_equal(behind_time(c.text + strlen(stream)), " again info: d\n");
}

/* --- the journal's own socket, in a mount namespace of a child's --- */

#define NO_NAMESPACE 77

/* A datagram socket where journald listens, on a /run of our own; -1 when we must not. */
static int listen_as_journald(void) {
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) < 0 || mkdir("/run/systemd", 0755) < 0 ||
        mkdir("/run/systemd/journal", 0755) < 0)
        return -1;
    const struct sockaddr_un address = {.sun_family = AF_UNIX,
                                        .sun_path = "/run/systemd/journal/socket"};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -1 : fd;
}

/* Writes one entry and hands on what arrived at the socket, then what arrived at stderr. */
static void write_to_journald(int out) {
    struct capture c = {0};
    char datagram[4096] = "";
    int fd = listen_as_journald();
    if (fd < 0)
        _exit(NO_NAMESPACE);
    capture_begin(&c);
    set_stream(true);
    journal_open("estcd", ESTC_LOG_INFO);
    const char *const fields[] = {"ESTC_ID=gw-mqtt", "ESTC_RESULT=ok", NULL};
    journal_write(ESTC_LOG_NOTICE, fields, "renewed\n%s", "x");
    journal_write(ESTC_LOG_DEBUG, fields, "not this one");
    capture_end(&c);
    ssize_t n = recv(fd, datagram, sizeof(datagram) - 1, MSG_DONTWAIT);
    bool more = recv(fd, c.text, 1, MSG_DONTWAIT) >= 0;
    dprintf(out, "%.*s--\n%s%s", n > 0 ? (int)n : 0, datagram, c.text, more ? "more" : "");
    _exit(0);
}

static void the_journal_gets_fields(void **state) {
    (void)state;
    int ends[2], status = -1;
    char text[8192];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0)
        write_to_journald(ends[1]);
    close(ends[1]);
    ssize_t n = 0, got;
    while ((got = read(ends[0], text + n, sizeof(text) - 1 - (size_t)n)) > 0)
        n += got;
    text[n] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NO_NAMESPACE) {
        print_message("# skipped: mounting a file system is not allowed here\n");
        skip();
    }
    assert_int_equal(status, 0);
    static const char *const lines[] = {"PRIORITY=5\n", "MESSAGE=renewed?x\n",
                                        "SYSLOG_IDENTIFIER=estcd\n", "ESTC_ID=gw-mqtt\n",
                                        "ESTC_RESULT=ok\n"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (!strstr(text, lines[i]))
            fail_msg("no %s in: %s", lines[i], text);
    assert_null(strstr(text, "CODE_FILE"));
    assert_string_equal(strstr(text, "--\n"), "--\n");
}

int main(void) {
    unsetenv("JOURNAL_STREAM");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_name_level_and_text),
        cmocka_unit_test(lines_beyond_the_level_are_dropped),
        cmocka_unit_test(one_entry_is_one_clean_line),
        cmocka_unit_test(the_librarys_diagnostics_arrive),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(another_stream_is_not_the_journal),
        cmocka_unit_test(a_child_writes_into_the_stream),
        cmocka_unit_test(the_journal_gets_fields),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
