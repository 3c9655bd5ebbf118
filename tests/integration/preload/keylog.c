/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes the secrets of DTLS sessions to the file named by ESTC_TEST_KEYLOG, in the format that
 * Wireshark reads. This is the only way to get them: no program of ours has an option for it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/ssl.h>

static void write_line(const SSL *ssl, const char *line) {
    const char *path = getenv("ESTC_TEST_KEYLOG");
    FILE *file = path ? fopen(path, "ae") : NULL;

    (void)ssl;
    if (!file)
        return;
    fprintf(file, "%s\n", line);
    fclose(file);
}

SSL_CTX *SSL_CTX_new(const SSL_METHOD *method) {
    SSL_CTX *(*real)(const SSL_METHOD *);

    *(void **)&real = dlsym(RTLD_NEXT, "SSL_CTX_new");
    SSL_CTX *ctx = real(method);
    if (ctx)
        SSL_CTX_set_keylog_callback(ctx, write_line);
    return ctx;
}
