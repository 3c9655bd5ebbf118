/* SPDX-License-Identifier: BSD-2-Clause */
/* estcd-deploy: carries out what the daemon has asked for, as root, and ends. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/config.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "common/journal.h"
#include "common/service.h"
#include "deploy.h"
#include "source.h"
#include "spool.h"

#define DEFAULT_FOLDER "/run/estcd-deploy"
#define ROUNDS_MAX 100
#define PAUSE_S 5 /* where the spool cannot be emptied and would call us again at once */

static const struct service about = {
    .name = "estcd-deploy",
    .synopsis = "Usage: estcd-deploy [-c FILE] [-n]\n"
                "Installs new certificates of estcd's and tells the services that use them.\n",
    .more = "It is started by estcd-deploy.path when estcd asks for it.\n"
            "See estcd-deploy(8), estcd.conf(5).\n",
    .config_file = CONFIG_DEFAULT_FILE,
};

static int check_all(const struct config *config) {
    size_t unfit = 0, n = 0;
    for (size_t i = 0; i < config_count(config); i++) {
        unfit += deploy_check(config_at(config, i));
        n += config_at(config, i)->deploy.digest ? 1 : 0;
    }
    if (unfit > 0)
        return EXIT_CONFIG_TEXT;
    printf("configuration ok: %zu identit%s to deploy\n", n, n == 1 ? "y" : "ies");
    return EXIT_DONE;
}

/* The folder where hooks find their files, and the lock in it: one at a time. A descriptor. */
static int enter_folder(const char *folder, struct estc_error *err) {
    _cleanup(freep) char *path = text_format("%s/lock", folder);
    int rc = path ? fs_mkdir_all(AT_FDCWD, folder, 0700, err)
                  : estc_error_set(err, -ENOMEM, "out of memory");
    if (rc)
        return rc;
    _cleanup(fs_closep) int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX) < 0)
        return fs_fail(err, errno, "lock", path);
    int taken = fd;
    fd = -1;
    return taken;
}

/* All requests, and those that come meanwhile. The exit code. */
static int work(const struct config *config, const struct state *state, const char *folder) {
    struct estc_error err = {0};
    int code = EXIT_DONE;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        _cleanup(freep) const struct config_identity **wanted = NULL;
        bool left = false;
        int rc = spool_take(state, config, &wanted, &left, &err);
        bool none = rc == -ENOENT || (!rc && !wanted[0]);
        if (none && !left && round == 0)
            journal_notice("nothing to do: estcd has asked for nothing since the last time ('estc "
                           "retry ID' has it ask again for what has failed)");
        if (rc == -ENOENT)
            return code;
        if (rc) {
            journal_error("%s", err.text);
            return EXIT_FAILED;
        }
        for (size_t i = 0; wanted[i]; i++)
            if (deploy_identity(config, state, folder, wanted[i]))
                code = EXIT_FAILED;
        if (left)
            sleep(PAUSE_S);
        if (left || none)
            break;
    }
    return code;
}

static int run(const struct config *config) {
    const char *given = getenv("RUNTIME_DIRECTORY");
    const char *folder = given && *given ? given : DEFAULT_FOLDER;
    _cleanup(state_close) struct state state = {.fd = -1};
    struct estc_error err = {0};
    _cleanup(fs_closep) int lock = enter_folder(folder, &err);
    int rc = lock < 0 ? lock : state_open(config->state_directory, &state, &err);
    if (!rc)
        return work(config, &state, folder);
    journal_error("%s", err.text);
    return EXIT_FAILED;
}

CLEANUP_DEFINE(struct config *, config_freep, config_free);

int main(int argc, char **argv) {
    struct service_options options;
    struct estc_error err = {0};
    int code;
    service_begin();
    if (!service_options(&about, argc, argv, &options, &code))
        return code;
    if (source_check(options.config_file, &err)) {
        fprintf(stderr, "%s: %s\n", about.name, err.text);
        return EXIT_CONFIG_TEXT;
    }
    struct conf_errors errors = {0};
    _cleanup(config_freep) struct config *config = NULL;
    int rc = config_load(options.config_file, &config, &errors);
    code = service_config_read(&about, rc, &errors);
    if (code != EXIT_DONE)
        return code;
    if (options.check)
        return check_all(config);
    umask(077);
    journal_open(about.name, (enum estc_log_level)config->log_level);
    return run(config);
}
