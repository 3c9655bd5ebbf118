/* SPDX-License-Identifier: BSD-2-Clause */
/* One call of the control socket, the daemon's method Deployed. */
#include "report.h"

#include <jansson.h>

#include "base/cleanup.h"
#include "common/journal.h"
#include "ctl/client.h"
#include "ctl/json.h"

#define METHOD "org.estcd.control.Deployed"
#define PATIENCE_MS 10000

void report(const char *socket_path, const char *id, int64_t generation, const char *text) {
    _cleanup(ctl_client_freep) struct ctl_client *client = NULL;
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    _cleanup(json_freep) json_t *result =
        json_pack("{s:s, s:I, s:b, s:s*}", "id", id, "generation", (json_int_t)generation, "ok",
                  !text, "text", text);
    struct estc_error err = {0};
    int rc = ctl_client_connect(socket_path, &client, &err);
    if (!rc)
        rc = ctl_client_send(client, METHOD, result, false, &err);
    if (!rc)
        rc = ctl_client_receive(client, PATIENCE_MS, &reply, &err);
    if (rc)
        journal_warning("%s: estcd was not told: %s", id, err.text);
    else if (reply.error)
        journal_warning("%s: estcd did not take the report: %s", id, reply.error);
}
