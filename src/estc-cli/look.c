/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands that only look: list, show, cacerts, version. What they were asked for is data, so
 * they exit with 0 whatever state it shows.
 */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cli.h"
#include "common/exitcode.h"
#include "daemon.h"
#include "print.h"
#include "say.h"
#include "view.h"

static int print_list(const struct cli *cli, json_t *identities, int64_t now) {
    struct print_style style = print_style_of(stdout);
    _cleanup(table_freep) struct table *table = view_list(identities, now, cli->no_legend);
    _cleanup(freep) char *footer = view_footer(identities);
    if (!table || !footer)
        return say_out_of_memory();
    if (json_array_size(identities) > 0)
        table_print(table, stdout, &style);
    if (!cli->no_legend)
        printf("%s\n", footer);
    return EXIT_DONE;
}

int command_list(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("List"), NULL, NULL, &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *identities = daemon_member(&reply, "identities", JSON_ARRAY);
    if (!identities)
        return EXIT_FAILED;
    if (!cli->json)
        return print_list(cli, identities, daemon_time(reply.params, "now"));
    print_json(identities);
    return EXIT_DONE;
}

int command_show(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("Show"), json_pack("{s:s}", "id", cli->ids[0]),
                           cli->ids[0], &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *identity = daemon_member(&reply, "identity", JSON_OBJECT);
    if (!identity)
        return EXIT_FAILED;
    if (cli->json) {
        print_json(identity);
        return EXIT_DONE;
    }
    struct print_style style = print_style_of(stdout);
    int64_t now = daemon_time(reply.params, "now");
    return view_show(identity, now, stdout, &style) ? say_out_of_memory() : EXIT_DONE;
}

int command_cacerts(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    int code = daemon_call(cli, DAEMON_METHOD("CaCerts"), json_pack("{s:s}", "id", cli->ids[0]),
                           cli->ids[0], &reply);
    if (code != EXIT_DONE)
        return code;
    json_t *pem = daemon_member(&reply, "pem", JSON_STRING);
    if (!pem)
        return EXIT_FAILED;
    if (cli->json)
        print_json(reply.params);
    else
        print_ascii(json_string_value(pem));
    return EXIT_DONE;
}

int command_version(const struct cli *cli) {
    _cleanup(ctl_reply_clear) struct ctl_reply reply = {0};
    /* Ours is known whether or not the daemon answers. */
    if (!cli->json)
        printf("estc %s\n", ESTC_VERSION);
    int code = daemon_call(cli, "org.varlink.service.GetInfo", NULL, NULL, &reply);
    const char *daemon = json_string_value(json_object_get(reply.params, "version"));
    if (cli->json) {
        json_t *versions = json_pack("{s:s, s:s*}", "estc", ESTC_VERSION, "estcd", daemon);
        print_json(versions);
        json_decref(versions);
    } else if (code == EXIT_DONE) {
        _cleanup(freep) char *version = view_text(reply.params, "version");
        _cleanup(freep) char *product = view_text(reply.params, "product");
        if (!version || !product)
            return say_out_of_memory();
        printf("%s %s (running)\n", product, version);
    }
    return code;
}
