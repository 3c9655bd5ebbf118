/* SPDX-License-Identifier: BSD-2-Clause */
/* The answering side: any path, format and body gets an answer with a code of its own. */
#include "fuzz.h"

#include <errno.h>
#include <string.h>

#include <estc/server.h>

#include "base/cleanup_ossl.h"

static int on_cacerts(void *arg, const struct estc_peer *peer, const char *label,
                      STACK_OF(X509) * *out, struct estc_error *err) {
    (void)arg, (void)peer, (void)label, (void)out;
    return estc_error_set(err, ESTC_E_NOT_FOUND, "none");
}

static int on_enroll(void *arg, const struct estc_peer *peer,
                     const struct estc_enroll_request *request, X509 **issued, int64_t *retry_after,
                     struct estc_error *err) {
    (void)arg, (void)peer, (void)issued;
    FUZZ_CHECK(request->csr && request->der_len > 0);
    *retry_after = 1;
    return estc_error_set(err, ESTC_E_PENDING, "later");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const struct estc_server_ops ops = {.cacerts = on_cacerts, .enroll = on_enroll};
    static const char *const paths[] = {"/.well-known/est/crts", "/.well-known/est/sen",
                                        "/.well-known/est/sren", "/.well-known/est/skg",
                                        "/.well-known/est/skc",  "/.well-known/est/x/att",
                                        "/.well-known/core"};
    static const int formats[] = {-1, 62, 280, 281, 284, 285, 286, 287};
    const struct estc_server server = {.ops = &ops, .root = "/est"};
    _cleanup(x509_freep) X509 *cert = X509_new();
    const struct estc_peer peer = {.cert = cert, .address = "[::1]:1"};
    FUZZ_CHECK(cert);
    if (len < 3)
        return 0;
    /* The first byte may ask for a path that is in the data, up to its first NUL. */
    size_t path_len = strnlen((const char *)data + 3, len - 3);
    _cleanup(freep) char *path = strndup((const char *)data + 3, path_len);
    FUZZ_CHECK(path);
    bool own = data[0] % 8 == 7;
    const struct estc_request request = {
        .method = data[0] & 0x80 ? ESTC_GET : ESTC_POST,
        .path = own ? path : paths[data[0] % 8 % 7],
        .content_format = formats[data[1] % 8],
        .accept = formats[data[2] % 8],
        .payload = data + 3 + (own ? path_len : 0),
        .payload_len = len - 3 - (own ? path_len : 0),
    };
    _cleanup(estc_response_clear) struct estc_response response = {0};
    estc_server_answer(&server, &peer, &request, &response);
    /* Only the list of what is offered is there for everybody. */
    FUZZ_CHECK((response.code >= 400 && response.code < 600) ||
               (response.code == 205 && response.content_format == ESTC_FORMAT_LINK));
    return 0;
}
