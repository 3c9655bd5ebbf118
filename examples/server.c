/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The smallest server: a CA that gives whoever shows a certificate of the factory, or its own, one
 * for the subject that he asks for. It has no rules and no ledger, without which no CA should be.
 *
 *   server PORT ca.pem ca.key server.pem server.key factory.pem
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/pem.h>
#include <openssl/rand.h>

#include <estc/estc.h>

struct ca {
    X509 *cert;
    EVP_PKEY *key;
};

static int send_cacerts(void *arg, const struct estc_peer *peer, const char *label,
                        STACK_OF(X509) * *out, struct estc_error *err) {
    const struct ca *ca = arg;
    (void)peer, (void)label;
    *out = sk_X509_new_null();
    return *out && X509_up_ref(ca->cert) && sk_X509_push(*out, ca->cert) > 0
               ? 0
               : estc_error_set(err, ESTC_E_TIMEOUT, "out of memory");
}

static int issue(void *arg, const struct estc_peer *peer, const struct estc_enroll_request *request,
                 X509 **issued, int64_t *retry_after, struct estc_error *err) {
    const struct ca *ca = arg;
    uint64_t serial;
    (void)peer, (void)retry_after;
    X509 *cert = X509_new();
    if (cert && RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1 &&
        X509_set_version(cert, X509_VERSION_3) &&
        ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1 | 1) &&
        X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) &&
        X509_set_subject_name(cert, X509_REQ_get_subject_name(request->csr)) &&
        X509_gmtime_adj(X509_getm_notBefore(cert), -60) &&
        X509_gmtime_adj(X509_getm_notAfter(cert), 86400) &&
        X509_set_pubkey(cert, X509_REQ_get0_pubkey(request->csr)) &&
        X509_sign(cert, ca->key, EVP_sha256()))
        *issued = cert;
    else
        X509_free(cert);
    return *issued ? 0 : estc_error_set(err, -EIO, "the certificate could not be made");
}

static const struct estc_server_ops ops = {.cacerts = send_cacerts, .enroll = issue};

static void answer(void *arg, const struct estc_peer *peer, const struct estc_request *request,
                   struct estc_response *response) {
    estc_server_answer(arg, peer, request, response);
}

static X509 *read_cert(const char *path) {
    BIO *file = BIO_new_file(path, "r");
    X509 *cert = PEM_read_bio_X509(file, NULL, NULL, NULL);
    BIO_free(file);
    return cert;
}

static EVP_PKEY *read_key(const char *path) {
    BIO *file = BIO_new_file(path, "r");
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
    BIO_free(file);
    return key;
}

int main(int argc, char **argv) {
    if (argc != 7)
        return fprintf(stderr, "usage: %s PORT CA KEY CERTIFICATE KEY FACTORY\n", argv[0]), 64;
    struct ca ca = {read_cert(argv[2]), read_key(argv[3])};
    struct estc_server server = {.ops = &ops, .arg = &ca};
    struct estc_error error = {0};
    struct estc_trust *trust = NULL;
    struct estc_listener *listener = NULL;
    X509 *anchor = read_cert(argv[6]);
    struct estc_listener_options options = {
        .address = "127.0.0.1", .port = (uint16_t)atoi(argv[1]), .answer = answer, .arg = &server};
    options.credentials = (struct estc_credentials){read_key(argv[5]), read_cert(argv[4]), NULL};
    if (!ca.cert || !ca.key || !anchor)
        return fprintf(stderr, "one of the files is not what it should be\n"), EXIT_FAILURE;
    if (estc_trust_new(&trust, &error) || estc_trust_add(trust, anchor, &error) ||
        estc_trust_add(trust, ca.cert, &error) ||
        (options.client_trust = trust, estc_listener_new(&options, &listener, &error)))
        return fprintf(stderr, "%s\n", error.text), EXIT_FAILURE;
    struct pollfd socket = {.fd = estc_listener_fd(listener), .events = POLLIN};
    for (;;) {
        estc_listener_prepare(listener);
        poll(&socket, 1, -1);
        estc_listener_process(listener);
    }
}
