/* SPDX-License-Identifier: BSD-2-Clause */
/* est-registrar: its arguments and its commands. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "common/journal.h"
#include "common/service.h"
#include "config.h"
#include "init.h"
#include "ledger.h"
#include "rollover.h"
#include "serve.h"

static const struct service about = {
    .name = "est-registrar",
    .synopsis =
        "Usage: est-registrar [-c FILE] [-n]\n"
        "       est-registrar init DIR [--name HOST]... [--device NAME]... [--lifetime DURATION]\n"
        "       est-registrar device DIR NAME\n"
        "       est-registrar backup [-c FILE] TO\n"
        "       est-registrar ca renew|rollover DIR [--root-key FILE]\n"
        "An EST-coaps server (RFC 9148) with a CA, or in front of one.\n",
    .more = "init makes a CA, a server certificate, a birth certificate for each device and a\n"
            "configuration in a new folder:\n"
            "      --name=HOST         a name or address of the server, beside localhost\n"
            "      --device=NAME       a first device (default gateway-1)\n"
            "      --lifetime=DURATION of issued certificates (default 90d)\n"
            "device makes one more birth certificate in such a folder.\n"
            "ca renew makes another certificate for its issuing CA, ca rollover another root:\n"
            "      --root-key=FILE     the root's key (default: where init has put it)\n"
            "backup copies the ledger into a new file, whether est-registrar runs or not.\n"
            "\n"
            "See est-registrar(8), est-registrar.conf(5).\n",
    .config_file = CONFIG_DEFAULT_FILE,
};

/* --- making a site --- */

static const char made[] = "Made in %s:\n"
                           "  ca/            the issuing CA, its key, and the root's certificate\n"
                           "  offline/       the root's key: move it to a safe place\n"
                           "  server/        the registrar's own certificate and key\n"
                           "  factory/       the CA of birth certificates\n"
                           "  devices/       birth certificates:";
static const char what_next[] = "\n"
                                "  trust.pem      what a device has to trust\n"
                                "  est-registrar.conf\n"
                                "\n"
                                "Start it:   est-registrar -c %1$s/est-registrar.conf\n"
                                "\n"
                                "A device's estcd.conf:\n"
                                "  identities = ( {\n"
                                "      id = \"first\";\n"
                                "      url = \"coaps://%3$s\";\n"
                                "      birth = { certificate = \"%1$s/devices/%2$s/cert.pem\";\n"
                                "                key = \"%1$s/devices/%2$s/key.pem\"; };\n"
                                "      trust = \"%1$s/trust.pem\";\n"
                                "      subject = \"CN=%2$s\";\n"
                                "  } );\n";

static void print_site(const struct init_options *options) {
    /* Paths in a device's configuration are relative to that. */
    _cleanup(freep) char *resolved = realpath(options->dir, NULL);
    const char *dir = resolved ? resolved : options->dir;
    const char *name = options->names ? options->names[0] : "localhost";
    const bool v6 = strchr(name, ':') != NULL;
    _cleanup(freep) char *host = text_format("%s%s%s", v6 ? "[" : "", name, v6 ? "]" : "");
    printf(made, dir);
    for (const char *const *device = options->devices; *device; device++)
        printf(" %s", *device);
    printf(what_next, dir, options->devices[0], host ? host : name);
}

static int fail(const struct estc_error *err) {
    fprintf(stderr, "est-registrar: %s\n", err->text);
    return EXIT_FAILED;
}

static int make_site(const char *dir, char **names, char **devices, const char *lifetime) {
    const struct init_options options = {
        .dir = dir,
        .names = (const char *const *)names,
        .devices = (const char *const *)devices,
        .lifetime = lifetime,
    };
    struct estc_error err = {0};
    if (init_check(&options, &err))
        return service_bad_usage(&about, "%s", err.text);
    if (init_site(&options, &err))
        return fail(&err);
    print_site(&options);
    return EXIT_DONE;
}

static int command_init(int argc, char **argv) {
    static const struct option options[] = {
        {"name", required_argument, NULL, 'N'},
        {"device", required_argument, NULL, 'D'},
        {"lifetime", required_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char **names = NULL, **devices = NULL;
    const char *lifetime = "90d";
    int code = -1, rc = 0;
    for (int c; code < 0 && (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'N')
            rc |= text_list_add(&names, optarg);
        else if (c == 'D')
            rc |= text_list_add(&devices, optarg);
        else if (c == 'L')
            lifetime = optarg;
        else
            code = c == 'h' ? (service_help(&about), EXIT_DONE) : EXIT_BAD_USAGE;
    }
    if (!devices)
        rc |= text_list_add(&devices, "gateway-1");
    if (code < 0 && rc)
        code = EXIT_FAILED;
    if (code < 0 && argc - optind != 1)
        code = service_bad_usage(&about, "init takes one folder");
    if (code < 0)
        code = make_site(argv[optind], names, devices, lifetime);
    text_list_free(names);
    text_list_free(devices);
    return code;
}

static int command_device(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        service_help(&about);
        return EXIT_DONE;
    }
    if (argc != 3)
        return service_bad_usage(&about, "device takes a folder and a name");
    struct estc_error err = {0};
    if (init_device(argv[1], argv[2], &err))
        return fail(&err);
    printf("Made %s/devices/%s/cert.pem and key.pem\n", argv[1], argv[2]);
    return EXIT_DONE;
}

/* --- its CAs later --- */

static void print_file(const char *name, const char *what) {
    if (name)
        printf("  %-22s %s\n", name, what);
}

static void print_rollover(const char *dir, const struct rollover *new) {
    printf("Made in %s:\n", dir);
    print_file(new->root_key, "the new root's key: move it to a safe place");
    print_file(new->trust, "the new root, for devices that have not enrolled yet");
    print_file(new->chain, "old and new root, each certified by the other, for all others");
    print_file(new->issuing, "another certificate for the issuing CA's key");
    print_file(new->server, "the server's certificate, with what leads to it");
    printf("\n"
           "In est-registrar.conf set, and restart est-registrar:\n"
           "  server = { certificate = \"%s\"; ...\n"
           "  ca = { certificate = \"%s\"; %s%s%s...\n"
           "\n",
           new->server, new->issuing, new->chain ? "chain = \"" : "", new->chain ? new->chain : "",
           new->chain ? "\"; " : "");
    printf(new->chain
               ? "Devices learn the new root when they renew, until %s, when the old one\n"
                 "ends; nothing is to be done there.\n"
               : "The one before counts until %s. The key is the same: nothing is to be done\n"
                 "on devices.\n",
           new->until);
}

static int command_ca(int argc, char **argv) {
    static const struct option options[] = {
        {"root-key", required_argument, NULL, 'K'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct rollover_options given = {0};
    for (int c; (c = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (c == 'h')
            service_help(&about);
        if (c != 'K')
            return c == 'h' ? EXIT_DONE : EXIT_BAD_USAGE;
        given.root_key = optarg;
    }
    const bool two = argc - optind == 2;
    const bool renew = two && strcmp(argv[optind], "renew") == 0;
    if (!two || (!renew && strcmp(argv[optind], "rollover") != 0))
        return service_bad_usage(&about, "ca takes 'renew' or 'rollover', and a folder");
    given.dir = argv[optind + 1];
    _cleanup(rollover_clear) struct rollover new = {0};
    struct estc_error err = {0};
    int rc = renew ? rollover_renew(&given, &new, &err) : rollover_root(&given, &new, &err);
    if (rc)
        return fail(&err);
    print_rollover(given.dir, &new);
    return EXIT_DONE;
}

/* --- what it has issued --- */

static int read_config(const char *file, struct config **out) {
    struct conf_errors errors = {0};
    int rc = config_load(file, out, &errors);
    return service_config_read(&about, rc, &errors);
}

static int back_up(const char *file, const char *to) {
    struct config *config = NULL;
    struct estc_error err = {0};
    int code = read_config(file, &config);
    if (code != EXIT_DONE)
        return code;
    int rc = config->database
                 ? estc_error_set(&err, -EINVAL, "the ledger is in a database: use pg_dump")
                 : ledger_sqlite_backup(config->ledger, to, &err);
    if (!rc)
        printf("%s is a copy of %s\n", to, config->ledger);
    config_free(config);
    return rc ? fail(&err) : EXIT_DONE;
}

static int command_backup(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *file = about.config_file;
    for (int c; (c = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        if (c == 'h')
            service_help(&about);
        if (c != 'c')
            return c == 'h' ? EXIT_DONE : EXIT_BAD_USAGE;
        file = optarg;
    }
    if (argc - optind != 1)
        return service_bad_usage(&about, "backup takes the name of a new file");
    return back_up(file, argv[optind]);
}

/* --- the whole --- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {{"init", command_init},
                {"device", command_device},
                {"ca", command_ca},
                {"backup", command_backup}};

int main(int argc, char **argv) {
    struct service_options options;
    int code;
    service_begin();
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    if (!service_options(&about, argc, argv, &options, &code))
        return code;
    struct config *config = NULL;
    code = read_config(options.config_file, &config);
    if (code != EXIT_DONE)
        return code;
    journal_open(about.name, (enum estc_log_level)config->log_level);
    code = options.check ? serve_check(config) : serve_run(config);
    config_free(config);
    return code;
}
