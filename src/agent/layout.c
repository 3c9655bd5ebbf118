/* SPDX-License-Identifier: BSD-2-Clause */
/* Names in the state folder, taken as hostile. Opens nothing. */
#include "agent/layout.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int64_t layout_generation(const char *name) {
    if (name[0] < '1' || name[0] > '9' || strlen(name) > 15 || name[strspn(name, "0123456789")])
        return 0;
    return strtoll(name, NULL, 10);
}

int64_t layout_link_generation(int dirfd, const char *link) {
    static const char prefix[] = LAYOUT_GENERATIONS "/";
    char target[64] = "";
    ssize_t len = readlinkat(dirfd, link, target, sizeof(target) - 1);
    if (len < 0 || strncmp(target, prefix, strlen(prefix)) != 0)
        return 0;
    return layout_generation(target + strlen(prefix));
}
