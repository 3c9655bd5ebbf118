/* SPDX-License-Identifier: BSD-2-Clause */
/* Several servers, one after the other: a table, a set and a text. No I/O. */
#include "attempt_servers.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"

#define BIT(n) (1U << (n))

/* Nobody there, or somebody else. */
#define STRANGE (BIT(ESTC_E_UNREACHABLE) | BIT(ESTC_E_TIMEOUT) | BIT(ESTC_E_UNTRUSTED))
/* Before our request has been sent there is nothing that the CA could have decided. */
#define UNFIT                                                                     \
    (STRANGE | BIT(ESTC_E_REJECTED) | BIT(ESTC_E_PROTOCOL) | BIT(ESTC_E_SERVER) | \
     BIT(ESTC_E_MALFORMED) | BIT(ESTC_E_MISMATCH) | BIT(ESTC_E_TOO_LARGE) | BIT(ESTC_E_NOT_FOUND))

bool servers_may_differ(enum attempt_step step, int code) {
    static const unsigned codes[ATTEMPT_STEP_MAX_] = {
        [ATTEMPT_CONNECT] = UNFIT,
        [ATTEMPT_CACERTS] = UNFIT,
        [ATTEMPT_ATTRIBUTES] = UNFIT,
        [ATTEMPT_CSR] = STRANGE, /* which may need a new connection to be bound to */
        [ATTEMPT_ENROLL] = STRANGE | BIT(ESTC_E_SERVER) | BIT(ESTC_E_NOT_FOUND),
        [ATTEMPT_PROVE] = STRANGE,
    };
    return code > 0 && code < ESTC_E_MAX_ && (codes[step] & BIT(code));
}

static bool is_open(const struct attempt_servers *servers, size_t i) {
    return !(servers->failed & BIT(i));
}

struct estc_wait servers_pick(struct attempt_servers *servers, const char *preferred, int64_t now) {
    size_t left = 0, first = 0;
    for (size_t i = servers->n; i-- > 0;) {
        if (!is_open(servers, i))
            continue;
        left++;
        first = i;
    }
    servers->asked = first;
    for (size_t i = 0; preferred && i < servers->n; i++)
        if (is_open(servers, i) && strcmp(servers->urls[i], preferred) == 0)
            servers->asked = i;
    struct estc_wait wait = servers->wait;
    if (left > 1 && wait.deadline > now)
        wait.deadline = now + (wait.deadline - now) / (int64_t)left;
    return wait;
}

bool servers_failed(struct attempt_servers *servers, int code, const char *text) {
    size_t i = servers->asked;
    servers->failed |= BIT(i);
    servers->failures[i].code = code;
    free(servers->failures[i].text);
    servers->failures[i].text = strdup(text);
    return servers->failed != BIT(servers->n) - 1;
}

static bool is_silence(int code) {
    return code == ESTC_E_UNREACHABLE || code == ESTC_E_TIMEOUT;
}

int servers_sum(const struct attempt_servers *servers, char **text) {
    int code = servers->failures[0].code;
    size_t share = SERVERS_TEXT_MAX / servers->n;
    *text = text_format("none of the %zu servers helps:", servers->n);
    for (size_t i = 0; i < servers->n; i++) {
        if (is_silence(code))
            code = servers->failures[i].code;
        const char *why = servers->failures[i].text ? servers->failures[i].text : "?";
        _cleanup(freep) char *whole = text_format("%s: %s", servers->urls[i], why);
        _cleanup(freep) char *part = whole ? text_clean(whole, strlen(whole), share) : NULL;
        _cleanup(freep) char *before = *text;
        *text = before && part ? text_format("%s%s %s", before, i > 0 ? ";" : "", part) : NULL;
    }
    return code;
}

void servers_clear(struct attempt_servers *servers) {
    for (size_t i = 0; i < CONFIG_URLS_MAX; i++)
        free(servers->failures[i].text);
    *servers = (struct attempt_servers){0};
}
