/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names of systemd's credentials, as paths. Opens nothing: whether there is such a file shows where
 * it is read, since the text of a configuration is the same for who gets the credential and for who
 * does not.
 */
#include "common/credential.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define PREFIX "credential:"

static const char *name_in(const char *text) {
    return strncmp(text, PREFIX, strlen(PREFIX)) == 0 ? text + strlen(PREFIX) : NULL;
}

bool credential_named(const char *text) {
    return name_in(text) != NULL;
}

static const char *directory(void) {
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    return dir && *dir ? dir : NULL;
}

char *credential_path(const char *text) {
    const char *name = name_in(text), *dir = directory();
    if (!name)
        return NULL;
    return dir ? text_format("%s/%s", dir, name) : strdup(text);
}

const char *credential_fault(const char *text) {
    const char *name = name_in(text);
    if (!name || !*name)
        return "names no credential: write \"credential:NAME\"";
    if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return "is no credential's name, which is a plain file name";
    return NULL;
}

bool credential_is_ours(const char *path) {
    const char *dir = directory();
    size_t len = dir ? strlen(dir) : 0;
    return len > 1 && strncmp(path, dir, len) == 0 && path[len] == '/' &&
           !strchr(path + len + 1, '/') && strcmp(path + len + 1, "..") != 0;
}

const char *credential_of(const char *path) {
    return credential_is_ours(path) ? path + strlen(directory()) + 1 : name_in(path);
}
