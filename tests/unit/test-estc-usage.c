/* SPDX-License-Identifier: BSD-2-Clause */
/* The program estc where something is in the way: usage, daemon, rights, standard output. */
#include "estc_run.h"

static void wrong_usage_is_64(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "no command was given"},
        {"lst", "did you mean 'list'?"},
        {"frobnicate", "unknown command 'frobnicate'"},
        {"\033[31m", "unknown command '?[31m'"},
        {"list --jsom", "did you mean '--json'?"},
        {"list --js", "unknown option"},
        {"list -j", "unknown option '-j'"},
        {"list --json=yes", "--json takes no value"},
        {"list --force", "'list' does not know --force"},
        {"list good", "'list' takes no argument"},
        {"show", "'show' needs the ID"},
        {"show a b", "'show' takes one ID, but 'b'"},
        {"registrar", "'registrar' needs one of pending, show, approve, reject, revoke and load"},
        {"enroll", "'enroll' needs the ID"},
        {"enroll a --timeout", "--timeout needs a value: --timeout DURATION"},
        {"enroll a --timeout soon", "not a duration"},
        {"enroll a --timeout=-5s", "not a duration"},
        {"enroll a --timeout=99999999999999999999y", "not a duration"},
        {"enroll a --timeout=2y", "of at most a year"},
        {"list --socket=", "--socket: the value is empty"},
        {"-- --json", "unknown command '--json'"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(cases[i][0], EXIT_BAD_USAGE, "", cases[i][1]);
}

static void help_is_no_error(void **state) {
    (void)state;
    expect("--help", EXIT_DONE, "Usage: estc [OPTION]... COMMAND", "");
    expect("--help", EXIT_DONE, "\n  77  not allowed", "");
    expect("-h", EXIT_DONE, "Usage: estc [OPTION]... COMMAND", "");
    expect("enroll --help", EXIT_DONE, "Usage: estc [OPTION]... enroll ID...\n", "");
    expect("enroll --help", EXIT_DONE, "--no-wait", "");
    expect("list --help", EXIT_DONE, "--no-legend", "");
    expect("--version", EXIT_DONE, "estc ", "");
}

static void without_a_daemon_it_is_69(void **state) {
    (void)state;
    expect("--socket /nonexistent/control list", EXIT_NO_DAEMON, "", "systemctl start estcd");
    expect("enroll good later --socket=/nonexistent/control", EXIT_NO_DAEMON, "",
           "/nonexistent/control");
    expect("version --socket /nonexistent/control", EXIT_NO_DAEMON, "estc ", "not running");
    /* The option beats the environment, and "@" is the living one. */
    expect("--socket @ list", EXIT_DONE, NULL, "");
}

static void only_root(void) {
    if (geteuid() == 0)
        return;
    print_message("skipped: only root can become another user\n");
    skip();
}

static void without_the_right_it_is_77_and_says_which_group(void **state) {
    (void)state;
    only_root();
    struct group *readers = getgrnam(READERS);
    assert_non_null(readers);
    const struct {
        struct who who;
        const char *line, *err;
    } cases[] = {
        {{NOBODY, NOBODY}, "list", "denied: join group 'estc' ("},
        {{NOBODY, NOBODY}, "enroll good", "join the groups 'estc' and 'estc-admin' ("},
        {{NOBODY, readers->gr_gid}, "enroll good later", "join group '" CHANGERS "' ("},
        {{NOBODY, readers->gr_gid}, "reload --json", "sudo estc --socket /"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result r = run_as(cases[i].line, -1, &cases[i].who);
        assert_int_equal(r.status, EXIT_NOT_ALLOWED);
        if (!strstr(r.err, cases[i].err) || !strstr(r.err, cases[i].line))
            fail_msg("%s", r.err);
        const char *said = strstr(r.err, "estc: access");
        assert_non_null(said);
        assert_null(strstr(said + 1, "estc: access")); /* once */
        result_clear(&r);
    }
    struct result r = run_as("list", -1, &(struct who){NOBODY, readers->gr_gid});
    assert_int_equal(r.status, EXIT_DONE);
    result_clear(&r);
}

static void what_cannot_be_written_is_an_error(void **state) {
    (void)state;
    static const char *const lines[] = {"list",         "list --json",   "show good",
                                        "cacerts good", "events --json", "--help"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
        struct result r = run_as(lines[i], full, NULL);
        close(full);
        assert_int_equal(r.status, EXIT_FAILED);
        assert_non_null(strstr(r.err, "No space left"));
        result_clear(&r);
    }
}

static void a_reader_that_went_away_is_no_error(void **state) {
    (void)state;
    static const char *const lines[] = {"list", "events", "events --json"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int pipes[2];
        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        close(pipes[0]);
        struct result r = run_as(lines[i], pipes[1], NULL);
        close(pipes[1]);
        assert_int_equal(r.status, EXIT_DONE);
        assert_string_equal(r.err, "");
        result_clear(&r);
    }
}

/* head has its line and goes; estc has to notice although nothing more happens. */
static void a_follower_whose_reader_leaves_ends(void **state) {
    (void)state;
    tell_daemon("org.estcd.control.Endless");
    pid_t pid = fork();
    if (pid == 0) {
        setenv("ESTC_SOCKET", socket_path, 1);
        int out = scratch();
        dup2(out, STDOUT_FILENO);
        /* dash waits for every process of a pipeline. */
        execl("/bin/sh", "sh", "-c", "{ \"$ESTC\" events; test $? -eq 0 || kill $$; } | head -n 1",
              NULL);
        _exit(98);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void a_daemon_of_another_version_is_named(void **state) {
    (void)state;
    expect("show unwanted", EXIT_FAILED, "", "the daemon does not accept 'unwanted' as id\n");
    expect("show unknown", EXIT_FAILED, "", "'estc version' compares the versions");
    expect("show other", EXIT_FAILED, "", "the daemon says: org.estcd.control.Moon?Full\n");
    expect("show empty", EXIT_FAILED, "", "the daemon's answer has no 'identity'");
}

/* The last test: it ends the daemon. */
static void a_daemon_that_goes_away_is_69(void **state) {
    (void)state;
    expect("enroll vanish", EXIT_NO_DAEMON, "", "closed the connection");
    int status = -1;
    waitpid(daemon_pid, &status, 0);
    assert_int_equal(status, 0);
    daemon_pid = fork();
    if (daemon_pid == 0)
        exit(serve(socket_path));
    for (int i = 0; i < 1000 && !answers(); i++)
        usleep(5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_is_64),
        cmocka_unit_test(help_is_no_error),
        cmocka_unit_test(without_a_daemon_it_is_69),
        cmocka_unit_test(without_the_right_it_is_77_and_says_which_group),
        cmocka_unit_test(what_cannot_be_written_is_an_error),
        cmocka_unit_test(a_reader_that_went_away_is_no_error),
        cmocka_unit_test(a_follower_whose_reader_leaves_ends),
        cmocka_unit_test(a_daemon_of_another_version_is_named),
        cmocka_unit_test(a_daemon_that_goes_away_is_69),
    };
    return cmocka_run_group_tests(tests, start_daemon, stop_daemon);
}
