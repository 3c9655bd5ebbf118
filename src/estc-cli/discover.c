/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * estc discover: asks the network, not the daemon. Discovery needs no key, and what comes back is
 * anybody's bytes: they are read here, in a command without rights that ends at once, rather than
 * in a process that lives for years or holds a key. Root's rights are given up first.
 */
#include "discover.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <estc/seek.h>
#include <estc/url.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cli.h"
#include "common/exitcode.h"
#include "ctl/json.h"
#include "say.h"

#define NOBODY 65534
#define DIAGNOSTIC_MAX 200

/* What has come so far. */
struct findings {
    json_t *places;
    bool lost; /* something found no memory */
};

/* A process without a name, and no way back. */
static int become_nobody(struct estc_error *err) {
    if (geteuid() != 0)
        return 0;
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return estc_error_set(err, -errno,
                              "cannot give up root's rights: %s: run it as another user",
                              strerror(errno));
    return 0;
}

/* --- answers --- */

static void say_unfit(const struct estc_seek_answer *answer) {
    _cleanup(freep) char *text = text_clean(
        answer->payload, answer->content_format == ESTC_FORMAT_NONE ? answer->payload_len : 0,
        DIAGNOSTIC_MAX);
    if (answer->code != 205)
        say_note("%s answered %u.%02u%s%s", answer->address, answer->code / 100, answer->code % 100,
                 text && *text ? ": " : "", text ? text : "");
    else
        say_note("%s answered in content format %d, which is no list of links", answer->address,
                 answer->content_format);
}

static void on_answer(void *arg, const struct estc_seek_answer *answer) {
    struct findings *f = arg;
    _cleanup(estc_offers_clear) struct estc_offers offers = {0};
    struct estc_error err = {0};
    if (answer->code != 205 || (answer->content_format != ESTC_FORMAT_LINK &&
                                answer->content_format != ESTC_FORMAT_NONE)) {
        say_unfit(answer);
        return;
    }
    if (estc_offers_read(answer->payload, answer->payload_len, &offers, &err)) {
        say_note("%s: its answer cannot be read: %s", answer->address, err.text);
        return;
    }
    if (offers.n == 0)
        say_note("%s answered, but offers no EST", answer->address);
    if (offers.ignored > 0)
        say_note("%s: links that are no EST resources are left out: %zu", answer->address,
                 offers.ignored);
    for (size_t i = 0; i < offers.n; i++) {
        json_t *place = discover_json(&offers.items[i], answer->address, answer->host);
        if (json_array_append_new(f->places, place))
            f->lost = true;
    }
}

/* --- the command --- */

/* HOST, HOST:PORT, an address with or without brackets, or a coap URL of these. */
static int parse_address(const char *text, struct estc_url *out, struct estc_error *err) {
    static const char scheme[] = "coap://";
    const char *host = text_same(text, scheme, strlen(scheme)) ? text + strlen(scheme) : text;
    const char *colon = strchr(host, ':');
    const bool bare = *host != '[' && colon && strchr(colon + 1, ':');
    _cleanup(freep) char *url =
        text_format("coaps://%s%s%s", bare ? "[" : "", host, bare ? "]" : "");
    if (!url)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (estc_url_parse(url, out, NULL) == 0 && !out->has_root)
        return 0;
    return estc_error_set(err, -EINVAL, "'%s' is no address: write HOST or HOST:PORT", text);
}

static int seek(const struct cli *cli, const struct estc_url *url, struct findings *f,
                struct estc_error *err) {
    const struct estc_seek_options options = {
        .host = cli->multicast ? NULL : url->host,
        .interface = cli->multicast,
        /* The port of coaps is what a URL without one has; here that means plain CoAP's. */
        .port = cli->multicast || url->port == ESTC_DEFAULT_PORT ? 0 : url->port,
    };
    const struct estc_wait wait = estc_wait_in(cli->timeout * 1000);
    int rc = become_nobody(err);
    return rc ? rc : estc_seek(&options, &wait, on_answer, f, err);
}

static int print(const struct cli *cli, json_t *places) {
    size_t n = json_array_size(places);
    if (cli->json) {
        print_json(places);
        return n > 0 ? EXIT_DONE : EXIT_FAILED;
    }
    struct print_style style = print_style_of(stdout);
    _cleanup(table_freep) struct table *table = discover_table(places, cli->no_legend);
    if (!table)
        return say_out_of_memory();
    if (n > 0)
        table_print(table, stdout, &style);
    if (!cli->no_legend)
        printf("%zu place%s found. Authenticated: no. Anybody on the network can answer like this; "
               "a server proves who it is when estcd connects.\n",
               n, n == 1 ? "" : "s");
    return n > 0 ? EXIT_DONE : EXIT_FAILED;
}

int command_discover(const struct cli *cli) {
    _cleanup(estc_url_clear) struct estc_url url = {0};
    _cleanup(json_freep) json_t *places = json_array();
    struct findings f = {.places = places};
    struct estc_error err = {0};
    if ((cli->n_ids > 0) == (cli->multicast != NULL)) {
        say_error("'discover' needs an address or --multicast INTERFACE, one of them");
        return EXIT_BAD_USAGE;
    }
    if (cli->n_ids > 0 && parse_address(cli->ids[0], &url, &err)) {
        say_error("%s", err.text);
        return EXIT_BAD_USAGE;
    }
    int rc = places ? seek(cli, &url, &f, &err) : -ENOMEM;
    if (rc || f.lost) {
        say_error("%s", rc && *err.text ? err.text : "out of memory");
        return rc == ESTC_E_TIMEOUT || rc == ESTC_E_UNREACHABLE ? EXIT_UNREACHABLE : EXIT_FAILED;
    }
    if (cli->multicast && json_array_size(places) == 0 && !cli->json)
        say_note("Nobody answered on %s within %lld s.", cli->multicast, (long long)cli->timeout);
    return print(cli, places);
}
