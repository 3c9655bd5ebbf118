/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket in an event loop, over a real socket: a forked child runs the loop, the test
 * and its other children are the clients. Those that become somebody else need root to do so.
 */
#include "ctlserver_fixture.h"

#define LIMIT 64
#define LIMIT_READERS 56

static void who_may_do_what(void **state) {
    (void)state;
    only_root();
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct daemon d = daemon_start(&service);
    struct stat st;
    gid_t readers = group_id(READERS), changers = group_id(CHANGERS);
    assert_int_equal(stat(d.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_equal(st.st_gid, readers);
    const gid_t both[] = {readers, changers}, many[] = {1, 2, 3, readers, 4, 5, 6, 7, changers};
    assert_int_equal(rights_of(d.path, 0, 0, 0, NULL), CAN_CHANGE);
    assert_int_equal(rights_of(d.path, NOBODY, NOBODY, 0, NULL), CANNOT_CONNECT);
    assert_int_equal(rights_of(d.path, NOBODY, readers, 0, NULL), CAN_READ);
    assert_int_equal(rights_of(d.path, NOBODY, NOBODY, 1, both), CAN_READ);
    assert_int_equal(rights_of(d.path, NOBODY, NOBODY, 2, both), CAN_CHANGE);
    assert_int_equal(rights_of(d.path, NOBODY, changers, 1, both), CAN_CHANGE);
    assert_int_equal(rights_of(d.path, NOBODY, NOBODY, 9, many), CAN_CHANGE);
    daemon_stop(&d);
}

static void without_its_groups_the_socket_stays_ours(void **state) {
    (void)state;
    only_root();
    struct ctl_service service = service_of("no-such-group-a", "no-such-group-b");
    struct daemon d = daemon_start(&service);
    struct stat st;
    assert_int_equal(stat(d.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(rights_of(d.path, 0, 0, 0, NULL), CAN_CHANGE);
    assert_int_equal(rights_of(d.path, NOBODY, 0, 0, NULL), CANNOT_CONNECT);
    daemon_stop(&d);
}

static void the_daemons_own_user_may_change(void **state) {
    (void)state;
    only_root();
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct daemon d = {.folder = support_tmpdir()};
    d.path = text_format("%s/control", d.folder);
    assert_int_equal(chown(d.folder, NOBODY, NOBODY), 0);
    d.pid = fork();
    if (d.pid == 0) {
        if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
            setresuid(NOBODY, NOBODY, NOBODY))
            _exit(1);
        exit(serve(d.path, -1, &service));
    }
    for (int i = 0; i < 1000 && !answers(d.path); i++)
        usleep(5000);
    struct stat st;
    assert_int_equal(stat(d.path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600); /* it could not give it to the readers */
    assert_int_equal(rights_of(d.path, NOBODY, 1, 0, NULL), CAN_CHANGE);
    assert_int_equal(rights_of(d.path, 0, 0, 0, NULL), CAN_CHANGE);
    daemon_stop(&d);
}

static void replies_from_outside_a_request_arrive(void **state) {
    (void)state;
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct daemon d = daemon_start(&service);
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    assert_int_equal(ctl_client_connect(d.path, &client, &err), 0);
    assert_int_equal(ctl_client_send(client, "org.example.test.Later", NULL, true, &err), 0);
    for (int n = 1; n <= 2; n++) {
        struct ctl_reply reply = {0};
        assert_int_equal(ctl_client_receive(client, 20000, &reply, &err), 0);
        assert_int_equal(json_integer_value(json_object_get(reply.params, "n")), n);
        assert_int_equal(reply.continues, n == 1);
        ctl_reply_clear(&reply);
    }
    ctl_client_free(client);
    /* Who leaves before the answer does no harm. */
    assert_int_equal(ctl_client_connect(d.path, &client, &err), 0);
    assert_int_equal(ctl_client_send(client, "org.example.test.Later", NULL, true, &err), 0);
    client = ctl_client_free(client);
    usleep(20000);
    struct ctl_reply reply = {0};
    assert_int_equal(call_once(d.path, "org.example.test.Ping", false, &reply), 0);
    assert_null(reply.error);
    ctl_reply_clear(&reply);
    daemon_stop(&d);
}

/* Connects n times as a reader who may change nothing; stays until told to go. */
static pid_t occupy(const char *path, unsigned n, int ready) {
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    gid_t readers = group_id(READERS);
    if (setgroups(0, NULL) || setresgid(readers, readers, readers) ||
        setresuid(NOBODY, NOBODY, NOBODY))
        _exit(1);
    unsigned served = 0;
    for (unsigned i = 0; i < n; i++) {
        struct ctl_client *client = NULL; /* kept open until the process ends */
        struct ctl_reply reply = {0};
        if (ctl_client_connect(path, &client, NULL))
            _exit(1);
        if (ctl_client_send(client, "org.example.test.Ping", NULL, false, NULL) == 0 &&
            ctl_client_receive(client, 20000, &reply, NULL) == 0)
            served++;
    }
    if (write(ready, &served, sizeof(served)) != sizeof(served))
        _exit(1);
    for (;;)
        pause();
}

static void readers_cannot_take_all_places(void **state) {
    (void)state;
    only_root();
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct daemon d = daemon_start(&service);
    int ready[2];
    unsigned served = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = occupy(d.path, LIMIT + 6, ready[1]);
    assert_int_equal(read(ready[0], &served, sizeof(served)), sizeof(served));
    assert_int_equal(served, LIMIT_READERS);
    /* Those who may change still get in, up to the limit. */
    struct ctl_client *clients[LIMIT - LIMIT_READERS + 1] = {0};
    for (unsigned i = 0; i <= LIMIT - LIMIT_READERS; i++) {
        struct ctl_reply reply = {0};
        assert_int_equal(ctl_client_connect(d.path, &clients[i], NULL), 0);
        int rc = ctl_client_send(clients[i], "org.example.test.Change", NULL, false, NULL);
        if (!rc)
            rc = ctl_client_receive(clients[i], 20000, &reply, NULL);
        assert_int_equal(rc, i < LIMIT - LIMIT_READERS ? 0 : -ECONNRESET);
        ctl_reply_clear(&reply);
    }
    for (unsigned i = 0; i <= LIMIT - LIMIT_READERS; i++)
        ctl_client_free(clients[i]);
    /* And places become free again. */
    kill(pid, SIGKILL);
    int status;
    waitpid(pid, &status, 0);
    close(ready[0]);
    close(ready[1]);
    struct ctl_reply reply = {0};
    assert_int_equal(call_once(d.path, "org.example.test.Ping", false, &reply), 0);
    ctl_reply_clear(&reply);
    daemon_stop(&d);
}

/* With no descriptor left the loop neither ends nor spins, and goes on when there is one again. */
static void running_out_of_descriptors_is_survived(void **state) {
    (void)state;
    struct ctl_service service = service_of(READERS, CHANGERS);
    char *folder = support_tmpdir();
    _cleanup(freep) char *path = text_format("%s/control", folder);
    sd_event *event = NULL;
    struct ctlserver *server = NULL;
    struct estc_error err = {0};
    struct ctl_client *client = NULL;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(ctlserver_new(event, path, -1, &service, event, &server, &err), 0);
    assert_int_equal(ctl_client_connect(path, &client, &err), 0);
    assert_int_equal(ctl_client_send(client, "org.example.test.Ping", NULL, false, &err), 0);
    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_true(sd_event_run(event, 0) > 0);
    assert_int_equal(sd_event_run(event, 0), 0); /* it waits */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    struct ctl_reply reply = {0};
    int rc = -ETIMEDOUT;
    for (int i = 0; i < 50 && rc == -ETIMEDOUT; i++) {
        sd_event_run(event, 100 * 1000);
        rc = ctl_client_receive(client, 0, &reply, &err);
    }
    assert_int_equal(rc, 0);
    ctl_reply_clear(&reply);
    ctl_client_free(client);
    ctlserver_free(server);
    sd_event_unref(event);
    support_tmpdir_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_may_do_what),
        cmocka_unit_test(without_its_groups_the_socket_stays_ours),
        cmocka_unit_test(the_daemons_own_user_may_change),
        cmocka_unit_test(replies_from_outside_a_request_arrive),
        cmocka_unit_test(readers_cannot_take_all_places),
        cmocka_unit_test(running_out_of_descriptors_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
