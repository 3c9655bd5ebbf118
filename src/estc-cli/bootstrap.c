/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the command bootstrap tells the daemon. Files are opened here, by whoever calls, and passed
 * on as descriptors: the daemon need not be able to read where they lie.
 */
#include "bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "say.h"

struct file {
    const char *name, *path; /* as the daemon calls it; NULL: not given */
};

static void list_files(const struct cli *cli, struct file out[static BOOTSTRAP_FILES]) {
    out[0] = (struct file){"birth", cli->birth};
    out[1] = (struct file){"birth_key", cli->birth_key};
    out[2] = (struct file){"trust", cli->trust};
}

json_t *bootstrap_params(const struct cli *cli, const char *id) {
    struct file files[BOOTSTRAP_FILES];
    _cleanup(json_freep) json_t *params =
        json_pack("{s:s, s:s*}", "id", id, "fingerprint", cli->fingerprint);
    _cleanup(json_freep) json_t *names = json_array();
    list_files(cli, files);
    for (size_t i = 0; i < BOOTSTRAP_FILES; i++)
        if (files[i].path)
            json_array_append_new(names, json_string(files[i].name));
    if (params && json_array_size(names) > 0)
        json_object_set(params, "files", names);
    if (params && cli->reset)
        json_object_set_new(params, "reset", json_true());
    return TAKE(params);
}

int bootstrap_open(const struct cli *cli, struct ctl_client *client,
                   int fds[static BOOTSTRAP_FILES], size_t *n) {
    struct file files[BOOTSTRAP_FILES];
    list_files(cli, files);
    *n = 0;
    for (size_t i = 0; i < BOOTSTRAP_FILES; i++) {
        if (!files[i].path)
            continue;
        int fd = open(files[i].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
            say_error("%s cannot be opened: %s", files[i].path, strerror(errno));
            return EXIT_FAILED;
        }
        fds[(*n)++] = fd;
    }
    ctl_client_pass(client, fds, *n);
    return EXIT_DONE;
}

/* What cannot be meant is said before anybody is asked. */
int bootstrap_check(const struct cli *cli) {
    bool brings = cli->birth || cli->birth_key || cli->trust || cli->fingerprint;
    const char *fault =
        cli->trust && cli->fingerprint ? "--trust and --fingerprint exclude each other"
        : brings && cli->reset         ? "--reset takes back what was brought, and brings nothing"
        : !brings && !cli->reset ? "nothing is brought: give --birth, --trust, --fingerprint, or "
                                   "--reset to take back what was"
                                 : NULL;
    if (fault)
        say_error("bootstrap: %s", fault);
    return fault ? EXIT_BAD_USAGE : EXIT_DONE;
}
