/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command check: for each identity one line a check, as it is found: what, how it is, and what
 * to do about it. Exits with the worst.
 */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "daemon.h"
#include "print.h"
#include "say.h"
#include "view.h"

#define ANSWER_MS 150000 /* a daemon's check takes no longer */
#define CHECK_WIDTH 13
#define RESULT_WIDTH 7

struct tally {
    size_t identities, ok, warnings, failed;
    int worst;
    json_t *list; /* what was found of each */
};

static const struct {
    const char *name;
    enum tint tint;
    size_t offset; /* of what counts it */
} results[] = {
    {"ok", TINT_GOOD, offsetof(struct tally, ok)},
    {"warning", TINT_BUSY, offsetof(struct tally, warnings)},
    {"failed", TINT_BAD, offsetof(struct tally, failed)},
};

static enum tint count(struct tally *tally, json_t *finding) {
    const char *name = json_string_value(json_object_get(finding, "result"));
    json_int_t code = json_integer_value(json_object_get(finding, "code"));
    for (size_t i = 0; name && i < sizeof(results) / sizeof(results[0]); i++)
        if (strcmp(name, results[i].name) == 0) {
            ++*(size_t *)(void *)((char *)tally + results[i].offset);
            if (results[i].tint == TINT_BAD)
                tally->worst = exit_code_worse(
                    tally->worst,
                    code > EXIT_DONE && code <= EXIT_WORKING ? (int)code : EXIT_FAILED);
            return results[i].tint;
        }
    return TINT_NONE;
}

static void print_finding(json_t *finding, enum tint tint) {
    struct print_style style = print_style_of(stdout);
    _cleanup(freep) char *check = view_text(finding, "check");
    _cleanup(freep) char *result = view_text(finding, "result");
    _cleanup(freep) char *text = view_text(finding, "text");
    _cleanup(freep) char *remedy = view_text(finding, "remedy");
    _cleanup(freep) char *server = view_text(finding, "server");
    bool several = json_object_get(finding, "server");
    if (!check || !result || !text || !remedy || !server)
        return;
    printf("  %-*s  ", CHECK_WIDTH, check);
    print_tinted(stdout, result, RESULT_WIDTH, style.colour ? tint : TINT_NONE);
    printf("  %s%s%s\n", several ? server : "", several ? ": " : "", text);
    if (json_object_get(finding, "remedy"))
        printf("%*s%s\n", CHECK_WIDTH + RESULT_WIDTH + 6, "", remedy);
    fflush(stdout);
}

/* Takes what is found until the daemon has no more; the code of what went wrong with that. */
static int follow(const struct cli *cli, const char *id, struct ctl_client *client,
                  json_t *findings, struct tally *tally) {
    struct estc_error err = {0};
    for (;;) {
        _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
        int rc = ctl_client_receive(client, ANSWER_MS, &reply, &err);
        if (rc)
            return daemon_failed(rc, &err);
        if (reply.error)
            return daemon_refused(cli, &reply, id);
        json_t *finding = json_object_get(reply.params, "finding");
        if (finding) {
            enum tint tint = count(tally, finding);
            if (!cli->json && json_array_size(findings) == 0)
                printf("%s\n", id);
            json_array_append(findings, finding);
            if (!cli->json)
                print_finding(finding, tint);
        }
        if (!reply.continues)
            return EXIT_DONE;
    }
}

static int check(const struct cli *cli, const char *id, struct tally *tally) {
    _cleanup(ctl_client_freep) struct ctl_client *client = NULL;
    _cleanup(json_freep) json_t *params =
        json_pack("{s:s, s:b}", "id", id, "network", !cli->no_network);
    json_t *findings = json_array();
    struct estc_error err = {0};
    int code = daemon_connect(cli, &client);
    if (code == EXIT_DONE && ctl_client_send(client, DAEMON_METHOD("Check"), params, true, &err))
        code = daemon_failed(-EIO, &err);
    if (code == EXIT_DONE)
        code = follow(cli, id, client, findings, tally);
    json_array_append_new(tally->list, json_pack("{s:s, s:o}", "id", id, "findings", findings));
    tally->identities++;
    return code;
}

/* The ids of all; NULL with *code. */
static json_t *all_ids(const struct cli *cli, int *code) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    *code = daemon_call(cli, DAEMON_METHOD("List"), NULL, NULL, &reply);
    json_t *identities =
        *code == EXIT_DONE ? daemon_member(&reply, "identities", JSON_ARRAY) : NULL;
    json_t *ids = identities ? json_array() : NULL, *identity;
    size_t i;
    json_array_foreach(identities, i, identity) {
        json_array_append(ids, json_object_get(identity, "id"));
    }
    if (!ids && *code == EXIT_DONE)
        *code = EXIT_FAILED;
    return ids;
}

static void print_tally(const struct tally *t) {
    printf("%zu %s: %zu check%s ok, %zu warning%s, %zu failed.\n", t->identities,
           t->identities == 1 ? "identity" : "identities", t->ok, t->ok == 1 ? "" : "s",
           t->warnings, t->warnings == 1 ? "" : "s", t->failed);
}

int command_check(const struct cli *cli) {
    struct tally tally = {.worst = EXIT_DONE, .list = json_array()};
    _cleanup(json_freep) json_t *list = tally.list;
    int code = EXIT_DONE;
    _cleanup(json_freep) json_t *ids =
        cli->n_ids > 0 ? json_pack("[s]", cli->ids[0]) : all_ids(cli, &code);
    size_t i;
    json_t *id;
    json_array_foreach(ids, i, id) {
        code = json_is_string(id) ? check(cli, json_string_value(id), &tally) : EXIT_FAILED;
        tally.worst = exit_code_worse(tally.worst, code);
        if (code == EXIT_NOT_ALLOWED || code == EXIT_NO_DAEMON)
            break;
    }
    if (!ids)
        return code;
    if (cli->json)
        print_json(list);
    else if (tally.ok + tally.warnings + tally.failed > 0)
        print_tally(&tally);
    return tally.worst;
}
