/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands request and forget tell the daemon; how a request is followed is in attempt.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "common/credential.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "daemon.h"
#include "print.h"
#include "request.h"
#include "say.h"

/* --- request --- */

/* A path as the daemon understands it, which stands elsewhere; malloc'd. */
static char *absolute(const char *path) {
    _cleanup(freep) char *here =
        *path == '/' || credential_named(path) ? strdup("") : getcwd(NULL, 0);
    return here ? text_format("%s%s%s", here, *here ? "/" : "", path) : NULL;
}

static int set(json_t *params, const char *member, const char *text) {
    return text ? json_object_set_new(params, member, json_string(text)) : 0;
}

static int set_path(json_t *params, const char *member, const char *path) {
    _cleanup(freep) char *whole = path ? absolute(path) : NULL;
    return path && !whole ? -1 : set(params, member, whole);
}

static int set_list(json_t *params, const char *member, const struct cli_texts *texts) {
    _cleanup(json_freep) json_t *list = json_array();
    for (size_t i = 0; i < texts->n; i++)
        if (json_array_append_new(list, json_string(texts->items[i])) < 0)
            return -1;
    return texts->n > 0 ? json_object_set(params, member, list) : 0;
}

json_t *request_params(const struct cli *cli, const char *id) {
    _cleanup(json_freep) json_t *params = json_pack("{s:s}", "id", id);
    const struct {
        const char *member, *text;
        int (*set)(json_t *params, const char *member, const char *text);
    } members[] = {
        {"url", cli->url, set},
        {"label", cli->label, set},
        {"subject", cli->subject, set},
        {"key_type", cli->key_type, set},
        {"fingerprint", cli->fingerprint, set},
        {"trust", cli->trust, set_path},
        {"birth_certificate", cli->birth_certificate, set_path},
        {"birth_key", cli->birth_key, set_path},
    };
    int rc = params ? set_list(params, "sans", &cli->sans) : -1;
    for (size_t i = 0; rc == 0 && i < sizeof(members) / sizeof(members[0]); i++)
        rc = members[i].set(params, members[i].member, members[i].text);
    return rc == 0 ? TAKE(params) : NULL;
}

/* --- forget --- */

static int forget(const struct cli *cli, const char *id, json_t *list) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    json_t *params = json_pack("{s:s, s:b}", "id", id, "purge", cli->purge);
    int code = daemon_call(cli, DAEMON_METHOD("Forget"), params, id, &reply);
    if (code != EXIT_DONE)
        return code;
    const char *kept = json_string_value(json_object_get(reply.params, "kept"));
    json_array_append_new(list, json_pack("{s:s, s:s*}", "id", id, "kept", kept));
    if (!cli->json && kept)
        say_note("%s: forgotten; its keys and certificates are kept in %s", id, kept);
    else if (!cli->json)
        say_note("%s: forgotten; %s", id,
                 cli->purge ? "its keys and certificates are removed"
                            : "there was nothing to keep");
    return EXIT_DONE;
}

int command_forget(const struct cli *cli) {
    _cleanup(json_freep) json_t *list = json_array();
    int code = list ? EXIT_DONE : say_out_of_memory();
    for (size_t i = 0; i < cli->n_ids && code == EXIT_DONE; i++)
        code = forget(cli, cli->ids[i], list);
    if (cli->json)
        print_json(list);
    return code;
}
