/* SPDX-License-Identifier: BSD-2-Clause */
/* One identity from a text of its own. Reads no file. */
#include "agent/config_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config_internal.h"
#include "base/cleanup.h"

struct config_identity *config_request_free(struct config_identity *identity) {
    if (!identity)
        return NULL;
    config_identity_clear(identity);
    conf_clear(config_request_keys, identity);
    free(identity->id);
    free(identity->origin.file);
    free(identity);
    return NULL;
}

CLEANUP_DEFINE(struct config_identity *, request_freep, config_request_free);

int config_request_read(const char *id, const char *file, const void *text, size_t len,
                        const struct config *config, struct config_identity **out,
                        struct conf_errors *errors) {
    _cleanup(request_freep) struct config_identity *identity = calloc(1, sizeof(*identity));
    if (!identity)
        return -ENOMEM;
    identity->id = strdup(id);
    identity->origin = (struct conf_origin){.file = file ? strdup(file) : NULL, .line = 1};
    if (!identity->id || (file && !identity->origin.file))
        return -ENOMEM;
    int rc = conf_read_text(file, text, len, config_request_keys, identity, errors);
    if (rc)
        return rc;
    config_identity_complete(identity, &config->defaults, errors);
    *out = TAKE(identity);
    return 0;
}
