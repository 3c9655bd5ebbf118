/* SPDX-License-Identifier: BSD-2-Clause */
/* What a command gets to know of its command line, and the commands. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_DEFAULT_SOCKET "/run/estcd/control"
#define CLI_REGISTRAR_SOCKET "/run/est-registrar/control"
#define CLI_DEFAULT_TIMEOUT "10m"
/* Answers to a multicast come within 5 s (RFC 7252 section 8.2), and some networks are slow. */
#define CLI_DISCOVER_TIMEOUT "8s"

struct command;

/* What an option has been given that may stand several times. */
struct cli_texts {
    const char **items; /* owned array of borrowed strings */
    size_t n;
};

struct cli {
    const struct command *command;
    char **ids; /* its arguments; owned array of borrowed strings */
    size_t n_ids;
    const char *socket, *registrar_socket;
    bool socket_from_environment, registrar_from_environment;
    bool json, no_legend, force, no_wait, no_network, help, version, all;
    const char *state;     /* to wait for, or NULL */
    const char *reason;    /* of a rejection */
    const char *multicast; /* name of a network interface */
    /* of an identity that is requested */
    const char *url, *label, *subject, *key_type, *birth_certificate, *birth, *birth_key, *trust,
        *fingerprint;
    struct cli_texts sans;
    bool reset;      /* what was brought is taken back */
    bool purge;      /* nothing of what is forgotten is kept */
    int64_t timeout; /* seconds to wait for the end of an attempt, or for answers */
    int64_t within;  /* needs-renewal: seconds, or -1 */
    int argc;        /* as it was called, to say how to repeat it */
    char **argv;
};

/* Each returns an exit code (common/exitcode.h) and has said on stderr why it is not 0. */
int command_list(const struct cli *cli);
int command_show(const struct cli *cli);
int command_cacerts(const struct cli *cli);
int command_check(const struct cli *cli);
int command_completion(const struct cli *cli);
int command_config(const struct cli *cli);
int command_metrics(const struct cli *cli);
int command_discover(const struct cli *cli);
int command_enroll(const struct cli *cli);
int command_renew(const struct cli *cli);
int command_retry(const struct cli *cli);
int command_rekey(const struct cli *cli);
int command_pause(const struct cli *cli);
int command_resume(const struct cli *cli);
int command_history(const struct cli *cli);
int command_wait(const struct cli *cli);
int command_status(const struct cli *cli);
int command_needs_renewal(const struct cli *cli);
int command_request(const struct cli *cli);
int command_bootstrap(const struct cli *cli);
int command_forget(const struct cli *cli);
int command_rollback(const struct cli *cli);
int command_reload(const struct cli *cli);
int command_events(const struct cli *cli);
int command_version(const struct cli *cli);
int command_registrar(const struct cli *cli);
/* Whether what is asked of the registrar changes something. */
bool registrar_changes(const struct cli *cli);
