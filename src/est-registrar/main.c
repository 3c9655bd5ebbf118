/* SPDX-License-Identifier: BSD-2-Clause */
/* est-registrar: its commands, and the loop that serves. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include <estc/listener.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "common/exitcode.h"
#include "common/journal.h"
#include "common/pem.h"
#include "config.h"
#include "init.h"
#include "registrar.h"

static const char usage[] =
    "Usage: est-registrar [-c FILE] [-n]\n"
    "       est-registrar init DIR [--name HOST]... [--device NAME]... [--lifetime DURATION]\n"
    "       est-registrar device DIR NAME\n"
    "An EST-coaps server (RFC 9148) with a local CA.\n"
    "\n"
    "  -c, --config=FILE   read this configuration (default " CONFIG_DEFAULT_FILE ")\n"
    "  -n, --check         check the configuration and the files that it names, and exit\n"
    "  -h, --help          print this\n"
    "  -V, --version       print the version\n"
    "\n"
    "init makes a CA, a server certificate, a birth certificate for each device and a\n"
    "configuration in a new folder:\n"
    "      --name=HOST         a name or address of the server, beside localhost\n"
    "      --device=NAME       a first device (default gateway-1)\n"
    "      --lifetime=DURATION of issued certificates (default 90d)\n"
    "device makes one more birth certificate in such a folder.\n"
    "\n"
    "See est-registrar(8), est-registrar.conf(5).\n";

/* --- serving --- */

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *arg) {
    (void)source;
    (void)fd;
    (void)revents;
    estc_listener_process(arg);
    return 0;
}

static int on_prepare(sd_event_source *source, void *arg) {
    (void)source;
    estc_listener_prepare(arg);
    return 0;
}

static int on_hup(sd_event_source *source, const struct signalfd_siginfo *si, void *arg) {
    (void)source;
    (void)si;
    (void)arg;
    journal_notice("SIGHUP: the configuration is read at start only; restart to put it in force");
    return 0;
}

static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *request,
                   struct estc_response *response) {
    estc_server_answer(arg, peer, request, response);
    journal_debug("%s %s from %s: %u.%02u", request->method == ESTC_GET ? "GET" : "POST",
                  request->path, peer->address, response->code / 100, response->code % 100);
}

static void listener_freep(struct estc_listener **listener) {
    estc_listener_free(*listener);
}

static int open_listener(const struct config *config, const struct registrar *registrar,
                         struct estc_server *server, struct estc_listener **out,
                         struct estc_error *err) {
    _cleanup(pem_credentials_clear) struct estc_credentials own = {0};
    int rc = pem_read_credentials(config->server_certificate, config->server_key, &own, err);
    if (rc)
        return rc;
    const struct estc_listener_options options = {
        .address = config->address,
        .port = (uint16_t)config->port,
        .credentials = own,
        .client_trust = registrar_client_trust(registrar),
        .max_body = (size_t)config->max_body,
        .max_sessions = (unsigned)config->max_sessions,
        .idle_timeout = (unsigned)config->idle_timeout,
        .answer = answer,
        .arg = server,
    };
    return estc_listener_new(&options, out, err);
}

static int add_sources(sd_event *event, struct estc_listener *listener) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sd_event_source *io = NULL;
    int rc = sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
    if (rc >= 0)
        rc = sd_event_add_signal(event, NULL, SIGTERM, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_add_signal(event, NULL, SIGINT, NULL, NULL);
    if (rc >= 0)
        rc = sd_event_add_signal(event, NULL, SIGHUP, on_hup, NULL);
    if (rc >= 0)
        rc =
            sd_event_add_io(event, &io, estc_listener_fd(listener), EPOLLIN, on_readable, listener);
    /* libcoap computes its next retransmission only when asked: before each sleep. */
    if (rc >= 0)
        rc = sd_event_source_set_prepare(io, on_prepare);
    if (rc >= 0)
        rc = sd_event_source_set_floating(io, true);
    sd_event_source_unref(io);
    if (rc >= 0)
        rc = sd_event_set_watchdog(event, true);
    return rc < 0 ? rc : 0;
}

CLEANUP_DEFINE(sd_event *, event_freep, sd_event_unref);
CLEANUP_DEFINE(struct registrar *, registrar_freep, registrar_close);

static int serve(const struct config *config) {
    _cleanup(registrar_freep) struct registrar *registrar = NULL;
    _cleanup(listener_freep) struct estc_listener *listener = NULL;
    _cleanup(event_freep) sd_event *event = NULL;
    struct estc_error err = {0};
    int rc = registrar_open(config, &registrar, &err);
    struct estc_server server = {.ops = &registrar_ops, .arg = registrar};
    if (!rc)
        rc = open_listener(config, registrar, &server, &listener, &err);
    if (!rc) {
        rc = sd_event_default(&event);
        rc = rc < 0 ? rc : add_sources(event, listener);
        if (rc)
            estc_error_set(&err, rc, "cannot make an event loop: %s", strerror(-rc));
    }
    if (rc) {
        journal_error("%s", err.text);
        return EXIT_FAILED;
    }
    journal_notice("est-registrar " ESTC_VERSION " serves on [%s]:%lld", config->address,
                   (long long)config->port);
    sd_notifyf(0, "READY=1\nSTATUS=serving on [%s]:%lld", config->address, (long long)config->port);
    rc = sd_event_loop(event);
    sd_notify(0, "STOPPING=1");
    journal_notice("est-registrar ends");
    return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* -n: everything is opened as for serving, but the port. */
static int check(const struct config *config) {
    _cleanup(registrar_freep) struct registrar *registrar = NULL;
    _cleanup(pem_credentials_clear) struct estc_credentials own = {0};
    struct estc_error err = {0};
    int rc = registrar_open(config, &registrar, &err);
    if (!rc)
        rc = pem_read_credentials(config->server_certificate, config->server_key, &own, &err);
    if (rc) {
        fprintf(stderr, "est-registrar: %s\n", err.text);
        return EXIT_CONFIG_TEXT;
    }
    printf("configuration ok: %zu rule%s\n", config->rules.n, config->rules.n == 1 ? "" : "s");
    return EXIT_DONE;
}

static int run(const char *path, bool check_only) {
    struct conf_errors errors = {0};
    struct config *config = NULL;
    int rc = config_load(path, &config, &errors);
    for (char *const *line = errors.lines; line && *line; line++)
        fprintf(stderr, "est-registrar: %s\n", *line);
    conf_errors_clear(&errors);
    if (rc == -ENOMEM)
        fputs("est-registrar: out of memory\n", stderr);
    if (rc)
        return rc == ESTC_E_CONFIG ? EXIT_CONFIG_TEXT : EXIT_FAILED;
    journal_open("est-registrar", (enum estc_log_level)config->log_level);
    int code = check_only ? check(config) : serve(config);
    config_free(config);
    return code;
}

/* --- making a site --- */

static void print_site(const char *dir, char *const *devices) {
    printf("Made in %s:\n"
           "  ca/            the issuing CA, its key, and the root's certificate\n"
           "  offline/       the root's key: move it to a safe place\n"
           "  server/        the registrar's own certificate and key\n"
           "  factory/       the CA of birth certificates\n"
           "  devices/       birth certificates:",
           dir);
    for (char *const *device = devices; *device; device++)
        printf(" %s", *device);
    printf("\n"
           "  trust.pem      what a device has to trust\n"
           "  est-registrar.conf\n"
           "\n"
           "Start it:   est-registrar -c %s/est-registrar.conf\n"
           "\n"
           "A device's estcd.conf:\n"
           "  identities = ( {\n"
           "      id = \"first\";\n"
           "      url = \"coaps://localhost\";\n"
           "      birth = { certificate = \"%s/devices/%s/cert.pem\";\n"
           "                key = \"%s/devices/%s/key.pem\"; };\n"
           "      trust = \"%s/trust.pem\";\n"
           "      subject = \"CN=%s\";\n"
           "  } );\n",
           dir, dir, devices[0], dir, devices[0], dir, devices[0]);
}

static int fail(const struct estc_error *err) {
    fprintf(stderr, "est-registrar: %s\n", err->text);
    return EXIT_FAILED;
}

static int bad_usage(const char *text) {
    fprintf(stderr, "est-registrar: %s; see est-registrar --help\n", text);
    return EXIT_BAD_USAGE;
}

static int make_site(const char *dir, char **names, char **devices, const char *lifetime) {
    int64_t seconds;
    if (conf_parse_duration(lifetime, &seconds) || seconds < 1)
        return bad_usage("--lifetime takes a duration, like \"90d\"");
    const struct init_options options = {
        .dir = dir,
        .names = (const char *const *)names,
        .devices = (const char *const *)devices,
        .lifetime = lifetime,
    };
    struct estc_error err = {0};
    if (init_site(&options, &err))
        return fail(&err);
    print_site(dir, devices);
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
            code = c == 'h' ? (fputs(usage, stdout), EXIT_DONE) : EXIT_BAD_USAGE;
    }
    if (!devices)
        rc |= text_list_add(&devices, "gateway-1");
    if (code < 0 && rc)
        code = EXIT_FAILED;
    if (code < 0 && argc - optind != 1)
        code = bad_usage("init takes one folder");
    if (code < 0)
        code = make_site(argv[optind], names, devices, lifetime);
    text_list_free(names);
    text_list_free(devices);
    return code;
}

static int command_device(int argc, char **argv) {
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return EXIT_DONE;
    }
    if (argc != 3)
        return bad_usage("device takes a folder and a name");
    struct estc_error err = {0};
    if (init_device(argv[1], argv[2], &err))
        return fail(&err);
    printf("Made %s/devices/%s/cert.pem and key.pem\n", argv[1], argv[2]);
    return EXIT_DONE;
}

/* --- arguments --- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {{"init", command_init}, {"device", command_device}};

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    const char *path = CONFIG_DEFAULT_FILE;
    bool check_only = false;
    for (int c; (c = getopt_long(argc, argv, "c:nhV", options, NULL)) != -1;) {
        if (c == 'c') {
            path = optarg;
        } else if (c == 'n') {
            check_only = true;
        } else if (c == 'h' || c == 'V') {
            fputs(c == 'h' ? usage : "est-registrar " ESTC_VERSION "\n", stdout);
            return EXIT_DONE;
        } else {
            return EXIT_BAD_USAGE; /* getopt has said what is wrong */
        }
    }
    if (optind < argc)
        return bad_usage("there are the commands init and device, and options");
    return run(path, check_only);
}
