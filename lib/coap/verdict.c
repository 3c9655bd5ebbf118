/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches handshakes and explains how they failed. It hooks two callbacks of an SSL_CTX: the
 * certificate verification (to keep the certificate at fault, which is gone afterwards) and the
 * info callback (alerts both ways). It decides nothing: what judge.c decides is passed on
 * unchanged.
 */
#include "coap/verdict.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include <openssl/err.h>

#include <estc/cert.h>
#include <estc/trust.h>

#include "base/cleanup.h"
#include "base/text.h"

#define VERDICT_NAMES_MAX 200

void verdict_init(struct verdict *v) {
    *v = (struct verdict){.alert_received = -1, .alert_sent = -1};
}

void verdict_clear(struct verdict *v) {
    X509_free(v->at_fault);
    *v = (struct verdict){
        .alert_received = -1, .alert_sent = -1, .next_info = v->next_info, .judge = v->judge};
}

void verdict_take_queue(struct verdict *v) {
    if (v->reason == 0)
        v->reason = ERR_peek_error();
    ERR_clear_error();
}

/* Watching */

/* The info callback has no argument, so the way from an SSL_CTX to its verdict leads through an
 * ex_data slot. Slots are process-wide by OpenSSL's design: this is one number, set once. */
static pthread_once_t verdict_slot_once = PTHREAD_ONCE_INIT;
static int verdict_slot = -1;

static void verdict_slot_make(void) {
    verdict_slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static int verdict_pass_on(int ok, X509_STORE_CTX *store) {
    (void)store;
    return ok;
}

static int verdict_on_verify(X509_STORE_CTX *store, void *arg) {
    struct verdict *v = arg;
    /* libcoap's own verify callback could forgive errors; this one cannot. */
    X509_STORE_CTX_set_verify_cb(store, verdict_pass_on);
    int ok = judge_verify(v->judge, store);
    if (ok > 0)
        return ok;
    X509 *cert = X509_STORE_CTX_get_current_cert(store);
    if (cert && X509_up_ref(cert)) {
        X509_free(v->at_fault);
        v->at_fault = cert;
    }
    v->verify_error = X509_STORE_CTX_get_error(store);
    return ok;
}

static void verdict_on_info(const SSL *ssl, int where, int ret) {
    struct verdict *v = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), verdict_slot);
    if ((where & SSL_CB_ALERT) && ret >> 8 == SSL3_AL_FATAL) {
        if (where & SSL_CB_READ)
            v->alert_received = ret & 0xff;
        else
            v->alert_sent = ret & 0xff;
    }
    if (v->next_info)
        v->next_info(ssl, where, ret);
}

int verdict_watch(SSL_CTX *ctx, struct verdict *v, struct judge *judge) {
    pthread_once(&verdict_slot_once, verdict_slot_make);
    if (verdict_slot < 0 || !SSL_CTX_set_ex_data(ctx, verdict_slot, v))
        return -ENOMEM;
    v->judge = judge;
    v->next_info = SSL_CTX_get_info_callback(ctx);
    SSL_CTX_set_info_callback(ctx, verdict_on_info);
    SSL_CTX_set_cert_verify_callback(ctx, verdict_on_verify, v);
    return 0;
}

/* Explaining */

bool verdict_is_final(const struct verdict *v) {
    return v->verify_error != X509_V_OK || v->alert_received >= 0 || v->alert_sent >= 0 ||
           v->reason != 0;
}

/* "DNS:a, IP:192.0.2.1": the names that a certificate has instead of the right one. */
static char *verdict_names(X509 *cert) {
    struct estc_cert_facts facts = {0};
    if (estc_cert_facts_get(cert, &facts, NULL))
        return NULL;
    struct estc_buf names = {0};
    int r = 0;
    for (char **san = facts.sans; san && *san && !r; san++) {
        if (names.len > 0)
            r = estc_buf_append(&names, ", ", 2);
        if (!r)
            r = estc_buf_append(&names, *san, strlen(*san));
    }
    char *text = !r && names.len > 0 ? text_clean(names.data, names.len, VERDICT_NAMES_MAX) : NULL;
    estc_buf_clear(&names);
    estc_cert_facts_clear(&facts);
    return text;
}

static int verdict_wrong_name(const struct verdict *v, const struct verdict_view *view,
                              struct estc_error *err) {
    _cleanup(freep) char *subject =
        v->at_fault ? estc_name_text(X509_get_subject_name(v->at_fault)) : NULL;
    _cleanup(freep) char *names = v->at_fault ? verdict_names(v->at_fault) : NULL;
    if (!names)
        return estc_error_set(err, ESTC_E_UNTRUSTED,
                              "certificate '%s' has no subjectAltName, and its common name does "
                              "not count: the server needs a certificate for '%s'",
                              subject ? subject : "?", view->host);
    return estc_error_set(err, ESTC_E_UNTRUSTED,
                          "certificate '%s' is for %s, not for '%s': use a name that it has, or "
                          "give the server a certificate for this one",
                          subject ? subject : "?", names, view->host);
}

/* What an alert of the peer means to the one who reads about it (RFC 5246 section 7.2). */
static const struct {
    int alert;
    const char *meaning;
} verdict_alerts[] = {
    {SSL_AD_HANDSHAKE_FAILURE, "no cipher suite or signature algorithm in common"},
    {SSL_AD_BAD_CERTIFICATE, "it does not accept our certificate"},
    {SSL_AD_UNSUPPORTED_CERTIFICATE, "it does not accept our kind of certificate"},
    {SSL_AD_CERTIFICATE_REVOKED, "our certificate has been revoked"},
    {SSL_AD_CERTIFICATE_EXPIRED, "our certificate has expired, or is not valid yet, by its clock"},
    {SSL_AD_CERTIFICATE_UNKNOWN, "it does not accept our certificate"},
    {SSL_AD_UNKNOWN_CA, "it does not trust our certificate's issuer"},
    {SSL_AD_ACCESS_DENIED, "it does not let our certificate in"},
    {SSL_AD_DECRYPT_ERROR, "it could not verify our signature"},
    {SSL_AD_PROTOCOL_VERSION, "it does not speak DTLS 1.2"},
    {SSL_AD_INSUFFICIENT_SECURITY, "our parameters are too weak for it"},
    {SSL_AD_INTERNAL_ERROR, "it failed by itself; its log may say why"},
    {SSL_AD_UNRECOGNIZED_NAME, "it is not known by the name that we asked for"},
};

static int verdict_refused(const struct verdict *v, const struct verdict_view *view,
                           struct estc_error *err) {
    const char *meaning = "see its log";
    for (size_t i = 0; i < sizeof(verdict_alerts) / sizeof(verdict_alerts[0]); i++) {
        if (verdict_alerts[i].alert == v->alert_received)
            meaning = verdict_alerts[i].meaning;
    }
    bool rsa = v->alert_received == SSL_AD_HANDSHAKE_FAILURE && view->host && !view->allow_rsa;
    return estc_error_set(err, ESTC_E_REJECTED, "refused us: alert '%s': %s%s",
                          SSL_alert_desc_string_long(v->alert_received), meaning,
                          rsa ? " (a server with an RSA certificate has to be allowed here)" : "");
}

int verdict_error(const struct verdict *v, const struct verdict_view *view,
                  struct estc_error *err) {
    if (view->host && (v->verify_error == X509_V_ERR_HOSTNAME_MISMATCH ||
                       v->verify_error == X509_V_ERR_IP_ADDRESS_MISMATCH))
        return verdict_wrong_name(v, view, err);
    if (v->verify_error != X509_V_OK)
        return estc_trust_error(v->verify_error, v->at_fault, view->now, err);
    if (v->alert_received >= 0)
        return verdict_refused(v, view, err);
    if (ERR_GET_REASON(v->reason) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
        return estc_error_set(err, ESTC_E_UNTRUSTED, "came without a certificate");
    const char *reason = v->reason ? ERR_reason_error_string(v->reason) : NULL;
    if (!reason)
        reason = v->alert_sent >= 0 ? SSL_alert_desc_string_long(v->alert_sent) : "unknown";
    return estc_error_set(err, ESTC_E_PROTOCOL, "DTLS handshake failed: %s", reason);
}
