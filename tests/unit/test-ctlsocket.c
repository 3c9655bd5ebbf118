/* SPDX-License-Identifier: BSD-2-Clause */
/* The file of a control socket: made, replaced, refused, left, removed. */
#include "ctlserver_fixture.h"

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

/* Its daemon belongs to no group but its own, and may give files to nobody. */
static int open_unprivileged(const char *path) {
    struct ctl_service service = service_of(READERS, CHANGERS);
    struct ctlserver *server = NULL;
    sd_event *event = NULL;
    struct stat st;
    if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
        setresuid(NOBODY, NOBODY, NOBODY) || sd_event_new(&event) < 0 ||
        ctlserver_new(event, path, -1, &service, NULL, &server, NULL) || lstat(path, &st))
        return 1;
    ctlserver_free(server);
    sd_event_unref(event);
    return st.st_gid == group_id(READERS) && (st.st_mode & 07777) == 0660 ? 0 : 2;
}

static void a_folder_can_give_it_to_the_group(void **state) {
    (void)state;
    only_root();
    static char *folder; /* a child's leak checker finds it there */
    folder = support_tmpdir();
    _cleanup(freep) char *path = text_format("%s/control", folder);
    assert_int_equal(chown(folder, NOBODY, group_id(READERS)), 0);
    assert_int_equal(chmod(folder, 02755), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(open_unprivileged(path)); /* no leak checker may look at who has given up rights */
    int status = -1;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    support_tmpdir_remove(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stale_socket_is_replaced_a_live_one_not),
        cmocka_unit_test(other_files_stay_where_they_are),
        cmocka_unit_test(somebody_elses_socket_is_not_removed_at_the_end),
        cmocka_unit_test(a_passed_socket_is_used_and_left),
        cmocka_unit_test(a_folder_can_give_it_to_the_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
