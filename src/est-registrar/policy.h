/* SPDX-License-Identifier: BSD-2-Clause */
/* May the holder of this certificate have what it asks for? A pure decision. */
#pragma once

#include <stdbool.h>

#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <estc/error.h>
#include <estc/server.h>

#include "config.h"

/*
 * Judges a /sen request of the holder of birth, whose issuer is the configured client CA of that
 * name. Every part of the subject and every subjectAltName has to match a pattern of its kind in
 * one and the same rule. *rule is the first that grants. ESTC_E_REJECTED with a text that names
 * what stood in the way (of the last rule that came into question); ESTC_E_NOT_FOUND when no rule
 * has that label.
 */
int policy_judge(const struct config *config, const char *client_ca, const X509 *birth,
                 const char *label, const X509_REQ *csr, const struct config_rule **rule,
                 struct estc_error *err);

/*
 * Judges the new names of a renewal (ChangeSubjectName, RFC 7030 section 4.2.2) under the rule that
 * granted the renewed certificate. What that has already stays granted; the rest has to match a
 * pattern. A pattern with "${...}" matches nothing new: the birth certificate that it speaks of is
 * not there, and the renewed one cannot stand in for it, since its names are what is being changed.
 */
int policy_judge_change(const struct config_rule *rule, X509 *renewed, const X509_REQ *csr,
                        struct estc_error *err);

/* Whether a rule is for the certificates of that client CA and for that label. */
bool policy_is_for(const struct config_rule *rule, const char *client_ca, const char *label);

/* Whether a rule takes keys of this kind; ESTC_E_REJECTED. */
int policy_judge_key(const struct config_rule *rule, const X509_REQ *csr, struct estc_error *err);

/* Whether a rule takes requests that prove no more than this; ESTC_E_REJECTED. */
int policy_judge_pop(const struct config_rule *rule, enum estc_pop pop, struct estc_error *err);

/* The subjectAltName of a request; *out is NULL without one. Free it. ESTC_E_MALFORMED when it is
 * empty or no DER, so that encoding it again gives what was asked for, byte for byte. */
int policy_names(const X509_REQ *csr, GENERAL_NAMES **out, struct estc_error *err);

/* Whether any rule is for this label ("": none); ESTC_E_NOT_FOUND. */
int policy_label(const struct config *config, const char *label, struct estc_error *err);
