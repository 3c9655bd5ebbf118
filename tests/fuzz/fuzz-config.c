/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of estcd.conf: it is taken, or every line at fault is named. */
#include "fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include "agent/config.h"
#include "common/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, len) == (ssize_t)len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct conf_errors errors = {0};
    struct config *config = NULL;
    int rc = config_load(path, &config, &errors);
    FUZZ_CHECK((rc == 0) == !conf_errors_any(&errors));
    config_free(config);
    conf_errors_clear(&errors);
    close(fd);
    return 0;
}
