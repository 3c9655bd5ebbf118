/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket in an event loop, over a real socket: a forked child runs the loop, the test
 * and its other children are the clients. Those that become somebody else need root to do so.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/ctlserver.h"
#include "ctl/client.h"
#include "support.h"

/* Groups that every Debian has; what they are called does not matter here. */
#define READERS "users"
#define CHANGERS "games"
#define NOBODY 65534

#define LIMIT 64
#define LIMIT_READERS 56

/* --- the service ----------------------------------------------------------------------------- */

static void handle_ping(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    (void)arg;
    ctl_call_reply(call, NULL, false);
}

/* Answers twice from a timer, so outside of any request. */
static int on_tick(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    struct ctl_call *call = arg;
    ctl_call_reply(call, json_pack("{s:i}", "n", 1), true);
    ctl_call_reply(call, json_pack("{s:i}", "n", 2), false);
    ctl_call_unref(call);
    return 0;
}

static void handle_later(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    sd_event_add_time_relative(arg, NULL, CLOCK_MONOTONIC, 1000, 0, on_tick, ctl_call_ref(call));
}

static void handle_quit(struct ctl_call *call, json_t *params, void *arg) {
    (void)params;
    ctl_call_reply(call, NULL, false);
    sd_event_exit(arg, 0);
}

static const struct ctl_field number[] = {{"n", CTL_INT}, {NULL}};
static const struct ctl_method methods[] = {
    {.name = "Ping", .handle = handle_ping},
    {.name = "Change", .changes = true, .handle = handle_ping},
    {.name = "Later", .more_only = true, .out = number, .handle = handle_later},
    {.name = "Quit", .handle = handle_quit},
    {NULL},
};
static const struct ctl_interface interface = {.name = "org.example.test", .methods = methods};

static struct ctl_service service_of(const char *readers, const char *changers) {
    return (struct ctl_service){.vendor = "",
                                .product = "",
                                .version = "",
                                .url = "",
                                .interface = &interface,
                                .read_group = readers,
                                .change_group = changers};
}

/* --- its process ----------------------------------------------------------------------------- */

struct daemon {
    char *folder, *path;
    pid_t pid;
};

static int serve(const char *path, int listen_fd, const struct ctl_service *service) {
    sd_event *event = NULL;
    struct ctlserver *server = NULL;
    struct estc_error err = {0};
    if (sd_event_new(&event) < 0 ||
        ctlserver_new(event, path, listen_fd, service, event, &server, &err))
        return 1;
    int rc = sd_event_loop(event);
    ctlserver_free(server);
    sd_event_unref(event);
    return rc < 0 ? 1 : 0;
}

static bool answers(const char *path) {
    struct ctl_client *client = NULL;
    bool there = ctl_client_connect(path, &client, NULL) == 0;
    ctl_client_free(client);
    return there;
}

static struct daemon daemon_start(const struct ctl_service *service) {
    struct daemon d = {.folder = support_tmpdir()};
    d.path = text_format("%s/control", d.folder);
    assert_int_equal(chmod(d.folder, 0755), 0);
    d.pid = fork();
    if (d.pid == 0)
        exit(serve(d.path, -1, service));
    assert_true(d.pid > 0);
    for (int i = 0; i < 1000 && !answers(d.path); i++)
        usleep(5000);
    assert_true(answers(d.path));
    return d;
}

static int call_once(const char *path, const char *method, bool more, struct ctl_reply *reply) {
    struct ctl_client *client = NULL;
    struct estc_error err = {0};
    int rc = ctl_client_connect(path, &client, &err);
    if (!rc)
        rc = ctl_client_send(client, method, NULL, more, &err);
    if (!rc)
        rc = ctl_client_receive(client, 20000, reply, &err);
    ctl_client_free(client);
    return rc;
}

/* Stops it in an orderly way; its exit status has to be good: sanitizers speak through it. */
static void daemon_stop(struct daemon *d) {
    struct ctl_reply reply = {0};
    int status = -1;
    assert_int_equal(call_once(d->path, "org.example.test.Quit", false, &reply), 0);
    ctl_reply_clear(&reply);
    waitpid(d->pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(access(d->path, F_OK), -1); /* it took its socket with it */
    free(d->path);
    support_tmpdir_remove(d->folder);
}

/* --- clients --------------------------------------------------------------------------------- */

static gid_t group_id(const char *name) {
    struct group *entry = getgrnam(name);
    assert_non_null(entry);
    return entry->gr_gid;
}

enum { CAN_CHANGE = 10, CAN_READ, CANNOT_CONNECT, BROKEN };

/* What somebody with that identity gets. */
static int rights_of(const char *path, uid_t uid, gid_t gid, size_t n, const gid_t *groups) {
    pid_t pid = fork();
    if (pid == 0) {
        struct ctl_reply reply = {0};
        if (setgroups(n, groups) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
            _exit(BROKEN);
        int rc = call_once(path, "org.example.test.Change", false, &reply);
        if (rc == -EACCES)
            _exit(CANNOT_CONNECT);
        if (rc || (reply.error && strcmp(reply.error, "org.example.test.NotAllowed") != 0))
            _exit(BROKEN);
        _exit(reply.error ? CAN_READ : CAN_CHANGE);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void only_root(void) {
    if (geteuid() == 0)
        return;
    print_message("skipped: only root can become another user\n");
    skip();
}

/* --- tests ----------------------------------------------------------------------------------- */

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

static int try_open(const char *path, struct estc_error *err) {
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct ctlserver *server = NULL;
    sd_event *event = NULL;
    assert_true(sd_event_new(&event) >= 0);
    int rc = ctlserver_new(event, path, -1, &service, NULL, &server, err);
    ctlserver_free(server);
    sd_event_unref(event);
    return rc;
}

static void a_stale_socket_is_replaced_a_live_one_not(void **state) {
    (void)state;
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct daemon d = daemon_start(&service);
    struct estc_error err = {0};
    assert_int_equal(try_open(d.path, &err), -EADDRINUSE);
    assert_non_null(strstr(err.text, d.path));
    /* The live one was not harmed by that. */
    struct ctl_reply reply = {0};
    assert_int_equal(call_once(d.path, "org.example.test.Ping", false, &reply), 0);
    ctl_reply_clear(&reply);
    /* Killed, it leaves its socket behind. */
    int status;
    kill(d.pid, SIGKILL);
    waitpid(d.pid, &status, 0);
    assert_int_equal(access(d.path, F_OK), 0);
    d.pid = fork();
    if (d.pid == 0)
        exit(serve(d.path, -1, &service));
    for (int i = 0; i < 1000 && !answers(d.path); i++)
        usleep(5000);
    daemon_stop(&d);
}

static void other_files_stay_where_they_are(void **state) {
    (void)state;
    char *folder = support_tmpdir();
    struct estc_error err = {0};
    _cleanup(freep) char *file = text_format("%s/file", folder);
    _cleanup(freep) char *link = text_format("%s/link", folder);
    _cleanup(freep) char *absent = text_format("%s/absent/control", folder);
    assert_int_equal(fs_write_new(AT_FDCWD, file, "x", 1, 0644, &err), 0);
    assert_int_equal(symlink("nowhere", link), 0);
    assert_int_equal(try_open(file, &err), -EEXIST);
    assert_non_null(strstr(err.text, "remove it"));
    assert_int_equal(try_open(link, &err), -EEXIST);
    assert_int_equal(try_open(absent, &err), -ENOENT);
    assert_non_null(strstr(err.text, "folder does not exist"));
    assert_int_equal(access(file, F_OK), 0);
    char path[300];
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(try_open(path, &err), -ENAMETOOLONG);
    support_tmpdir_remove(folder);
}

static void somebody_elses_socket_is_not_removed_at_the_end(void **state) {
    (void)state;
    char *folder = support_tmpdir();
    _cleanup(freep) char *path = text_format("%s/control", folder);
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct ctlserver *server = NULL;
    sd_event *event = NULL;
    struct estc_error err = {0};
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(ctlserver_new(event, path, -1, &service, NULL, &server, &err), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fs_write_new(AT_FDCWD, path, "x", 1, 0644, &err), 0);
    ctlserver_free(server);
    assert_int_equal(access(path, F_OK), 0);
    assert_null(ctlserver_free(NULL));
    sd_event_unref(event);
    support_tmpdir_remove(folder);
}

static void a_passed_socket_is_used_and_left(void **state) {
    (void)state;
    struct ctl_service service = service_of(READERS, CHANGERS);
    char *folder = support_tmpdir();
    _cleanup(freep) char *path = text_format("%s/control", folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    struct ctlserver *server = NULL;
    struct estc_error err = {0};
    sd_event *event = NULL;
    assert_true(sd_event_new(&event) >= 0);
    assert_int_equal(ctlserver_new(event, NULL, fd, &service, NULL, &server, &err), -EINVAL);
    sd_event_unref(event);
    assert_int_equal(listen(fd, 5), 0);
    pid_t pid = fork();
    if (pid == 0)
        exit(serve(NULL, fd, &service));
    close(fd);
    struct ctl_reply reply = {0};
    assert_int_equal(call_once(path, "org.example.test.Ping", false, &reply), 0);
    ctl_reply_clear(&reply);
    assert_int_equal(call_once(path, "org.example.test.Quit", false, &reply), 0);
    ctl_reply_clear(&reply);
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(access(path, F_OK), 0); /* systemd's, not ours */
    support_tmpdir_remove(folder);
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
        cmocka_unit_test(a_stale_socket_is_replaced_a_live_one_not),
        cmocka_unit_test(other_files_stay_where_they_are),
        cmocka_unit_test(somebody_elses_socket_is_not_removed_at_the_end),
        cmocka_unit_test(a_passed_socket_is_used_and_left),
        cmocka_unit_test(running_out_of_descriptors_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
