/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command config: what the daemon runs with, in the notation of its file, so that it can be put
 * into one; behind each value where it stands.
 */
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

#define VALUE_MAX 65536
#define COMMENT_AT 48 /* where comments begin, if the line before them is no longer */

static const char *member(json_t *key, const char *name) {
    const char *text = json_string_value(json_object_get(key, name));
    return text ? text : "";
}

/* "built in", "/etc/estcd/estcd.conf:12" */
static char *comment(json_t *key) {
    const char *source = member(key, "source");
    _cleanup(freep) char *file = view_text(key, "file");
    _cleanup(freep) char *line = view_text(key, "line");
    _cleanup(freep) char *disk = view_text(key, "on_disk");
    if (!file || !line || !disk)
        return NULL;
    bool stands = *member(key, "file");
    if (strcmp(source, "file") == 0)
        return text_format("%s:%s", file, line);
    if (strcmp(source, "defaults") == 0)
        return text_format("defaults, %s:%s", file, line);
    if (strcmp(source, "built-in") == 0)
        return strdup("built in");
    if (strcmp(source, "old") == 0)
        return text_format("since before a change: the files say %s by now%s%s%s%s%s",
                           *member(key, "on_disk") ? disk : "nothing", stands ? " (" : "",
                           stands ? file : "", stands ? ":" : "", stands ? line : "",
                           stands ? ")" : "");
    return strdup("the files cannot be read now");
}

/* How many groups two keys are both in: one in "a.b" and "a.c". */
static size_t shared(const char *a, const char *b) {
    size_t n = 0;
    for (; *a && *a == *b; a++, b++)
        n += *a == '.';
    return n;
}

static size_t depth_of(const char *key) {
    size_t n = 0;
    for (; *key; key++)
        n += *key == '.';
    return n;
}

static void indent(size_t depth) {
    printf("%*s", (int)(4 * depth), "");
}

/* Ends the groups that the key before was in and this one is not, and begins its own. */
static void move(const char *before, const char *key, size_t base) {
    size_t keep = shared(before, key);
    for (size_t d = depth_of(before); d > keep; d--) {
        indent(base + d - 1);
        puts("};");
    }
    const char *name = key;
    for (size_t d = 0; d < depth_of(key); d++) {
        size_t len = strcspn(name, ".");
        if (d >= keep) {
            indent(base + d);
            printf("%.*s = {\n", (int)len, name);
        }
        name += len + 1;
    }
}

static bool is_said(json_t *key) {
    return *member(key, "value") || strcmp(member(key, "source"), "old") == 0;
}

/* What is not in force, but in the files, as a comment. */
static int print_key(json_t *key, size_t base) {
    const char *name = member(key, "key"), *dot = strrchr(name, '.'), *value = member(key, "value");
    _cleanup(freep) char *why = comment(key);
    _cleanup(freep) char *clean = text_clean(value, strlen(value), VALUE_MAX);
    if (!why || !clean)
        return -1;
    name = dot ? dot + 1 : name;
    _cleanup(freep) char *line =
        *clean ? text_format("%s = %s;", name, clean) : text_format("# %s is not set", name);
    int before = (int)(4 * (base + depth_of(member(key, "key"))));
    if (line)
        printf("%*s%-*s # %s\n", before, "", COMMENT_AT - before, line, why);
    return line ? 0 : -1;
}

/* The names of what nobody says, for who looks for what he could say. */
static void print_unset(json_t *keys) {
    size_t i;
    json_t *key;
    const char *before = "# Not set: ";
    json_array_foreach(keys, i, key) {
        if (is_said(key))
            continue;
        _cleanup(freep) char *name = view_text(key, "key");
        printf("%s%s", before, name ? name : "-");
        before = ", ";
    }
    if (*before == ',')
        putchar('\n');
}

static int print_config(const char *id, json_t *answer) {
    json_t *keys = json_object_get(answer, "keys"), *key;
    _cleanup(freep) char *file = view_text(answer, "file");
    const char *before = "";
    size_t i, base = id ? 1 : 0;
    if (!file)
        return say_out_of_memory();
    printf("# What estcd runs with. It has read %s, and conf.d beside it.\n", file);
    if (id)
        puts("identities = ( {");
    json_array_foreach(keys, i, key) {
        if (!is_said(key))
            continue;
        move(before, member(key, "key"), base);
        before = member(key, "key");
        if (print_key(key, base))
            return say_out_of_memory();
    }
    move(before, "", base);
    if (id)
        puts("} );");
    print_unset(keys);
    return EXIT_DONE;
}

int command_config(const struct cli *cli) {
    const char *id = cli->n_ids > 0 ? cli->ids[0] : NULL;
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("Config"), json_pack("{s:s*}", "id", id), id, &reply);
    if (code != EXIT_DONE)
        return code;
    if (!daemon_member(&reply, "keys", JSON_ARRAY))
        return EXIT_FAILED;
    size_t i;
    json_t *line;
    json_array_foreach(json_object_get(reply.params, "errors"), i, line) {
        if (json_string_value(line))
            say_note("%s", json_string_value(line));
    }
    if (!cli->json)
        return print_config(id, reply.params);
    print_json(reply.params);
    return EXIT_DONE;
}
