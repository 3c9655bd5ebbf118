/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The file with metrics: written anew soon after something has changed, and not more often than
 * every few seconds; gone when the daemon ends, so that nobody takes it for news. A file that
 * cannot be written stops nothing and is logged once.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fs.h"
#include "catalog.h"
#include "manager_internal.h"
#include "metrics.h"

#define EVERY_MS 5000
#define ACCURACY_US 250000

static void forget(struct manager *manager) {
    if (manager->metrics_path)
        unlink(manager->metrics_path);
    free(manager->metrics_path);
    manager->metrics_path = NULL;
}

static void write_file(struct manager *manager, const char *path) {
    _cleanup(freep) char *text = NULL;
    size_t len;
    struct estc_error err = {0};
    if (manager_metrics(manager, METRICS_TEXT, &text, &len))
        return; /* without memory there are other sorrows; the next change is soon */
    int rc = fs_write_atomic(AT_FDCWD, path, text, len, 0644, &err);
    if (rc && !manager->metrics_failed)
        catalog_log(CATALOG_UNRECORDED, NULL, NULL, "metrics_file: %s", err.text);
    manager->metrics_failed = rc != 0;
    if (!rc && !manager->metrics_path)
        manager->metrics_path = strdup(path);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg) {
    (void)source;
    (void)usec;
    struct manager *manager = arg;
    const char *path = manager->config->metrics_file;
    manager->metrics_timer = sd_event_source_disable_unref(manager->metrics_timer);
    if (manager->metrics_path && (!path || strcmp(path, manager->metrics_path) != 0))
        forget(manager); /* the configuration names another one now */
    if (path)
        write_file(manager, path);
    manager->metrics_written = clock_boot_ms();
    return 0;
}

void manager_metrics_touch(struct manager *manager) {
    if (manager->metrics_timer || (!manager->config->metrics_file && !manager->metrics_path))
        return;
    int64_t wait =
        manager->metrics_written == 0 ? 0 : manager->metrics_written + EVERY_MS - clock_boot_ms();
    sd_event_add_time_relative(manager->event, &manager->metrics_timer, CLOCK_BOOTTIME,
                               wait > 0 ? (uint64_t)wait * 1000 : 0, ACCURACY_US, on_timer,
                               manager);
}

void manager_metrics_end(struct manager *manager) {
    manager->metrics_timer = sd_event_source_disable_unref(manager->metrics_timer);
    forget(manager);
}
