/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line as two tables: options and commands. What reads them is elsewhere. */
#include <stdint.h>
#include <stdlib.h>

#include "args_internal.h"

const struct option_info args_options[] = {
    {"socket", "PATH", OPTION_TEXT, offsetof(struct cli, socket), FOR_ALL,
     "control socket of estcd (default: $ESTC_SOCKET, or " CLI_DEFAULT_SOCKET ")"},
    {"json", NULL, OPTION_FLAG, offsetof(struct cli, json), FOR_ALL,
     "print JSON, one line: an object, or an array where there can be several"},
    {"help", NULL, OPTION_FLAG, offsetof(struct cli, help), FOR_ALL, "print this help"},
    {"version", NULL, OPTION_FLAG, offsetof(struct cli, version), FOR_ALL,
     "print the version of estc, without asking the daemon"},
    {"no-legend", NULL, OPTION_FLAG, offsetof(struct cli, no_legend), FOR_LIST | FOR_DISCOVER,
     "leave out the headings and the last line"},
    {"registrar-socket", "PATH", OPTION_TEXT, offsetof(struct cli, registrar_socket), FOR_REGISTRAR,
     "control socket of est-registrar (or $ESTC_REGISTRAR_SOCKET)"},
    {"all", NULL, OPTION_FLAG, offsetof(struct cli, all), FOR_REGISTRAR,
     "with pending: what is decided, too"},
    {"reason", "TEXT", OPTION_TEXT, offsetof(struct cli, reason), FOR_REGISTRAR,
     "with reject: what the device is told; with revoke: keyCompromise or another of RFC 5280"},
    {"force", NULL, OPTION_FLAG, offsetof(struct cli, force), FOR_FORCE,
     "do it although it is not due"},
    {"no-wait", NULL, OPTION_FLAG, offsetof(struct cli, no_wait), FOR_ATTEMPT,
     "do not wait for the end: exit as soon as it has started"},
    {"multicast", "INTERFACE", OPTION_TEXT, offsetof(struct cli, multicast), FOR_DISCOVER,
     "ask all that hear a multicast on this network interface"},
    {"timeout", "DURATION", OPTION_DURATION, offsetof(struct cli, timeout),
     FOR_ATTEMPT | FOR_DISCOVER | FOR_WAIT,
     "wait at most so long: 90s, 15m, 2h (default: " CLI_DEFAULT_TIMEOUT
     "; discover: " CLI_DISCOVER_TIMEOUT ")"},
    {"url", "URL", OPTION_TEXT, offsetof(struct cli, url), FOR_REQUEST,
     "coaps://HOST[:PORT][/PATH] of the EST server"},
    {"label", "LABEL", OPTION_TEXT, offsetof(struct cli, label), FOR_REQUEST,
     "path segment that picks a CA or profile there"},
    {"subject", "NAME", OPTION_TEXT, offsetof(struct cli, subject), FOR_REQUEST,
     "name to ask for: CN=gw-0815,O=Example"},
    {"san", "NAME", OPTION_TEXTS, offsetof(struct cli, sans), FOR_REQUEST,
     "another name: DNS:..., IP:..., URI:..., email:...; may stand several times"},
    {"key-type", "TYPE", OPTION_TEXT, offsetof(struct cli, key_type), FOR_REQUEST,
     "kind of the key: p256, p384, rsa2048, rsa3072, rsa4096"},
    {"birth", "FILE", OPTION_TEXT, offsetof(struct cli, birth), FOR_BOOTSTRAP,
     "a factory certificate, PEM, with its intermediates and its key"},
    {"reset", NULL, OPTION_FLAG, offsetof(struct cli, reset), FOR_BOOTSTRAP,
     "go back to what is configured"},
    {"birth-certificate", "FILE", OPTION_TEXT, offsetof(struct cli, birth_certificate), FOR_REQUEST,
     "the factory certificate, PEM, or credential:NAME"},
    {"birth-key", "FILE", OPTION_TEXT, offsetof(struct cli, birth_key), FOR_REQUEST | FOR_BOOTSTRAP,
     "its private key"},
    {"trust", "FILE", OPTION_TEXT, offsetof(struct cli, trust), FOR_REQUEST | FOR_BOOTSTRAP,
     "anchors for the server's certificate, PEM"},
    {"fingerprint", "HEX", OPTION_TEXT, offsetof(struct cli, fingerprint),
     FOR_REQUEST | FOR_BOOTSTRAP, "of the CA's root instead: SHA256:..."},
    {"purge", NULL, OPTION_FLAG, offsetof(struct cli, purge), FOR_FORGET,
     "remove its keys and certificates instead of putting them away"},
    {"for", "STATE", OPTION_TEXT, offsetof(struct cli, state), FOR_WAIT,
     "the state to wait for (default: valid)"},
    {"no-network", NULL, OPTION_FLAG, offsetof(struct cli, no_network), FOR_CHECK,
     "leave out what needs the network"},
    {"within", "DURATION", OPTION_DURATION, offsetof(struct cli, within), FOR_NEED,
     "yes if the certificate ends within so long: 36h, 7d"},
    {NULL},
};

const struct command args_commands[] = {
    {"list", "", 0, 0, FOR_LIST, false, command_list, "list all identities, and what each needs"},
    {"status", "", 0, 0, 0, false, command_status,
     "show at a glance how all is, and exit with the worst of it"},
    {"show", "ID", 1, 1, 0, false, command_show, "show everything about one identity"},
    {"enroll", "ID...", 1, SIZE_MAX, FOR_ATTEMPT | FOR_FORCE, true, command_enroll,
     "get a first certificate now, and show each step"},
    {"renew", "ID...", 1, SIZE_MAX, FOR_ATTEMPT | FOR_FORCE, true, command_renew,
     "renew the certificate now, and show each step"},
    {"retry", "ID...", 1, SIZE_MAX, FOR_ATTEMPT, true, command_retry,
     "try again now what has failed or waits for the CA, and show each step"},
    {"rekey", "ID...", 1, SIZE_MAX, FOR_ATTEMPT, true, command_rekey,
     "renew now, with a new key whatever the configuration says"},
    {"pause", "ID...", 1, SIZE_MAX, 0, true, command_pause,
     "leave it alone from now on, over restarts, too"},
    {"resume", "ID...", 1, SIZE_MAX, 0, true, command_resume, "look after it again"},
    {"request", "ID", 1, 1, FOR_ATTEMPT | FOR_REQUEST, true, command_request,
     "look after one more identity from now on, and get its first certificate"},
    {"forget", "ID...", 1, SIZE_MAX, FOR_FORGET, true, command_forget,
     "look no more after what was requested, and put its keys away"},
    {"bootstrap", "ID", 1, 1, FOR_ATTEMPT | FOR_BOOTSTRAP, true, command_bootstrap,
     "bring a factory credential or trust for it, and enroll with that"},
    {"history", "ID", 1, 1, FOR_LIST, false, command_history,
     "show how its last attempts ended, the latest last"},
    {"wait", "ID...", 1, SIZE_MAX, FOR_WAIT, false, command_wait,
     "wait until all are in a state (--for), without starting anything"},
    {"needs-renewal", "ID...", 1, SIZE_MAX, FOR_NEED, false, command_needs_renewal,
     "exit with 0 if one of them is due for renewal, with 10 if none is"},
    {"rollback", "ID...", 1, SIZE_MAX, FOR_ATTEMPT, true, command_rollback,
     "go back to the certificate before the one in force"},
    {"cacerts", "ID", 1, 1, 0, false, command_cacerts,
     "print the CA certificates of an identity as PEM"},
    {"check", "[ID]", 0, 1, FOR_CHECK, true, command_check,
     "look at all that the next attempt needs, and say what to do about it"},
    {"completion", "SHELL", 1, 1, 0, false, command_completion,
     "print what bash, zsh or fish need to complete a line; needs no daemon"},
    {"config", "[ID]", 0, 1, 0, false, command_config,
     "print what the daemon runs with, or an identity, and where that stands"},
    {"metrics", "", 0, 0, 0, false, command_metrics,
     "print what the daemon measures, as OpenMetrics"},
    {"discover", "[ADDRESS]", 0, 1, FOR_DISCOVER, false, command_discover,
     "look for EST servers, at one address or by --multicast; needs no daemon"},
    {"reload", "", 0, 0, 0, true, command_reload,
     "make estcd read its configuration again, and wait until it is in force"},
    {"events", "", 0, 0, 0, false, command_events, "print what happens, as it happens"},
    {"registrar", "WHAT [ID]", 1, 2, FOR_REGISTRAR | FOR_LIST, true, command_registrar,
     "what waits for approval at est-registrar, and certificates: pending, show, approve, reject, "
     "revoke, load"},
    {"version", "", 0, 0, 0, false, command_version,
     "print the versions of estc and of the daemon"},
    {NULL},
};

void args_clear(struct cli *cli) {
    free(cli->ids);
    free(cli->sans.items);
    *cli = (struct cli){0};
}

bool args_is_registrar(const struct cli *cli) {
    return cli->command->run == command_registrar;
}

bool args_changes(const struct cli *cli) {
    return args_is_registrar(cli) ? registrar_changes(cli) : cli->command->changes;
}

int args_run(const struct cli *cli) {
    return cli->command->run(cli);
}
