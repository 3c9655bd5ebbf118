/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Response codes and content formats, judged (RFC 9148 section 4.5, RFC 7252 sections 5.5 and 5.9).
 * A diagnostic payload is text of the peer: shown, never decoded.
 */
#include "est/verdict.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text.h"

#define DIAGNOSTIC_MAX 256
#define MAX_AGE_DEFAULT 60 /* RFC 7252 section 5.10.5 */

static const struct {
    unsigned code;
    const char *name;
} code_names[] = {
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Bad Option"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Entity Incomplete"},
    {412, "Precondition Failed"},
    {413, "Request Entity Too Large"},
    {415, "Unsupported Content-Format"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "Proxying Not Supported"},
};

/* " Forbidden"; nothing for a code without a name here, which counts as its class does. */
static const char *code_name(unsigned code) {
    for (size_t i = 0; i < sizeof(code_names) / sizeof(code_names[0]); i++)
        if (code_names[i].code == code)
            return code_names[i].name;
    return "(unknown code)";
}

/* "4.03 Forbidden: TEXT"; the text only where it is one, which is without a content format. */
static char *answer_text(const struct estc_response *response) {
    unsigned major = response->code / 100, minor = response->code % 100;
    const char *name = code_name(response->code);
    if (response->content_format != ESTC_FORMAT_NONE || response->payload.len == 0)
        return text_format("%u.%02u %s", major, minor, name);
    _cleanup(freep) char *said =
        text_clean(response->payload.data, response->payload.len, DIAGNOSTIC_MAX);
    return said ? text_format("%u.%02u %s: %s", major, minor, name, said) : NULL;
}

/* Absent means the one asked for; another one is never decoded (RFC 7252 section 5.5.1). */
static int verdict_success(const struct estc_op_info *op, const struct estc_response *response,
                           struct estc_error *err) {
    if (response->code != op->success_code)
        return estc_error_set(err, ESTC_E_PROTOCOL, "/%s: the server answered %u.%02u, not %u.%02u",
                              op->name, response->code / 100, response->code % 100,
                              op->success_code / 100, op->success_code % 100);
    if (response->content_format != ESTC_FORMAT_NONE &&
        response->content_format != op->response_format)
        return estc_error_set(err, ESTC_E_PROTOCOL,
                              "/%s: the server answered in content format %d, asked for %d",
                              op->name, response->content_format, op->response_format);
    return 0;
}

static int verdict_pending(const struct estc_op_info *op, const struct estc_response *response,
                           const char *answer, int64_t *retry_after, struct estc_error *err) {
    int64_t wait = response->max_age < 0 ? MAX_AGE_DEFAULT : response->max_age;
    *retry_after = wait < 1 ? 1 : wait;
    return estc_error_set(err, ESTC_E_PENDING,
                          "/%s: the server wants to be asked again in %lld s "
                          "(%s)",
                          op->name, (long long)*retry_after, answer);
}

int verdict(const struct estc_op_info *op, const struct estc_response *response,
            int64_t *retry_after, struct estc_error *err) {
    unsigned class = response->code / 100;
    if (class == 2)
        return verdict_success(op, response, err);
    if (class != 4 && class != 5)
        return estc_error_set(err, ESTC_E_PROTOCOL, "/%s: %u.%02u is no response code", op->name,
                              class, response->code % 100);
    _cleanup(freep) char *answer = answer_text(response);
    if (!answer)
        return estc_error_set(err, -ENOMEM, "out of memory");
    if (response->code == 503 && retry_after)
        return verdict_pending(op, response, answer, retry_after, err);
    if (class == 5)
        return estc_error_set(err, ESTC_E_SERVER, "/%s: the server failed with %s", op->name,
                              answer);
    return estc_error_set(err, ESTC_E_REJECTED, "/%s: the server refused with %s", op->name,
                          answer);
}
