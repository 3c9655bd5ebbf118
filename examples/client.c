/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest client: enrols once and prints key and certificate as PEM.
 *
 *   client HOST PORT birth.pem birth.key trust.pem CN=name > new.pem
 *
 * It keeps nothing: a client for a device writes its key down before it asks, so that a certificate
 * that was issued while the power failed is not lost, as estcd does.
 */
#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>

#include <estc/estc.h>

static struct estc_error error;

static void check(int rc, const char *what) {
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, error.text);
    exit(EXIT_FAILURE);
}

static struct estc_buf read_file(const char *path) {
    struct estc_buf content = {0};
    char part[4096];
    FILE *file = fopen(path, "r");
    for (size_t n; file && (n = fread(part, 1, sizeof(part), file)) > 0;)
        check(estc_buf_append(&content, part, n), path);
    if (!file || ferror(file))
        check(estc_error_set(&error, ESTC_E_CREDENTIAL, "cannot be read"), path);
    fclose(file);
    return content;
}

int main(int argc, char **argv) {
    if (argc != 7)
        return fprintf(stderr, "usage: %s HOST PORT CERTIFICATE KEY TRUST NAME\n", argv[0]), 64;
    struct estc_buf cert = read_file(argv[3]), key = read_file(argv[4]), pem = read_file(argv[5]);
    struct estc_coaps_options way = {.host = argv[1], .port = (uint16_t)atoi(argv[2])};
    struct estc_trust *trust = NULL, *anchors = NULL;
    check(estc_certs_from_pem(cert.data, cert.len, &way.credentials.chain, &error), argv[3]);
    check(estc_key_from_pem(key.data, key.len, &way.credentials.key, &error), argv[4]);
    check(estc_trust_new(&trust, &error), "trust");
    check(estc_trust_add_pem(trust, pem.data, pem.len, &error), argv[5]);
    way.credentials.cert = sk_X509_shift(way.credentials.chain);
    way.trust = trust;

    struct estc_client_options options = {0};
    struct estc_client *client = NULL;
    struct estc_wait wait = estc_wait_in(60000);
    check(estc_coaps_new(&way, &options.transport, &error), "transport");
    check(estc_client_new(&options, &client, &error), "client");

    /* Whom to believe from now on is the server's to say, once it is authenticated. */
    STACK_OF(X509) *received = NULL, *intermediates = NULL;
    check(estc_client_cacerts(client, &wait, &received, &error), "/crts");
    check(estc_cacerts_accept(received, trust, 0, &anchors, &intermediates, &error), "/crts");

    /* A new key, and a request for it that is bound to this connection. */
    EVP_PKEY *new_key = NULL;
    X509 *issued = NULL;
    struct estc_csr_spec spec = {.subject = argv[6]};
    struct estc_buf csr = {0}, out = {0};
    char *challenge = NULL;
    int64_t later = 0;
    check(estc_key_generate(ESTC_KEY_P256, &new_key, &error), "key");
    check(estc_client_challenge(client, &wait, &challenge, &error), "binding");
    spec.challenge = challenge;
    check(estc_csr_build(new_key, &spec, &csr, &error), "request");
    check(
        estc_client_enroll(client, ESTC_OP_SEN, csr.data, csr.len, &wait, &issued, &later, &error),
        "/sen");
    check(estc_trust_verify(anchors, issued, intermediates, ESTC_PURPOSE_CLIENT, 0, NULL, &error),
          "the issued certificate");
    check(estc_key_to_pem(new_key, &out, &error), "key");
    check(estc_cert_to_pem(issued, &out, &error), "certificate");
    fwrite(out.data, 1, out.len, stdout);

    struct estc_buf *const buffers[] = {&cert, &key, &pem, &csr, &out};
    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        estc_buf_clear(buffers[i]);
    free(challenge);
    estc_client_free(client);
    estc_transport_free(options.transport);
    estc_trust_free(trust);
    estc_trust_free(anchors);
    EVP_PKEY_free(way.credentials.key);
    EVP_PKEY_free(new_key);
    X509_free(way.credentials.cert);
    X509_free(issued);
    sk_X509_pop_free(way.credentials.chain, X509_free);
    sk_X509_pop_free(received, X509_free);
    sk_X509_pop_free(intermediates, X509_free);
    return 0;
}
